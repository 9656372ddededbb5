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

// Permalinks: the fragment says what is shown, in the words a reader sees (#benchmark=cross_mmlu&sort=AC3:ascending).
const shown = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
const remember = (name, value) => {
  const parts = shown();
  if (value) parts.set(name, value);
  else parts.delete(name);
  history.replaceState(null, "", parts.toString() ? `#${parts}` : "#");
};
const nameOf = (control) => control.name || control.id;
const said = (control) => {
  if (control.tagName !== "SELECT") return control.value;
  return control.selectedIndex > 0 ? control.selectedOptions[0].text : ""; // the first option is the default
};
const restore = (control) => {
  const wanted = shown().get(nameOf(control)) || "";
  if (control.tagName !== "SELECT") {
    control.value = wanted;
    return;
  }
  control.selectedIndex = Math.max(0, [...control.options].findIndex((option) => option.text === wanted));
};
const fill = (select, options) => {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  restore(select);
};
const onChange = (control, then) => control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => {
  remember(nameOf(control), said(control));
  then();
});

// Downloads: what is shown, as CSV. Text that a spreadsheet would take for a formula gets an apostrophe.
const csvCell = (value) => {
  const text = String(value ?? "");
  const safe = typeof value === "string" && Number.isNaN(Number(text)) && /^\s*[=+\-@＝＋－＠]/u.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const download = (name, table) => {
  const text = table.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

// Leaderboard: sort and filter. Baselines are in the table's foot and are not sorted.
const board = byId("board");
const body = board.tBodies[0];
const rows = [...body.rows];
const feet = [...board.tFoot.rows];
const heads = [...board.tHead.rows[0].cells];
const titles = heads.map((head) => head.textContent.trim());
const keyOf = (row, column, kind) => {
  const cell = row.cells[column];
  if (kind === "text") return cell.textContent.trim().toLowerCase();
  const raw = cell.dataset.v ?? cell.textContent.trim();
  return raw === "" || Number.isNaN(Number(raw)) ? null : Number(raw);
};
const sortBy = (column, direction) => {
  for (const head of heads) head.removeAttribute("aria-sort");
  if (column < 0) {
    body.append(...rows); // as the report ranks them
    return;
  }
  const kind = heads[column].dataset.sort;
  const sign = direction === "ascending" ? 1 : -1;
  heads[column].setAttribute("aria-sort", direction);
  const keyed = rows.map((row) => [keyOf(row, column, kind), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // rows without a value stay below
    return sign * (kind === "text" ? a.localeCompare(b) : a - b);
  });
  body.append(...keyed.map(([, row]) => row));
};
heads.forEach((head, column) => {
  const button = make("button", { type: "button" });
  button.append(...head.childNodes);
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const before = head.getAttribute("aria-sort");
    const first = head.dataset.sort === "number" && column > 0 ? "descending" : "ascending";
    const direction = before === first ? { ascending: "descending", descending: "ascending" }[first] : first;
    sortBy(column, direction);
    remember("sort", `${titles[column]}:${direction}`);
  });
});
const filters = byId("filters");
const controls = [...filters.querySelectorAll("select, input")];
const applyFilters = () => {
  const wanted = new FormData(filters);
  const part = String(wanted.get("model") || "").trim().toLowerCase();
  const fits = (row, names) => names.every((name) => !wanted.get(name) || row.dataset[name] === wanted.get(name));
  let visible = 0;
  for (const row of rows) {
    const folded = row.classList.contains("seed") && !wanted.get("seeds");
    row.hidden = folded || !fits(row, ["benchmark", "formulation", "setup", "arm"]) || !row.cells[1].textContent.toLowerCase().includes(part);
    visible += row.hidden ? 0 : 1;
  }
  for (const row of feet) row.hidden = !fits(row, ["benchmark", "setup"]);
  byId("shown").textContent = `${visible} of ${rows.length} rows`;
};
for (const control of controls) onChange(control, applyFilters);
filters.addEventListener("submit", (event) => event.preventDefault());
byId("board-csv").addEventListener("click", () => {
  const lines = [...body.rows, ...feet].filter((row) => !row.hidden).map((row) => {
    const text = (part) => part.textContent.trim();
    const [rank, model, ...scores] = [...row.cells];
    const tags = [...model.querySelectorAll(".tag")].map(text).join("; ");
    const named = [text(rank), text(model.querySelector("bdi")), tags, row.dataset.benchmark, row.dataset.setup];
    return [...named, ...scores.slice(0, 3).flatMap((cell) => [cell.dataset.v, cell.dataset.low, cell.dataset.high]), ...scores.slice(4).map((cell) => cell.dataset.v)];
  });
  const scores = titles.slice(2, 5).flatMap((title) => [title, `${title} low`, `${title} high`]);
  const head = ["Rank", "Model", "Remarks", "Benchmark", "Set-up", ...scores, ...titles.slice(6)];
  download("leaderboard.csv", [head, ...lines.map((line) => head.map((_, i) => line[i]))]);
});
const drawBoard = () => {
  for (const control of controls) restore(control);
  const [title, direction] = (shown().get("sort") || "").split(":");
  sortBy(titles.indexOf(title), direction);
  applyFilters();
};
byId("tools").hidden = false;
byId("tools").open = matchMedia("(min-width: 40rem)").matches || location.hash.includes("=");
drawBoard();

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
// One scale for all models, in whole tens of percent, so that the same shade is the same share throughout.
const allPairs = data.entries.flatMap((entry) => entry.pairs).filter((value) => value !== null);
const palest = Math.min(0.8, Math.floor(10 * allPairs.reduce((a, b) => Math.min(a, b), 1)) / 10);
const deepest = Math.max(palest + 0.2, Math.ceil(10 * allPairs.reduce((a, b) => Math.max(a, b), 0)) / 10);
const scale = () => {
  const bar = make("span", { class: "scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(to right, ${shade(palest, palest, deepest)[0]}, ${shade(deepest, palest, deepest)[0]})`;
  return make("p", { class: "muted" }, `${percent(palest)}% `, bar, ` ${percent(deepest)}%, the same scale for every model`);
};
const drawPairs = (entry) => {
  if (!entry.pairs.length) return make("p", { class: "muted" }, "No language pairs: one language, or scores without samples.");
  const rows = entry.langs.map((code, i) => make("tr", {}, rowHead(languageName(code)), ...entry.langs.map((_, j) => {
    if (i === j) return make("td");
    const value = pairOf(entry, i, j);
    const cell = make("td", {}, percent(value));
    if (value !== null) [cell.style.background, cell.style.color] = shade(value, palest, deepest);
    return cell;
  })));
  const head = [make("td"), ...entry.langs.map((code) => columnHead(make("abbr", { title: languageName(code) }, code)))];
  const caption = `Consistency of language pairs: share of questions with one answer in both, in percent.`;
  const table = drawTable("heat", "Consistency of language pairs", caption, head, rows);
  return make("div", {}, table, scale());
};
// Why two languages disagree: the share of the questions for each reason.
const REASON_TEXTS = {
  unanswered: "an answer is missing",
  letter: "the letter decides, not the option",
  tie: "the two answers are nearly as probable",
  prompt: "another prompt brings the other answer",
  ignorance: "one language is unsure, or wrong where the other is right",
  belief: "both are sure, of different answers",
  unclear: "both wrong; nothing tells how sure they are",
};
const pairNames = (langs) => langs.flatMap((a, i) => langs.slice(i + 1).map((b) => `${a} ${b}`));
const drawReasons = (entry, number) => {
  const set = data.sets.find((one) => one.shares[number]);
  if (!set) return [];
  const seen = data.reasons.map((_, i) => i).filter((i) => set.shares[number].some((pair) => pair[i] > 0));
  const total = (pair) => pair.reduce((a, b) => a + b, 0);
  const pairs = pairNames(set.langs).map((name, i) => [name, set.shares[number][i]]).sort((a, b) => total(b[1]) - total(a[1]));
  const mean = data.reasons.map((_, i) => pairs.reduce((sum, [, pair]) => sum + pair[i], 0) / pairs.length);
  const cells = (pair) => [total(pair), ...seen.map((i) => pair[i])].map((value) => make("td", { class: "n" }, percent(value)));
  const rows = [["all pairs", mean], ...pairs.slice(0, 20)].map(([name, pair]) => make("tr", {}, rowHead(name), ...cells(pair)));
  const names = ["Disagree", ...seen.map((i) => make("abbr", { title: REASON_TEXTS[data.reasons[i]] }, data.reasons[i]))];
  const head = [columnHead("Languages"), ...names.map((name) => make("th", { scope: "col", class: "n" }, name))];
  const [again, across, ratio] = set.floors[number] || [];
  const floor = again === undefined ? [] : [make("p", {}, `Asked again with another prompt, it gives the same answer in ${percent(again)}% of cases in the same language${across === undefined ? "" : `, and in ${percent(across)}% in another (ratio ${ratio === undefined ? "–" : ratio.toFixed(2)}; 1 would mean that languages matter no more than prompts)`}.`)];
  const caption = "Why languages disagree: share of the questions, in percent.";
  const meanings = seen.map((i) => `${data.reasons[i]}: ${REASON_TEXTS[data.reasons[i]]}`).join("; ");
  return [drawTable("why", "Why languages disagree", caption, head, rows), make("p", { class: "muted" }, `${meanings}.`), ...floor];
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
  byId("why-shares").replaceChildren(...drawReasons(entry, chooser.value));
};
byId("entry-form").hidden = withLanguages.length === 0;
onChange(chooser, drawLanguages);
byId("entry-form").addEventListener("submit", (event) => event.preventDefault());
drawLanguages();

