// Actions: filters, keys and buttons, and the start of the page.

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
  if (!view.length) announce("No question fits the filter.");
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
  if (!quiet) announce(`Question ${current + 1} of ${items.length}`);
};
const step = (by) => {
  filter();
  const next = by > 0 ? view.find((index) => index > current) : view.findLast((index) => index < current);
  if (next !== undefined) {
    go(next);
    return true;
  }
  announce(by > 0 ? "This is the last one." : "This is the first one.");
  return false;
};
const decide = (verdict) => {
  if (!reviewer) {
    ask();
    return;
  }
  const item = items[current];
  const wrong = verdict !== "accept" ? "" : absent(item).length ? `No version in ${absent(item).map(english).join(", ")}: reject or redo.` : firstProblem(item, recordOf(current));
  if (wrong) {
    warn(`Not accepted. ${wrong}`);
    return;
  }
  warn("");
  change(current, { verdict });
  const done = `${PAST[verdict]}: question ${current + 1}.`;
  if (!byId("advance").checked || !step(1)) go(current, true);
  const left = items.length - decided();
  announce(`${done} ${left ? `${left} undecided.` : "Everything is decided: press s to save."}`);
  if (!left) warn("Everything is decided. Save (s) your decisions as a file.");
};
const undo = () => {
  const last = history.pop();
  if (!last) {
    announce("Nothing to undo.");
    return;
  }
  // An undone verdict is stored as none, so that it also replaces one in an older file.
  records.set(items[last.index].sha, { ...(last.before || blank()), at: new Date().toISOString() });
  persist();
  go(last.index);
  announce(`Undone: question ${last.index + 1}.`);
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
// On a Cyrillic, Greek or Arabic keyboard, the key at the position of `a` acts as `a`.
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
  if (event.repeat && !"jk".includes(key)) return; // a key held down must not decide many questions
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
  if (name !== reviewer) switchReviewer(name);
  go(firstOpen());
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
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
    store(storageKey("hidden"), JSON.stringify([...hidden]));
    draw();
  });
  byId("languages").append(make("label", {}, box, ` ${english(code)}`));
}
try {
  hidden = new Set(JSON.parse(stored(storageKey("hidden")) || "[]").filter((code) => codes.includes(code)));
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

const name = stored("crossin-review/initials");
if (name && INITIALS.test(name)) switchReviewer(name);
go(firstOpen(), true);
if (!reviewer && items.length) ask();
document.documentElement.dataset.ready = "yes";
