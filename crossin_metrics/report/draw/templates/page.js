const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
// Text enters the page as text nodes only.
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const percent = (value) => (value === null || value === undefined ? "–" : (100 * value).toFixed(1));
const languageName = (code) => (data.languages[code] ? data.languages[code][0] : code);
const fill = (select, options) => {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
};

// Leaderboard: sort and filter.
const board = byId("board");
const body = board.tBodies[0];
const rows = [...body.rows];
const keyOf = (row, column, kind) => {
  const cell = row.cells[column];
  if (kind === "text") return cell.textContent.trim().toLowerCase();
  const raw = cell.dataset.v ?? cell.textContent.trim();
  return raw === "" || Number.isNaN(Number(raw)) ? null : Number(raw);
};
[...board.tHead.rows[0].cells].forEach((head, column) => {
  if (!head.dataset.sort) return;
  const button = make("button", { type: "button" });
  button.append(...head.childNodes);
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const kind = head.dataset.sort;
    const before = head.getAttribute("aria-sort");
    const first = kind === "number" && column > 0 ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = before === first ? other : first;
    for (const cell of board.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = rows.map((row) => [keyOf(row, column, kind), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // rows without a value stay below
      return sign * (kind === "text" ? a.localeCompare(b) : a - b);
    });
    body.append(...keyed.map(([, row]) => row));
  });
});
const filters = byId("filters");
filters.hidden = false;
const applyFilters = () => {
  const wanted = new FormData(filters);
  const part = String(wanted.get("model") || "").trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    const fits = ["benchmark", "formulation", "setup", "arm"].every((name) => {
      const value = wanted.get(name);
      const baseline = row.classList.contains("baseline") && (name === "formulation" || name === "arm");
      return !value || baseline || row.dataset[name] === value;
    });
    row.hidden = !(fits && row.cells[1].textContent.toLowerCase().includes(part));
    shown += row.hidden ? 0 : 1;
  }
  byId("shown").textContent = `${shown} of ${rows.length} rows`;
};
for (const event of ["input", "change"]) filters.addEventListener(event, applyFilters);
filters.addEventListener("submit", (event) => event.preventDefault());
applyFilters();

// Languages: accuracy of each, and the share of questions on which two agree.
const describe = (entry) => [entry.model, entry.benchmark, entry.setup || entry.kind].join(" · ");
const shade = (value, low, high) => {
  const t = (value - low) / (high - low);
  const light = [238, 243, 249];
  const deep = [8, 64, 129];
  const colour = light.map((start, i) => Math.round(start + t * (deep[i] - start)));
  const [r, g, b] = colour.map((x) => x / 255).map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b; // black and white have the same contrast at 0.179
  return [`rgb(${colour.join(",")})`, luminance > 0.179 ? "#000000" : "#ffffff"];
};
const pairOf = (entry, i, j) => {
  const [a, b] = i < j ? [i, j] : [j, i];
  const n = entry.langs.length;
  return entry.pairs[a * n - (a * (a + 1)) / 2 + (b - a - 1)];
};
const drawTable = (className, name, caption, head, rows) =>
  make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": name },
    make("table", { class: className }, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
const columnHead = (content) => make("th", { scope: "col" }, content);
const rowHead = (text) => make("th", { scope: "row" }, text);
const drawAccuracy = (entry) => {
  const rows = entry.langs.map((code, i) => {
    const fill = make("i", { class: "fill" });
    fill.style.width = `${percent(entry.acc[i])}%`;
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, fill);
    if (entry.constant !== null) {
      const line = make("i", { class: "line" });
      line.style.left = `${percent(entry.constant)}%`;
      bar.append(line);
    }
    return make("tr", {}, rowHead(languageName(code)), make("td", { class: "n" }, percent(entry.acc[i])), make("td", {}, bar));
  });
  for (const [name, value] of [["Baseline: best constant letter", entry.constant], ["Baseline: random answers", entry.random]]) {
    if (value !== null) rows.push(make("tr", { class: "baseline" }, rowHead(name), make("td", { class: "n" }, percent(value)), make("td")));
  }
  const head = [columnHead("Language"), columnHead("Accuracy"), make("td")];
  return drawTable("accuracy", "Accuracy by language", "Accuracy in percent. The line is the best constant letter's.", head, rows);
};
const drawPairs = (entry) => {
  if (!entry.pairs.length) return make("p", { class: "muted" }, "No language pairs: one language, or scores without samples.");
  const known = entry.pairs.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const middle = (low + high) / 2; // shades span 20 points at least, so that small differences do not look large
  const [palest, deepest] = [Math.min(low, middle - 0.1), Math.max(high, middle + 0.1)];
  const rows = entry.langs.map((code, i) => make("tr", {}, rowHead(languageName(code)), ...entry.langs.map((_, j) => {
    if (i === j) return make("td");
    const value = pairOf(entry, i, j);
    const cell = make("td", {}, percent(value));
    if (value !== null) [cell.style.background, cell.style.color] = shade(value, palest, deepest);
    return cell;
  })));
  const head = [make("td"), ...entry.langs.map((code) => columnHead(make("abbr", { title: languageName(code) }, code)))];
  const caption = `Consistency of language pairs: share of questions with one answer in both, in percent (${percent(low)} to ${percent(high)}).`;
  return drawTable("heat", "Consistency of language pairs", caption, head, rows);
};
const chooser = byId("entry");
const withLanguages = data.entries.map((entry, i) => [entry, i]).filter(([entry]) => entry.langs.length);
fill(chooser, withLanguages.map(([entry, i]) => [i, describe(entry)]));
const drawLanguages = () => {
  const entry = data.entries[chooser.value];
  if (!entry) {
    byId("accuracy").replaceChildren(make("p", { class: "muted" }, "No run has scores by language."));
    return;
  }
  byId("accuracy").replaceChildren(drawAccuracy(entry));
  byId("pairs").replaceChildren(drawPairs(entry));
};
byId("entry-form").hidden = withLanguages.length === 0;
chooser.addEventListener("change", drawLanguages);
byId("entry-form").addEventListener("submit", (event) => event.preventDefault());
drawLanguages();

