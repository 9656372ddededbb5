"""Review by people: what they are given (a page, a table, Label Studio tasks), and applying what they decided.

A reviewer opens `review/index.html` in a browser, decides, saves, and puts `decisions-<initials>-<review>.json` into
the build's folder `decisions/`; or fills in a copy of `review/items.csv`; or exports a Label Studio project as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import write_text
from recipes.cross_xquad.items import Decision, Item
from recipes.cross_xquad.review.agreement import report_agreement
from recipes.cross_xquad.review.decisions import FORMAT, ReviewEntry, checked_edits, read_json, read_page
from recipes.cross_xquad.review.label_studio import labelling_config, read_export, tasks
from recipes.cross_xquad.review.table import is_table, read_table, table

_MOST_NAMED = 5  # ids that a remark names before it counts the rest


def write_review(items: Sequence[Item], folder: Path, *, title: str) -> None:
    """Write `index.html`, `items.csv`, `label_studio.json` and `label_studio.xml`; the same items give the same bytes.

    Args:
        items: the questions to decide on, in the order in which to show them.
        folder: made if missing; files of these names are replaced.
        title: shown on top of the page.

    Raises:
        CrossinError: Jinja2 is missing, a file cannot be written, or a question holds half of a surrogate pair.
    """
    from recipes.cross_xquad.review.page import render_page

    for item in items:
        try:
            item.sha256()
        except UnicodeEncodeError:
            raise CrossinError(
                f"id {item.id}: a text with half of a surrogate pair, which no file can hold; have it written again"
            ) from None
    contents = {
        "index.html": render_page(items, title=title),
        "items.csv": table(items),
        "label_studio.json": json.dumps(tasks(items), ensure_ascii=False, indent=1) + "\n",
        "label_studio.xml": labelling_config(items),
    }
    for name, content in contents.items():
        write_text(folder / name, content)


def apply_decisions(items: Sequence[Item], decisions_folder: Path) -> tuple[list[Item], list[str]]:
    """Apply every decision in a folder: the page's JSON files, filled-in tables, Label Studio exports.

    A question gets a `Decision` when all its reviewers gave one verdict with the same edits; `reviewer` then names them
    all (`AB, CD`), and accepted edits stand in its versions. Where they differ it stays undecided. Of two files of one
    reviewer the later decision counts. Decisions on another content (`Item.sha256`) are not applied.

    Args:
        items: as the checks left them; a question that already carries its edits is returned as it is.
        decisions_folder: files other than `.json` and `.csv` are named in the remarks; a missing folder holds none.

    Returns:
        The questions in their order, and remarks, one sentence each: what was read, what was not applied and why,
        who disagrees on what, how far reviewers agree, languages that nobody read, and the totals.

    Raises:
        CrossinError: a damaged file, or a reviewer's mistake (see `review.decisions`): file and line, row
            or id are named.
    """
    known = {item.sha256(): item for item in items}
    said, remarks = _read_folder(decisions_folder, known)
    by_id = {item.id: item for item in items}
    applied_before = {item.decision.sha256 for item in items if item.decision is not None}
    stale: dict[str, list[str]] = {}
    current: dict[str, list[ReviewEntry]] = {}
    for one in said:
        if one.sha256 in known:
            current.setdefault(known[one.sha256].id, []).append(one)
        elif one.sha256 not in applied_before and one.verdict is not None:
            reason = "another content than the question has now" if one.id in by_id else "a question not under review"
            stale.setdefault(f"{one.file}: not applied, as made on {reason}", []).append(one.id)
    remarks += [f"{reason}: {_named(ids)}" for reason, ids in stale.items()]

    expected = {code for item in items for code in (*item.versions, *(f.language for f in item.findings)) if code}
    done, ratings = [], []
    for item in items:
        latest, unclear = _latest(current.get(item.id, []))
        ratings.append({one.reviewer: str(one.verdict) for one in latest})
        decided, why = _decide(item, latest, expected)
        problems = [*unclear, *why]
        remarks += [f"{item.id} stays in review: {problem}" for problem in problems]
        if problems:
            decided = replace(item, decision=None)
        done.append(decided)
    remarks += report_agreement(ratings) + _unread(done, current) + [_totals(done)]
    return done, remarks


def _read_folder(folder: Path, known: Mapping[str, Item]) -> tuple[list[ReviewEntry], list[str]]:
    if not folder.is_dir():
        return [], [f"{folder}: no such folder yet, so no decisions"]
    said, remarks = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "~")) or path.is_dir():
            continue  # a spreadsheet's lock, a file manager's notes
        if is_table(path):
            found = read_table(path, known)
        elif path.suffix.lower() == ".json":
            found = _read_json_file(path, known)
        else:
            remarks.append(f"{path}: not read, decisions are .json and .csv files")
            continue
        names = Counter(one.reviewer for one in found if one.verdict is not None)
        words = ", ".join(f"{number} by {name}" for name, number in sorted(names.items())) or "none"
        remarks.append(f"{path}: decisions: {words}")
        said += found
    return said, remarks


def _read_json_file(path: Path, known: Mapping[str, Item]) -> list[ReviewEntry]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CrossinError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path}, byte {error.start}: not UTF-8; the file is damaged, save it again") from error
    raw = read_json(path, text)
    if isinstance(raw, list):
        return read_export(path, raw, known)
    if isinstance(raw, dict) and raw.get("format") == FORMAT:
        return read_page(path, raw)
    raise CrossinError(f"{path}: neither the review page's decisions nor Label Studio's JSON export; take it out")


def _latest(said: Sequence[ReviewEntry]) -> tuple[list[ReviewEntry], list[str]]:
    """The last word of each reviewer, by initials; where there is no telling which is the last, why.

    A table's rows carry no time, so they cannot be put in order with anything that says otherwise.
    """
    out, unclear = [], []
    for reviewer in sorted({one.reviewer for one in said}):
        own = [one for one in said if one.reviewer == reviewer]
        dated = sorted((one for one in own if one.at), key=lambda one: one.at)
        last_log_line = dated[-1:] + [one for one in own if not one.at and one.verdict is not None]
        if not last_log_line:
            continue
        last = last_log_line[0]
        rival = next((one for one in last_log_line if not _same(one, last)), None)
        if rival is not None:
            unclear.append(f"{reviewer} said different things in {last.where} and {rival.where}; keep one of them")
        elif last.verdict is not None:
            out.append(last)
    return out, unclear


def _same(a: ReviewEntry, b: ReviewEntry) -> bool:
    return a.verdict == b.verdict and (a.verdict != "accept" or a.edits == b.edits)


def _decide(item: Item, said: Sequence[ReviewEntry], expected: set[str]) -> tuple[Item, list[str]]:
    """The question with its decision, or as it was and the reason why there is none."""
    if not said:
        return item, []
    edits = [checked_edits(one, item) if one.verdict == "accept" else {} for one in said]
    verdicts = {str(one.verdict) for one in said}
    names = [one.reviewer for one in said]
    if len(verdicts) > 1:
        return item, [f"reviewers disagree ({', '.join(f'{one.reviewer} {one.verdict}' for one in said)})"]
    if any(other != edits[0] for other in edits):
        return item, [f"{', '.join(names)} accept it with different edits"]
    absent = sorted(expected - set(item.versions))
    if verdicts == {"accept"} and absent:
        return item, [f"accepted by {', '.join(names)}, but there is no version in {', '.join(absent)}: reject or redo"]
    notes = [(one.reviewer, one.note.strip()) for one in said if one.note.strip()]
    note = notes[0][1] if len(said) == 1 and notes else "; ".join(f"{name}: {text}" for name, text in notes)
    decision = Decision(verdicts.pop(), ", ".join(names), note, edits[0], item.sha256())
    versions = {
        language: replace(
            version,
            choices=tuple(edits[0].get(language, {}).get(k, text) for k, text in enumerate(version.choices)),
        )
        for language, version in item.versions.items()
    }
    return replace(item, versions=versions, decision=decision), []


def _unread(items: Sequence[Item], said: Mapping[str, Sequence[ReviewEntry]]) -> list[str]:
    """Name the languages of accepted questions that nobody had before them, where the files say what was shown."""
    missed: Counter[str] = Counter()
    for item in items:
        own = [one for one in said.get(item.id, []) if one.verdict == "accept"]
        if item.decision is not None and item.decision.verdict == "accept" and all(one.languages for one in own):
            missed.update(set(item.versions) - {code for one in own for code in one.languages} if own else ())
    if not missed:
        return []
    words = ", ".join(f"{code} ({number})" for code, number in sorted(missed.items()))
    return [f"accepted with languages that no reviewer had on the screen: {words}"]


def _totals(items: Sequence[Item]) -> str:
    verdicts = Counter(item.decision.verdict if item.decision else "undecided" for item in items)
    edited = sum(1 for item in items if item.decision is not None and item.decision.edits)
    return (
        f"of {len(items)} questions {verdicts['accept']} accepted ({edited} with edits), "
        f"{verdicts['reject']} rejected, {verdicts['redo']} to be written again, {verdicts['undecided']} undecided"
    )


def _named(ids: Sequence[str]) -> str:
    unique = list(dict.fromkeys(ids))
    rest = len(unique) - _MOST_NAMED
    return ", ".join(unique[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
