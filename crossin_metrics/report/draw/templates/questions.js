// Questions: one model's answer in every language, side by side.
const PAGE = 20;
const digits = "0123456789abcdefghijklmnopqrstuvwxyz";
const letter = (option) => (option < 26 ? String.fromCharCode(65 + option) : String(option + 1));
const [sets, answerer, other, prompt, which, why, order, contains] = ["set", "answerer", "other", "prompt", "which", "why", "order", "contains"].map(byId);
let start = 0;
const chosenSet = () => data.sets[sets.value];
const promptOf = (set, number) => (prompt.value in set.answers[number] ? prompt.value : Object.keys(set.answers[number])[0]);
const answersOf = (set, question, number = answerer.value) => {
  const text = set.answers[number][promptOf(set, number)];
  const width = set.langs.length;
  return [...text.slice(question * width, (question + 1) * width)].map((c) => (c === "." ? -1 : digits.indexOf(c)));
};
// How probable an option was among the options, e.g. "62%"; "" where the run has no likelihoods.
const chanceOf = (set, question, column, option, number) => {
  const text = (set.chances[number] || {})[promptOf(set, number)];
  if (!text) return "";
  const at = 2 * ((question * set.langs.length + column) * set.options + option);
  const share = text.slice(at, at + 2);
  return share === ".." ? "" : share === "99" ? "≥99%" : `${Number(share)}%`;
};
const compared = () => (other.value === "" ? [answerer.value] : [answerer.value, other.value]);
// In how many languages two models differ; 0 with one model.
const nDiffer = (set, question) => {
  const [one, two] = compared().map((number) => answersOf(set, question, number));
  return two ? one.filter((answer, i) => answer !== two[i]).length : 0;
};
// The reasons why languages of a question disagree, pair by pair; "." where they agree, "" where unknown.
const reasonsOf = (set, question) => {
  const width = (set.langs.length * (set.langs.length - 1)) / 2;
  const text = (set.why[answerer.value] || {})[promptOf(set, answerer.value)] || "";
  return text.slice(question * width, (question + 1) * width);
};
const reasonText = (set, question) => {
  const names = pairNames(set.langs);
  const found = data.reasons.map((_, code) => names.filter((_, i) => reasonsOf(set, question)[i] === String(code)));
  return data.reasons.flatMap((reason, code) => (found[code].length ? [`${reason}: ${REASON_TEXTS[reason]} (${found[code].join(", ")})`] : [])).join("; ");
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
    differ: nDiffer(set, question) > 0,
    suspect: question in set.suspects,
  };
  if (!kinds[which.value]) return false;
  if (why.value && !reasonsOf(set, question).includes(why.value)) return false;
  const part = contains.value.trim().toLowerCase();
  if (!part) return true;
  const texts = Object.values(set.texts[set.ids[question]] || {});
  return [set.ids[question], ...texts.flatMap((text) => [text.q, ...text.o])].some((text) => text.toLowerCase().includes(part));
};
const verdict = (answer, gold) => (answer < 0 ? "none" : answer === gold ? "right" : "wrong");
const verdictText = (answer, gold) => (answer < 0 ? "no answer" : `${letter(answer)}, ${answer === gold ? "right" : "wrong"}`);
const MARKS = [" ◄", " ◁"]; // the first model's answer, and the second's
const optionItem = (set, question, column, option, text, picks) => {
  const gold = option === set.gold[question];
  const picked = picks.includes(option);
  const item = make("li", { class: `${picked ? "picked " : ""}${gold ? "right" : picked ? "wrong" : ""}` });
  item.append(`${letter(option)}. `, make("bdi", {}, text));
  if (gold) item.append(make("span", { lang: "en" }, " ✓"));
  compared().forEach((number, i) => {
    const chance = chanceOf(set, question, column, option, number);
    if (chance) item.append(make("span", { lang: "en", class: "chance", title: data.entries[number].model }, ` ${chance}`));
    if (picks[i] === option) item.append(make("span", { lang: "en", "aria-label": `the answer of ${data.entries[number].model}` }, MARKS[i]));
  });
  return item;
};
const article = (set, question, code, column) => {
  const models = compared();
  const answers = models.map((number) => answersOf(set, question, number)[column]);
  const gold = set.gold[question];
  const text = (set.texts[set.ids[question]] || {})[code];
  const verdicts = answers.flatMap((answer, i) => [i ? " · " : "", make("span", { class: verdict(answer, gold) }, verdictText(answer, gold) + (models.length > 1 ? MARKS[i] : ""))]);
  const made = make("article", { lang: code }, make("h3", { lang: "en" }, `${languageName(code)}: `, ...verdicts));
  if (text) {
    if (text.c) made.append(make("p", { class: "context", dir: "auto", tabindex: "0" }, text.c));
    made.append(make("p", { class: "text", dir: "auto" }, text.q));
    const items = text.o.map((option, k) => optionItem(set, question, column, k, option, answers));
    made.append(make("ol", { dir: data.languages[code] ? data.languages[code][1] : "auto" }, ...items));
  }
  for (const number of models) {
    const response = ((set.responses[number] || {})[promptOf(set, number)] || {})[`${question},${column}`];
    if (response === undefined) continue;
    if (models.length > 1) made.append(make("p", { lang: "en", class: "muted" }, data.entries[number].model));
    made.append(make("blockquote", { dir: "auto", tabindex: "0", title: "the model's response" }, response === "" ? "(empty)" : response));
  }
  return made;
};
const side = (set, question) => make("div", { class: "side" }, ...set.langs.map((code, column) => article(set, question, code, column)));
const chips = (set, question, number) => {
  const answers = answersOf(set, question, number);
  return make("span", { class: "chips", title: data.entries[number].model }, ...set.langs.map((code, i) =>
    make("span", { class: `chip ${verdict(answers[i], set.gold[question])}` }, `${code} ${answers[i] < 0 ? "–" : letter(answers[i])}${answers[i] === set.gold[question] ? " ✓" : ""}`)));
};
const orders = {
  all: () => () => 0, // as the page holds them: by disagreement over all models
  model: (set) => (a, b) => new Set(answersOf(set, b)).size - new Set(answersOf(set, a)).size,
  two: (set) => (a, b) => nDiffer(set, b) - nDiffer(set, a),
  id: (set) => (a, b) => set.ids[a].localeCompare(set.ids[b], undefined, { numeric: true }),
};
const findQuestions = (set) => set.ids.map((_, question) => question).filter((question) => fits(set, question)).sort(orders[order.value](set));
const questionItem = (set, question) => {
  const id = set.ids[question];
  const texts = set.texts[id] || {};
  const text = texts.en || Object.values(texts)[0];
  const summary = make("summary", {}, make("code", {}, id), make("bdi", { class: "head" }, text ? text.q.slice(0, 160) : `right: ${letter(set.gold[question])}`), ...compared().map((number) => chips(set, question, number)));
  const item = make("details", { class: "question" }, summary);
  const show = () => {
    if (item.children.length > 1) return;
    for (const [column, wrong, models] of set.suspects[question] || []) {
      item.append(make("p", { class: "muted" }, `Look at its ${languageName(set.langs[column])}: of ${models} models that are right in most other languages, ${wrong} fail here. Often a defect of the translation.`));
    }
    const said = reasonText(set, question);
    if (said) item.append(make("p", { class: "muted" }, `Why its languages disagree: ${said}.`));
    item.append(side(set, question));
  };
  item.addEventListener("toggle", () => {
    if (item.open) show();
    if (item.open) remember("q", id);
    else if (shown().get("q") === id) remember("q", "");
  });
  if (shown().get("q") === id) {
    show();
    item.open = true;
  }
  return item;
};
const keyText = (set) => {
  const models = compared();
  const names = models.length > 1 ? ` ${models.map((number, i) => `${MARKS[i].trim()} ${data.entries[number].model}`).join(", ")}.` : "";
  return names + (models.some((number) => set.chances[number]) ? " Percentages: how probable the model finds an option, among the options." : "");
};
const drawQuestions = () => {
  const set = chosenSet();
  const found = findQuestions(set);
  start = Math.max(0, Math.min(start, Math.floor((found.length - 1) / PAGE) * PAGE));
  const capped = set.ids.length < set.all ? ` (the ${set.ids.length} of ${set.all} on which languages disagree most over all models are in this page)` : "";
  const bare = Object.keys(set.texts).length || !set.ids.length ? "" : " Texts are not in the files that were read; options go by letter.";
  byId("question-note").textContent = `${found.length} of ${set.ids.length} questions${capped}.${bare}${keyText(set)}`;
  const list = found.slice(start, start + PAGE).map((question) => questionItem(set, question));
  byId("question-list").replaceChildren(...list);
  byId("pager").hidden = found.length <= PAGE;
  byId("place").textContent = `${start + 1} to ${Math.min(start + PAGE, found.length)} of ${found.length}`;
  byId("earlier").disabled = start === 0;
  byId("later").disabled = start + PAGE >= found.length;
};
const drawPrompts = () => {
  const coded = Object.values(chosenSet().why[answerer.value] || {}).join("");
  fill(why, [["", "any reason"], ...data.reasons.map((reason, code) => [String(code), reason]).filter(([code]) => coded.includes(code))]);
  fill(prompt, Object.keys(chosenSet().answers[answerer.value]).map((name) => [name, name]));
  drawQuestions();
};
const drawAnswerers = () => {
  const numbers = Object.keys(chosenSet().answers);
  const twice = (number) => numbers.some((other) => other !== number && data.entries[other].model === data.entries[number].model);
  const options = numbers.map((number) => [number, data.entries[number].model + (twice(number) ? ` (${data.entries[number].setup})` : "")]);
  fill(answerer, options);
  fill(other, [["", "no other model"], ...options]);
  drawPrompts();
};
// From what the fragment says; a question that it names is opened on the page it is on.
const drawSets = () => {
  fill(sets, data.sets.map((set, i) => [i, `${set.benchmark} (${set.langs.join(", ")}; ${set.all})`]));
  for (const control of [which, order, contains]) restore(control);
  start = 0;
  drawAnswerers();
  const set = chosenSet();
  start = Math.max(0, findQuestions(set).findIndex((question) => set.ids[question] === shown().get("q")));
  start -= start % PAGE;
  if (start) drawQuestions();
};
const restart = (draw) => () => {
  start = 0;
  draw();
};
if (data.sets.length) {
  byId("question-form").hidden = false;
  onChange(sets, restart(drawAnswerers));
  onChange(answerer, restart(drawPrompts));
  for (const control of [other, prompt, which, why, order, contains]) onChange(control, restart(drawQuestions));
  byId("question-form").addEventListener("submit", (event) => event.preventDefault());
  const turn = (step) => () => {
    start += step;
    drawQuestions();
    byId("questions").scrollIntoView();
  };
  byId("earlier").addEventListener("click", turn(-PAGE));
  byId("later").addEventListener("click", turn(PAGE));
  byId("question-csv").addEventListener("click", () => {
    const set = chosenSet();
    const columns = compared().flatMap((number) => set.langs.map((code) => `${data.entries[number].model} ${code}`));
    const name = (answer) => (answer < 0 ? "" : letter(answer));
    const lines = findQuestions(set).map((question) => [set.ids[question], letter(set.gold[question]), ...compared().flatMap((number) => answersOf(set, question, number).map(name))]);
    download("questions.csv", [["id", "right", ...columns], ...lines]);
  });
  drawSets();
  const open = document.querySelector("details.question[open]");
  if (open) open.scrollIntoView({ behavior: "instant" });
} else {
  byId("question-note").textContent = "No samples: there are no answers to show.";
}
addEventListener("hashchange", () => {
  if (location.hash && !location.hash.includes("=")) return; // a part of the page
  drawBoard();
  restore(chooser);
  drawLanguages();
  if (data.sets.length) drawSets();
});
document.documentElement.dataset.ready = "yes";
