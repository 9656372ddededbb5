"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const items = data.items;
  const codes = Object.keys(data.languages);
  const PAST = { accept: "Accepted", reject: "Rejected", redo: "To be written again" };
  const INITIALS = /^[\p{L}\p{N}][\p{L}\p{N}_.-]{0,15}$/u;
  const LONGEST_SOUGHT = 2000; // characters of an option that is looked for in the passage

  let reviewer = "";
  let records = new Map(); // hash of the content -> {verdict, note, edits, at, languages}
  let history = []; // {index, before, session}: what u takes back
  let session = 0; // counts the visits to a text field; one visit is one undo
  let current = 0;
  let view = [];
  let editing = false;
  let unsaved = false;
  let hidden = new Set();

  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) node.setAttribute(name, value);
    node.append(...children); // strings become text nodes, whatever is in them
    return node;
  };
  const letter = (k) => (k < 26 ? String.fromCharCode(65 + k) : String(k + 1));
  const english = (code) => (data.languages[code] ? data.languages[code][0] : code);
  const direction = (code) => (data.languages[code] ? data.languages[code][2] : "auto");
  const say = (text) => { byId("status").textContent = text; };
  const warn = (text) => {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  };
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // What this browser keeps. A page opened as a file may be refused storage, or have little.
  const place = (name) => `crossin-review/${data.review}/${name}`;
  const kept = (name) => {
    try { return localStorage.getItem(name); } catch { return null; }
  };
  const keep = (name, text) => {
    try {
      localStorage.setItem(name, text);
      return true;
    } catch {
      warn("This browser does not keep decisions for this page. Save (s) before you leave it, and now and then.");
      return false;
    }
  };

  const blank = () => ({ verdict: null, note: "", edits: {}, at: "", languages: [] });
  const recordOf = (index) => records.get(items[index].sha) || blank();
  // A verdict of an earlier round on this very content stands; a question sent back and written the same again does not.
  const standing = (item) => (item.before && item.before.current && item.before.verdict !== "redo" ? item.before.verdict : null);
  const verdictOf = (index) => recordOf(index).verdict ?? standing(items[index]);
  const fileName = () => `decisions-${reviewer}-${data.review.slice(0, 8)}.json`; // a second round has another name
  const hasEdits = (record) => Object.values(record.edits).some((by) => Object.keys(by).length);
  const newText = (record, code, k) => (record.edits[code] || {})[k];
  const onScreen = () => {
    const shown = codes.filter((code) => !hidden.has(code));
    return shown.length ? shown : codes;
  };
  const absent = (item) => codes.filter((code) => !item.v[code]);

  const document_ = () => ({
    format: data.format,
    version: data.version,
    title: document.title,
    reviewer,
    saved: new Date().toISOString(),
    decisions: items.flatMap((item) => {
      const record = records.get(item.sha);
      return record ? [{ id: item.id, sha256: item.sha, ...record }] : [];
    }),
  });
  const persist = () => {
    unsaved = true;
    keep(place(reviewer || "-"), JSON.stringify(document_()));
  };
  const change = (index, patch, visit) => {
    const before = records.get(items[index].sha);
    const top = history[history.length - 1];
    if (!visit || !top || top.session !== visit) history.push({ index, before, session: visit });
    const languages = onScreen().filter((code) => items[index].v[code]);
    records.set(items[index].sha, { ...recordOf(index), ...patch, at: new Date().toISOString(), languages });
    persist();
  };

  // Reading a file of decisions: any shape may come, and only ours gets in.
  const isText = (value) => typeof value === "string";
  const readDecisions = (text) => {
    const raw = JSON.parse(text);
    if (!raw || raw.format !== data.format || raw.version !== data.version || !Array.isArray(raw.decisions) || !INITIALS.test(raw.reviewer)) {
      throw new Error("it is no file of decisions that this page saved");
    }
    const known = new Map(items.map((item) => [item.sha, item]));
    const found = new Map();
    let stale = 0;
    for (const entry of raw.decisions) {
      const item = entry && known.get(entry.sha256);
      if (!item) {
        stale += 1;
        continue;
      }
      const verdict = isText(entry.verdict) && Object.hasOwn(PAST, entry.verdict) ? entry.verdict : null;
      const edits = {};
      for (const [code, version] of Object.entries(item.v)) {
        const by = (entry.edits || {})[code];
        version[2].forEach((_, k) => {
          if (k !== item.gold && by && isText(by[k]) && !isText(by)) (edits[code] ||= {})[k] = by[k];
        });
      }
      const languages = Array.isArray(entry.languages) ? entry.languages.filter((code) => codes.includes(code)) : [];
      found.set(item.sha, { verdict, note: isText(entry.note) ? entry.note : "", edits, at: isText(entry.at) ? entry.at : "", languages });
    }
    return { reviewer: raw.reviewer.toUpperCase(), found, stale };
  };

  const becomes = (name) => {
    const before = reviewer ? new Map() : records; // what was typed before the initials were known is theirs
    reviewer = name;
    byId("who").textContent = name;
    byId("who").setAttribute("aria-label", `Your initials: ${name}. Change`);
    keep("crossin-review/initials", name);
    records = before;
    history = [];
    unsaved = before.size > 0;
    const text = kept(place(name));
    if (text) {
      try {
        const { found } = readDecisions(text);
        records = new Map([...found, ...before]);
        if (found.size) warn(`${plural(found.size, "decision")} of ${name} restored from this browser. Save (s) to have them as a file.`);
        unsaved ||= found.size > 0;
      } catch { /* another version's leftovers */ }
    }
  };

  const load = async (file) => {
    try {
      const { reviewer: name, found, stale } = readDecisions(await file.text());
      if (reviewer !== name) {
        if (records.size) {
          warn(`Not loaded: the file holds decisions of ${name}, and this review is ${reviewer}'s. Change the initials first.`);
          return;
        }
        becomes(name);
      }
      let taken = 0;
      for (const [sha, record] of found) {
        const own = records.get(sha);
        if (!own || own.at < record.at) {
          records.set(sha, record);
          taken += 1;
        }
      }
      history = [];
      persist();
      unsaved = taken < found.size || records.size > found.size;
      const old = stale ? ` ${plural(stale, "decision")} left out: made on contents that have changed since or are not in this review.` : "";
      warn(`${plural(taken, "decision")} of ${name} loaded.${old}`);
      go(firstOpen());
    } catch (error) {
      warn(`Not loaded: ${error instanceof SyntaxError ? "the file is not JSON, it may be cut short" : error.message}.`);
    }
  };

  const save = () => {
    if (!reviewer) {
      ask();
      return;
    }
    const made = new Blob([`${JSON.stringify(document_(), null, 1)}\n`], { type: "application/json" });
    const link = make("a", { href: URL.createObjectURL(made), download: fileName() });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    const undecided = items.length - decided();
    warn(`${fileName()}: saved to your downloads. ${undecided ? `${undecided} still undecided.` : "Everything is decided."} Put it into the build's folder decisions/.`);
    drawTally();
  };

  // Characters that show nothing, or turn the text around, are named beside it.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff]/g;
  const hiddenTag = (text) => {
    const found = new Set([...text.matchAll(HIDDEN)].map(([c]) => `U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
    return found.size ? [" ", make("span", { class: "tag hidden-signs", lang: "en", dir: "ltr" }, `hidden: ${[...found].join(" ")}`)] : [];
  };

  // Where the options stand in a passage. Whole words first; in scripts without spaces, and where a word carries an
  // ending, any place; a number never inside a longer one.
  const sought = (text, code, passage) => {
    if (!text.trim() || text.length > LONGEST_SOUGHT) return null;
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
      return null; // an odd character, or too large for the engine
    }
  };
  const drawPassage = (item, code, options, node) => {
    const passage = item.v[code] ? data.passages[code][item.v[code][0]] : "";
    const patterns = options.map((text) => sought(text, code, passage));
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
    if (!text.trim()) return "Empty: write words, or the old ones.";
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
    const told = [];
    if (item.attempts > 1) told.push(`the model was asked ${item.attempts} times`);
    if (item.before) {
      const { verdict, reviewer: who, note, edits, current: same } = item.before;
      const changes = Object.entries(edits).flatMap(([code, by]) => Object.entries(by).map(([k, text]) => `${english(code)} ${letter(Number(k))} “${text}”`));
      told.push(`${same ? "decided before" : "an earlier content was decided"}: ${[PAST[verdict].toLowerCase(), ...changes].join(", ")} by ${who}${note ? ` (${note})` : ""}`);
    }
    if (told.length) parts.push(make("p", { class: "muted" }, told.join("; ")));
    parts.push(...findingList(item, ([, language]) => language === null || !(language in data.languages)));
    const shown = onScreen();
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

  const controls = byId("filters").elements;
  const filter = () => {
    const [state, reason, language] = [controls.state.value, controls.reason.value, controls.language.value];
    const part = controls.contains.value.trim().toLowerCase();
    const fits = (item, index) => {
      const record = recordOf(index);
      const states = { "": true, undecided: verdictOf(index) === null, edited: hasEdits(record), noted: Boolean(record.note.trim()) };
      if (!(states[state] ?? verdictOf(index) === state)) return false;
      if ((reason || language) && !item.f.some(([code, where]) => (!reason || code === reason) && (!language || where === language))) return false;
      return !part || item.id.toLowerCase().includes(part) || Object.values(item.v).some(([, question, options]) => [question, ...options].some((text) => text.toLowerCase().includes(part)));
    };
    view = items.map((_, index) => index).filter((index) => fits(items[index], index));
    byId("shown").textContent = view.length === items.length ? "" : `(${view.length} of ${items.length})`;
  };
  const refilter = () => {
    filter();
    if (!view.length) say("No question fits the filter.");
    if (!view.includes(current) && view.length) go(view.find((index) => index > current) ?? view[0]);
    else draw();
  };

  const go = (index, quiet) => {
    current = index;
    editing = false;
    filter();
    draw();
    drawTally();
    window.scrollTo(0, 0);
    if (!items.length) return;
    byId("place").focus({ preventScroll: true });
    if (!quiet) say(`Question ${current + 1} of ${items.length}`);
  };
  const step = (by) => {
    filter();
    const next = by > 0 ? view.find((index) => index > current) : view.findLast((index) => index < current);
    if (next !== undefined) {
      go(next);
      return true;
    }
    say(by > 0 ? "This is the last one of the filter." : "This is the first one of the filter.");
    return false;
  };
  const decide = (verdict) => {
    if (!reviewer) {
      ask();
      return;
    }
    const item = items[current];
    const wrong = verdict !== "accept" ? "" : absent(item).length ? `No version in ${absent(item).map(english).join(", ")}: reject it, or have it written again.` : firstProblem(item, recordOf(current));
    if (wrong) {
      warn(`Not accepted. ${wrong}`);
      return;
    }
    warn("");
    change(current, { verdict });
    const told = `${PAST[verdict]}: question ${current + 1}.`;
    if (!byId("advance").checked || !step(1)) go(current, true);
    const left = items.length - decided();
    say(`${told} ${left ? `${left} undecided.` : "Everything is decided: press s to save."}`);
    if (!left) warn("Everything is decided. Save (s) your decisions as a file.");
  };
  const undo = () => {
    const last = history.pop();
    if (!last) {
      say("Nothing to undo.");
      return;
    }
    // A verdict that is taken back is kept as none, so that it also counts against an older file.
    records.set(items[last.index].sha, { ...(last.before || blank()), at: new Date().toISOString() });
    persist();
    go(last.index);
    say(`Undone: question ${last.index + 1}.`);
  };
  const edit = () => {
    editing = !editing;
    draw();
    if (editing) document.querySelector(".options textarea")?.focus();
    else byId("place").focus({ preventScroll: true });
  };
  const ask = () => {
    byId("initials").value = reviewer;
    byId("ask-error").textContent = "";
    if (!byId("ask").open) byId("ask").showModal();
  };

  const acts = {
    j: () => step(1),
    k: () => step(-1),
    a: () => decide("accept"),
    r: () => decide("reject"),
    d: () => decide("redo"),
    e: edit,
    n: () => byId("note").focus(),
    u: undo,
    s: save,
    "?": () => {
      byId("manual").showModal();
      byId("manual-title").focus();
    },
  };
  // On a Cyrillic, Greek or Arabic keyboard the key in the place of `a` decides as `a` does.
  const keyOf = (event) => (/^Key[A-Z]$/.test(event.code) && !/^[a-z]$/i.test(event.key) ? event.code[3].toLowerCase() : event.key.toLowerCase());
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey || event.isComposing) return;
    const typing = event.target.matches("textarea, select, input:not([type=checkbox])");
    if (event.ctrlKey || event.metaKey) {
      if (keyOf(event) === "s") save();
      else if (event.key === "Enter" && event.target.matches("main textarea")) decide("accept");
      else return;
      event.preventDefault();
      return;
    }
    if (typing && event.key === "Escape" && event.target.matches("main textarea")) {
      event.preventDefault();
      if (editing) edit();
      else byId("place").focus({ preventScroll: true });
      return;
    }
    const key = keyOf(event);
    if (typing || !Object.hasOwn(acts, key) || (!byId("keys").checked && key !== "?")) return;
    if (!items.length && key !== "?") return;
    event.preventDefault();
    if (event.repeat && !"jk".includes(key)) return; // a key held down must not decide a hundred questions
    acts[key]();
  });
  for (const button of document.querySelectorAll("[data-act]")) {
    button.disabled = !items.length;
    button.addEventListener("click", () => acts[button.dataset.act]());
  }
  byId("save").addEventListener("click", save);
  byId("help").addEventListener("click", acts["?"]);
  byId("who").addEventListener("click", ask);
  byId("load").addEventListener("change", async (event) => {
    if (event.target.files.length) await load(event.target.files[0]);
    event.target.value = "";
  });
  byId("ask-cancel").addEventListener("click", () => byId("ask").close());
  byId("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("initials").value.trim().toUpperCase();
    if (!INITIALS.test(name)) {
      byId("ask-error").textContent = "1 to 16 letters or digits.";
      return;
    }
    if (reviewer && name !== reviewer && unsaved) {
      byId("ask-error").textContent = `Save the decisions of ${reviewer} first.`;
      return;
    }
    byId("ask").close();
    if (name !== reviewer) becomes(name);
    go(firstOpen());
  });
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    byId("theme").setAttribute("aria-pressed", String(!dark));
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
  window.addEventListener("storage", (event) => {
    if (reviewer && event.key === place(reviewer)) warn("Another tab of this browser is deciding, too. Close one of them; reload to see what the other did.");
  });

  // Filters.
  const reasons = new Map();
  for (const item of items) for (const code of new Set(item.f.map(([reason]) => reason))) reasons.set(code, (reasons.get(code) || 0) + 1);
  for (const [code, n] of [...reasons].sort(([a], [b]) => (a < b ? -1 : 1))) controls.reason.append(make("option", { value: code }, `${code.replaceAll("_", " ")} (${n})`));
  for (const code of [...reasons.keys()].sort()) {
    if (data.reasons[code]) byId("reasons").append(make("dt", {}, code.replaceAll("_", " ")), make("dd", {}, data.reasons[code]));
  }
  for (const code of codes) {
    controls.language.append(make("option", { value: code }, english(code)));
    const box = make("input", { type: "checkbox", value: code });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(code);
      else hidden.add(code);
      keep(place("hidden"), JSON.stringify([...hidden]));
      draw();
    });
    byId("languages").append(make("label", {}, box, ` ${english(code)}`));
  }
  try {
    hidden = new Set(JSON.parse(kept(place("hidden")) || "[]").filter((code) => codes.includes(code)));
  } catch { /* keep all */ }
  for (const box of byId("languages").querySelectorAll("input")) box.checked = !hidden.has(box.value);
  for (const name of ["state", "reason", "language"]) controls[name].addEventListener("change", refilter);
  controls.contains.addEventListener("input", refilter);
  controls.place.addEventListener("change", () => {
    const index = Number(controls.place.value) - 1;
    if (Number.isInteger(index) && items[index]) go(index);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  if (matchMedia("(min-width: 50rem)").matches) byId("filter-box").open = true;

  const name = kept("crossin-review/initials");
  if (name && INITIALS.test(name)) becomes(name);
  go(firstOpen(), true);
  if (!reviewer && items.length) ask();
  document.documentElement.dataset.ready = "yes";
})();
