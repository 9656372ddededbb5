// Drawing: how a question is shown.

// Invisible characters, and those that change the direction of text, are listed beside it.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff]/g;
const hiddenTag = (text) => {
  const found = new Set([...text.matchAll(HIDDEN)].map(([c]) => `U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
  return found.size ? [" ", make("span", { class: "tag hidden-signs", lang: "en", dir: "ltr" }, `hidden: ${[...found].join(" ")}`)] : [];
};

// Finds an option in a passage: as whole words; else, or in scripts without spaces, anywhere; but a number never inside
// a longer one.
const pattern = (text, code, passage) => {
  if (!text.trim() || text.length > 2000) return null;
  const plain = text.trim().replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const spaced = data.languages[code] ? data.languages[code][3] : true;
  const edge = (char, words) => (/\p{N}/u.test(char) ? "\\p{N}" : words && /[\p{L}\p{M}]/u.test(char) ? "\\p{L}\\p{M}" : "");
  const within = (words) => {
    const [first, last] = [edge([...text.trim()][0], words), edge([...text.trim()].pop(), words)];
    return `${first && `(?<![${first}])`}${plain}${last && `(?![${last}])`}`;
  };
  try {
    return [within(spaced), within(false)].find((pattern) => new RegExp(pattern, "iu").test(passage)) || null;
  } catch {
    return null; // a character that the engine refuses, or too long a pattern
  }
};
const drawPassage = (item, code, options, node) => {
  const passage = item.v[code] ? data.passages[code][item.v[code][0]] : "";
  const patterns = options.map((text) => pattern(text, code, passage));
  const order = options.map((_, k) => k).filter((k) => patterns[k] !== null).sort((a, b) => options[b].length - options[a].length || (b === item.gold) - (a === item.gold));
  const parts = [];
  let end = 0;
  if (order.length) {
    const all = new RegExp(order.map((k) => `(${patterns[k]})`).join("|"), "giu");
    for (const match of passage.matchAll(all)) {
      const k = order[match.slice(1).findIndex((group) => group !== undefined)];
      parts.push(passage.slice(end, match.index), make("mark", { class: k === item.gold ? "right" : "other", "data-letter": letter(k) }, match[0]));
      end = match.index + match[0].length;
    }
  }
  node.replaceChildren(...parts, passage.slice(end));
  return patterns.map((pattern) => pattern !== null);
};

const findingList = (item, test) => {
  const found = item.f.filter(test);
  if (!found.length) return [];
  return [make("ul", { class: "findings", lang: "en", dir: "ltr" }, ...found.map(([code, , , detail]) => make("li", {}, make("strong", { title: data.reasons[code] }, code.replaceAll("_", " ")), " ", make("bdi", { dir: "auto" }, detail))))];
};
const problem = (item, record, code, k) => {
  const text = newText(record, code, k);
  if (text === undefined) return "";
  if (!text.trim()) return "Empty: write a text, or restore the old one.";
  const same = item.v[code][2].some((other, at) => at !== k && (newText(record, code, at) ?? other).trim().toLowerCase() === text.trim().toLowerCase());
  return same ? "The same as another option." : "";
};
const firstProblem = (item, record) => {
  for (const [code, by] of Object.entries(record.edits)) {
    for (const k of Object.keys(by)) {
      const words = problem(item, record, code, Number(k));
      if (words) return `${english(code)}, option ${letter(Number(k))}: ${words}`;
    }
  }
  return "";
};

const optionNode = (item, record, code, k, redraw) => {
  const old = item.v[code][2][k];
  const changed = newText(record, code, k);
  const right = k === item.gold;
  const node = make("li", { class: right ? "right" : "", "data-option": k });
  const line = make("div", { class: "option" }, make("span", { class: "letter" }, letter(k)));
  const error = make("p", { class: "error", lang: "en", dir: "ltr", id: `error-${code}-${k}` });
  if (editing && !right) {
    const field = make("textarea", { rows: "1", lang: code, dir: direction(code), "aria-label": `${english(code)}, option ${letter(k)}, new text`, "aria-describedby": error.id, spellcheck: "true" });
    field.value = changed ?? old;
    field.addEventListener("focus", () => { session += 1; });
    field.addEventListener("input", () => {
      const edits = structuredClone(recordOf(current).edits);
      const by = (edits[code] ||= {});
      if (field.value.trim() === old.trim()) delete by[k];
      else by[k] = field.value;
      if (!Object.keys(by).length) delete edits[code];
      change(current, { edits }, `${current}/${code}/${k}/${session}`);
      redraw();
      drawTally();
    });
    line.append(field);
  } else if (changed === undefined) line.append(make("span", { class: "words" }, make("bdi", {}, old)));
  else line.append(make("span", { class: "words" }, make("del", {}, make("bdi", {}, old)), " ", make("ins", {}, make("bdi", {}, changed))));
  line.append(...hiddenTag(changed ?? old));
  if (right) line.append(make("span", { class: "tag", lang: "en" }, "✓ right"));
  node.append(line, error, ...findingList(item, ([, language, choice]) => language === code && choice === k));
  return node;
};
const versionNode = (item, code) => {
  const options = item.v[code] ? item.v[code][2].length : 1;
  const article = make("article", { lang: code, "data-language": code, "aria-label": english(code) });
  article.style.setProperty("--options", options);
  const own = data.languages[code][1];
  const head = make("div", { class: "head" }, make("h3", { lang: "en", dir: "ltr" }, english(code), " ", own && own !== english(code) ? make("bdi", { lang: code, class: "own" }, own) : ""));
  article.append(head);
  const version = item.v[code];
  if (!version) {
    head.append(make("p", { class: "error", lang: "en" }, "No version in this language: reject or redo."), ...findingList(item, ([, language]) => language === code));
    return article;
  }
  head.append(...findingList(item, ([, language, choice]) => language === code && (choice === null || version[2][choice] === undefined)));
  const passage = make("p", { class: "passage", dir: direction(code) });
  const list = make("ol", { class: "options", dir: direction(code) });
  const redraw = () => {
    const record = recordOf(current);
    const found = drawPassage(item, code, version[2].map((old, k) => newText(record, code, k) ?? old), passage);
    [...list.children].forEach((node, k) => {
      node.classList.toggle("absent", !found[k]);
      const words = problem(item, record, code, k);
      node.querySelector(".error").textContent = words;
      const field = node.querySelector("textarea");
      if (field) field.setAttribute("aria-invalid", words ? "true" : "false");
    });
  };
  list.append(...version[2].map((_, k) => optionNode(item, recordOf(current), code, k, redraw)));
  redraw();
  article.append(make("p", { class: "question", dir: direction(code) }, version[1], ...hiddenTag(version[1])), list, passage);
  return article;
};

const draw = () => {
  if (!items.length) {
    byId("item").replaceChildren(make("p", {}, "Nothing to review: no question needs a decision."));
    return;
  }
  const item = items[current];
  const record = recordOf(current);
  const title = make("h2", { tabindex: "-1", id: "place" }, `Question ${current + 1} of ${items.length} `, make("code", {}, item.id));
  if (record.verdict) title.append(" ", make("span", { class: `chip ${record.verdict}` }, PAST[record.verdict]));
  if (hasEdits(record)) title.append(" ", make("span", { class: "chip" }, "edited"));
  if (!view.includes(current)) title.append(" ", make("span", { class: "chip" }, "outside the filter"));
  const parts = [title];
  const remarks = [];
  if (item.attempts > 1) remarks.push(`the model was asked ${item.attempts} times`);
  if (item.before) {
    const { verdict, reviewer: who, note, edits, current: same } = item.before;
    const changes = Object.entries(edits).flatMap(([code, by]) => Object.entries(by).map(([k, text]) => `${english(code)} ${letter(Number(k))} “${text}”`));
    remarks.push(`${same ? "decided before" : "an earlier content was decided"}: ${[PAST[verdict].toLowerCase(), ...changes].join(", ")} by ${who}${note ? ` (${note})` : ""}`);
  }
  if (remarks.length) parts.push(make("p", { class: "muted" }, remarks.join("; ")));
  parts.push(...findingList(item, ([, language]) => language === null || !(language in data.languages)));
  const shown = shownLanguages();
  const covered = codes.filter((code) => !shown.includes(code) && item.f.some(([, language]) => language === code));
  if (covered.length) parts.push(make("p", { class: "notice" }, `Findings in languages that are off the screen: ${covered.map(english).join(", ")}.`));
  parts.push(make("div", { class: "side" }, ...shown.map((code) => versionNode(item, code))));
  const note = make("textarea", { id: "note", rows: "2", dir: "auto" });
  note.value = record.note;
  note.addEventListener("focus", () => { session += 1; });
  note.addEventListener("input", () => {
    change(current, { note: note.value }, `${current}/note/${session}`);
    drawTally();
  });
  parts.push(make("p", { class: "note" }, make("label", { for: "note" }, "Note"), note));
  byId("item").replaceChildren(...parts);
  document.querySelector('[data-act="e"]').setAttribute("aria-pressed", String(editing));
  for (const word of ["a", "r", "d"]) {
    document.querySelector(`[data-act="${word}"]`).setAttribute("aria-pressed", String(record.verdict === { a: "accept", r: "reject", d: "redo" }[word]));
  }
};

const firstOpen = () => Math.max(0, items.findIndex((_, index) => verdictOf(index) === null));
const decided = () => items.reduce((n, _, index) => n + (verdictOf(index) !== null), 0);
const drawTally = () => {
  const counts = { accept: 0, reject: 0, redo: 0 };
  items.forEach((_, index) => {
    const verdict = verdictOf(index);
    if (verdict) counts[verdict] += 1;
  });
  const done = counts.accept + counts.reject + counts.redo;
  byId("bar").value = done;
  byId("tally").textContent = `${done} of ${items.length} decided: ${counts.accept} accepted, ${counts.reject} rejected, ${counts.redo} to redo${unsaved ? " · not saved yet" : ""}`;
};