// Questions: one model's answer in every language, side by side.
const PAGE = 20;
const digits = "0123456789abcdefghijklmnopqrstuvwxyz";
const letter = (option) => (option < 26 ? String.fromCharCode(65 + option) : String(option + 1));
const [sets, answerer, prompt, which, contains] = ["set", "answerer", "prompt", "which", "contains"].map(byId);
let start = 0;
const chosenSet = () => data.sets[sets.value];
const answersOf = (set, question) => {
  const text = set.answers[answerer.value][prompt.value];
  const width = set.langs.length;
  return [...text.slice(question * width, (question + 1) * width)].map((c) => (c === "." ? -1 : digits.indexOf(c)));
};
const fits = (set, question) => {
  const answers = answersOf(set, question);
  const right = answers.filter((answer) => answer === set.gold[question]).length;
  const agree = answers.every((answer) => answer === answers[0] && answer >= 0);
  const kinds = {
    all: true,
    disagree: !agree,
    split: right > 0 && right < answers.length,
    wrong: agree && right === 0,
    unread: answers.includes(-1),
  };
  if (!kinds[which.value]) return false;
  const part = contains.value.trim().toLowerCase();
  if (!part) return true;
  const texts = Object.values(set.texts[set.ids[question]] || {});
  return [set.ids[question], ...texts.flatMap((text) => [text.q, ...text.o])].some((text) => text.toLowerCase().includes(part));
};
const verdict = (answer, gold) => (answer < 0 ? "none" : answer === gold ? "right" : "wrong");
const verdictText = (answer, gold) => (answer < 0 ? "no answer" : `${letter(answer)}, ${answer === gold ? "right" : "wrong"}`);
const side = (set, question) => {
  const grid = make("div", { class: "side" });
  const answers = answersOf(set, question);
  const gold = set.gold[question];
  const responses = ((set.responses[answerer.value] || {})[prompt.value]) || {};
  set.langs.forEach((code, column) => {
    const text = (set.texts[set.ids[question]] || {})[code];
    const article = make("article", { lang: code });
    article.append(make("h3", { lang: "en" }, `${languageName(code)}: `, make("span", { class: verdict(answers[column], gold) }, verdictText(answers[column], gold))));
    if (text) {
      if (text.c) article.append(make("p", { class: "context", dir: "auto", tabindex: "0" }, text.c));
      article.append(make("p", { class: "text", dir: "auto" }, text.q));
      const list = make("ol", { dir: data.languages[code] ? data.languages[code][1] : "auto" });
      text.o.forEach((option, k) => {
        const picked = k === answers[column];
        const item = make("li", { class: `${picked ? "picked " : ""}${k === gold ? "right" : picked ? "wrong" : ""}` });
        item.append(`${letter(k)}. `, make("bdi", {}, option));
        if (k === gold) item.append(make("span", { lang: "en" }, " ✓"));
        if (picked) item.append(make("span", { lang: "en", "aria-label": "the model's answer" }, " ◄"));
        list.append(item);
      });
      article.append(list);
    }
    const response = responses[`${question},${column}`];
    if (response !== undefined) article.append(make("blockquote", { dir: "auto", tabindex: "0", title: "the model's response" }, response === "" ? "(empty)" : response));
    grid.append(article);
  });
  return grid;
};
const drawQuestions = () => {
  const set = chosenSet();
  const found = set.ids.map((_, question) => question).filter((question) => fits(set, question));
  start = Math.max(0, Math.min(start, Math.floor((found.length - 1) / PAGE) * PAGE));
  const capped = set.ids.length < set.all ? ` (the ${set.ids.length} of ${set.all} on which languages disagree most over all models are in this page)` : "";
  const bare = Object.keys(set.texts).length ? "" : " Texts are not in the files that were read; options go by letter.";
  byId("question-note").textContent = `${found.length} of ${set.ids.length} questions${capped}.${bare}`;
  const list = found.slice(start, start + PAGE).map((question) => {
    const texts = set.texts[set.ids[question]] || {};
    const shown = texts.en || Object.values(texts)[0];
    const answers = answersOf(set, question);
    const chips = make("span", { class: "chips" });
    set.langs.forEach((code, i) => chips.append(make("span", { class: `chip ${verdict(answers[i], set.gold[question])}` }, `${code} ${answers[i] < 0 ? "–" : letter(answers[i])}${answers[i] === set.gold[question] ? " ✓" : ""}`)));
    const summary = make("summary", {}, make("code", {}, set.ids[question]), make("bdi", { class: "head" }, shown ? shown.q.slice(0, 160) : `right: ${letter(set.gold[question])}`), chips);
    const item = make("details", { class: "question" }, summary);
    item.addEventListener("toggle", () => {
      if (item.open && item.children.length === 1) item.append(side(set, question));
    });
    return item;
  });
  byId("question-list").replaceChildren(...list);
  byId("pager").hidden = found.length <= PAGE;
  byId("place").textContent = `${start + 1} to ${Math.min(start + PAGE, found.length)} of ${found.length}`;
  byId("earlier").disabled = start === 0;
  byId("later").disabled = start + PAGE >= found.length;
};
const drawPrompts = () => {
  fill(prompt, Object.keys(chosenSet().answers[answerer.value]).map((name) => [name, name]));
  drawQuestions();
};
const drawAnswerers = () => {
  const numbers = Object.keys(chosenSet().answers);
  const twice = (number) => numbers.some((other) => other !== number && data.entries[other].model === data.entries[number].model);
  fill(answerer, numbers.map((number) => [number, data.entries[number].model + (twice(number) ? ` (${data.entries[number].setup})` : "")]));
  drawPrompts();
};
const restart = (draw) => () => {
  start = 0;
  draw();
};
if (data.sets.length) {
  byId("question-form").hidden = false;
  fill(sets, data.sets.map((set, i) => [i, `${set.benchmark} (${set.langs.join(", ")}; ${set.all})`]));
  sets.addEventListener("change", restart(drawAnswerers));
  answerer.addEventListener("change", restart(drawPrompts));
  for (const control of [prompt, which]) control.addEventListener("change", restart(drawQuestions));
  contains.addEventListener("input", restart(drawQuestions));
  byId("question-form").addEventListener("submit", (event) => event.preventDefault());
  const turn = (step) => () => {
    start += step;
    drawQuestions();
    byId("questions").scrollIntoView();
  };
  byId("earlier").addEventListener("click", turn(-PAGE));
  byId("later").addEventListener("click", turn(PAGE));
  drawAnswerers();
} else {
  byId("question-note").textContent = "No samples: there are no answers to show.";
}
document.documentElement.dataset.ready = "yes";
