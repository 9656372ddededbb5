// State: the decisions, and how they are stored, loaded and saved. The page's three scripts share one scope.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const items = data.items;
const codes = Object.keys(data.languages);
const PAST = { accept: "Accepted", reject: "Rejected", redo: "To be rewritten" };
const INITIALS = /^[\p{L}\p{N}][\p{L}\p{N}_.-]{0,15}$/u;

let reviewer = "";
let records = new Map(); // hash of the content -> {verdict, note, edits, at, languages}
let history = []; // {index, before, session}, for undo
let session = 0; // counts visits to a text field; one visit is one undo
let current = 0;
let view = [];
let editing = false;
let unsaved = false;
let hidden = new Set();

const make = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== false) node.setAttribute(name, value);
  node.append(...children); // strings become text nodes, never HTML
  return node;
};
const letter = (k) => (k < 26 ? String.fromCharCode(65 + k) : String(k + 1));
const english = (code) => (data.languages[code] ? data.languages[code][0] : code);
const direction = (code) => (data.languages[code] ? data.languages[code][2] : "auto");
const announce = (text) => { byId("status").textContent = text; };
const warn = (text) => {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
};
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// The browser's storage, which a page opened as a file may not have.
const storageKey = (name) => `crossin-review/${data.review}/${name}`;
const stored = (name) => {
  try { return localStorage.getItem(name); } catch { return null; }
};
const store = (name, text) => {
  try {
    localStorage.setItem(name, text);
    return true;
  } catch {
    warn("This browser does not keep decisions for this page. Save (s) often, and before you leave it.");
    return false;
  }
};

const blank = () => ({ verdict: null, note: "", edits: {}, at: "", languages: [] });
const recordOf = (index) => records.get(items[index].sha) || blank();
// A verdict of an earlier round on this very content still counts, unless the question was sent back.
const earlierVerdict = (item) => (item.before && item.before.current && item.before.verdict !== "redo" ? item.before.verdict : null);
const verdictOf = (index) => recordOf(index).verdict ?? earlierVerdict(items[index]);
const fileName = () => `decisions-${reviewer}-${data.review.slice(0, 8)}.json`; // another round has another name
const hasEdits = (record) => Object.values(record.edits).some((by) => Object.keys(by).length);
const newText = (record, code, k) => (record.edits[code] || {})[k];
const shownLanguages = () => {
  const shown = codes.filter((code) => !hidden.has(code));
  return shown.length ? shown : codes;
};
const absent = (item) => codes.filter((code) => !item.v[code]);

const decisionsFile = () => ({
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
  store(storageKey(reviewer || "-"), JSON.stringify(decisionsFile()));
};
const change = (index, patch, visit) => {
  const before = records.get(items[index].sha);
  const top = history[history.length - 1];
  if (!visit || !top || top.session !== visit) history.push({ index, before, session: visit });
  const languages = shownLanguages().filter((code) => items[index].v[code]);
  records.set(items[index].sha, { ...recordOf(index), ...patch, at: new Date().toISOString(), languages });
  persist();
};

// Reads a file of decisions; takes only what has the right type.
const isText = (value) => typeof value === "string";
const readDecisions = (text) => {
  const raw = JSON.parse(text);
  if (!raw || raw.format !== data.format || raw.version !== data.version || !Array.isArray(raw.decisions) || !INITIALS.test(raw.reviewer)) {
    throw new Error("not a decisions file of this page");
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

const switchReviewer = (name) => {
  const before = reviewer ? new Map() : records; // what was decided before the initials were given is theirs
  reviewer = name;
  byId("who").textContent = name;
  byId("who").setAttribute("aria-label", `Your initials: ${name}. Change`);
  store("crossin-review/initials", name);
  records = before;
  history = [];
  unsaved = before.size > 0;
  const text = stored(storageKey(name));
  if (text) {
    try {
      const { found } = readDecisions(text);
      records = new Map([...found, ...before]);
      if (found.size) warn(`${plural(found.size, "decision")} of ${name} restored from this browser. Save (s) to have them as a file.`);
      unsaved ||= found.size > 0;
    } catch { /* of another version */ }
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
      switchReviewer(name);
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
    const old = stale ? ` ${plural(stale, "decision")} left out: their contents have changed since or are not in this review.` : "";
    warn(`${plural(taken, "decision")} of ${name} loaded.${old}`);
    go(firstOpen());
  } catch (error) {
    warn(`Not loaded: ${error instanceof SyntaxError ? "the file is not JSON, it may be truncated" : error.message}.`);
  }
};

const save = () => {
  if (!reviewer) {
    ask();
    return;
  }
  const made = new Blob([`${JSON.stringify(decisionsFile(), null, 1)}\n`], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(made), download: fileName() });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = false;
  const undecided = items.length - decided();
  warn(`${fileName()}: saved to your downloads. ${undecided ? `${undecided} still undecided.` : "Everything is decided."} Put it into the build's folder decisions/.`);
  drawTally();
};
