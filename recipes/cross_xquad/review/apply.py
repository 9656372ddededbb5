"""Review by people: write what they look at (a page, a table, Label Studio tasks), apply what they decided.

A reviewer opens `review/index.html` in a browser, decides, saves, and puts `decisions-<initials>-<review>.json` into
the build's folder `decisions/`; or fills in a copy of `review/items.csv`; or exports a Label Studio project as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crossin_metrics.errors import DAMAGE, CrossinError, located
from crossin_metrics.files import write_text
from recipes.cross_xquad.items import Decision, Item
from recipes.cross_xquad.review.agreement import report_agreement
from recipes.cross_xquad.review.decisions import FORMAT, ReviewEntry, checked_edits, read_page
from recipes.cross_xquad.review.label_studio import labelling_config, read_export, tasks
from recipes.cross_xquad.review.page import render_page
from recipes.cross_xquad.review.table import read_table, table

_MOST_LISTED = 5  # ids in a remark


def write_review(items: Sequence[Item], folder: Path, *, title: str) -> None:
    """Write `index.html`, `items.csv`, `label_studio.json` and `label_studio.xml`; the same items give the same bytes.

    Args:
        items: the questions to decide on, in the order in which to show them.
        folder: made if missing; files of these names are replaced.
        title: shown on top of the page.

    Raises:
        CrossinError: Jinja2 is missing, or a file cannot be written.
    """
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
    all (`AB, CD`), and accepted edits are made in its versions. If they differ, it stays undecided. A reviewer's later
    decision replaces an earlier one. Decisions on another content (`Item.sha256`) are not applied.

    Args:
        items: as the checks left them; a question that already has its edits is returned as it is.
        decisions_folder: remarks name files other than `.json` and `.csv`; a missing folder has no decisions.

    Returns:
        The questions in their order, and remarks, one sentence each: what was read, what was not applied and why,
        who disagrees on what, agreement of the reviewers, languages that nobody read, and the totals.

    Raises:
        CrossinError: a damaged file, or a reviewer's mistake (see `review.decisions`): names file and line, row or id.
    """
    known = {item.sha256(): item for item in items}
    entries, remarks = _read_folder(decisions_folder, known)
    by_id = {item.id for item in items}
    applied_before = {item.decision.sha256 for item in items if item.decision is not None}
    stale: dict[str, list[str]] = {}
    current: dict[str, list[ReviewEntry]] = {}
    for one in entries:
        if one.sha256 in known:
            current.setdefault(known[one.sha256].id, []).append(one)
        elif one.sha256 not in applied_before and one.verdict is not None:
            reason = "another content than the question has now" if one.id in by_id else "a question not under review"
            stale.setdefault(f"{one.file}: not applied, made on {reason}", []).append(one.id)
    remarks += [f"{reason}: {_listed(ids)}" for reason, ids in stale.items()]

    expected = {code for item in items for code in (*item.versions, *(f.language for f in item.findings)) if code}
    done, ratings = [], []
    for item in items:
        latest, problems = _latest(current.get(item.id, []))
        ratings.append({one.reviewer: str(one.verdict) for one in latest})
        decided, why = _decide(item, latest, expected)
        problems += why
        remarks += [f"{item.id} stays in review: {problem}" for problem in problems]
        done.append(replace(item, decision=None) if problems else decided)
    remarks += report_agreement(ratings) + _unread(done, current) + [_totals(done)]
    return done, remarks


def _read_folder(folder: Path, known: Mapping[str, Item]) -> tuple[list[ReviewEntry], list[str]]:
    if not folder.is_dir():
        return [], [f"{folder}: folder not found, so no decisions yet"]
    entries, remarks = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "~")) or path.is_dir():
            continue  # a spreadsheet's lock, a file manager's notes
        if path.suffix.lower() == ".csv":
            found = read_table(path, known)
        elif path.suffix.lower() == ".json":
            found = read_review_json(path, known)
        else:
            remarks.append(f"{path}: ignored, decisions are .json and .csv files")
            continue
        names = Counter(one.reviewer for one in found if one.verdict is not None)
        counts = ", ".join(f"{number} by {name}" for name, number in sorted(names.items())) or "none"
        remarks.append(f"{path}: decisions: {counts}")
        entries += found
    return entries, remarks


def read_review_json(path: Path, known: Mapping[str, Item]) -> list[ReviewEntry]:
    """The entries of a JSON review: ours, or an export of Label Studio."""
    try:
        raw = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CrossinError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CrossinError(f"{path}, byte {error.start}: not UTF-8; the file is damaged, save it again") from error
    except json.JSONDecodeError as error:
        raise CrossinError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); the file may be truncated, save it again"
        ) from error
    except (RecursionError, ValueError) as error:  # nesting, or a number, that no file of decisions has
        raise CrossinError(f"{path}: not a file of decisions ({type(error).__name__}); remove it") from error
    try:
        if isinstance(raw, list):
            return read_export(path, raw, known)
        if isinstance(raw, dict) and raw.get("format") == FORMAT:
            return read_page(path, raw)
    except CrossinError:
        raise
    except DAMAGE as error:
        raise located(path, error) from error
    raise CrossinError(f"{path}: neither the review page's decisions nor Label Studio's JSON export; remove it")


def _latest(entries: Sequence[ReviewEntry]) -> tuple[list[ReviewEntry], list[str]]:
    """The last decision of each reviewer, by initials; if it is unclear which is the last, why.

    A table's rows have no time, so they cannot be ordered against an entry that differs.
    """
    out, unclear = [], []
    for reviewer in sorted({one.reviewer for one in entries}):
        own = [one for one in entries if one.reviewer == reviewer]
        dated = sorted((one for one in own if one.at), key=lambda one: one.at)
        last = dated[-1:] + [one for one in own if not one.at and one.verdict is not None]
        rival = next((one for one in last if not _same(one, last[0])), None)
        if rival is not None:
            unclear.append(f"{reviewer} decided differently in {last[0].where} and {rival.where}; keep one of them")
        elif last and last[0].verdict is not None:
            out.append(last[0])
    return out, unclear


def _same(a: ReviewEntry, b: ReviewEntry) -> bool:
    return a.verdict == b.verdict and (a.verdict != "accept" or a.edits == b.edits)


def _decide(item: Item, entries: Sequence[ReviewEntry], expected: set[str]) -> tuple[Item, list[str]]:
    """The question with its decision; or unchanged, and the reason why there is none."""
    if not entries:
        return item, []
    edits, *others = [checked_edits(one, item) if one.verdict == "accept" else {} for one in entries]
    verdicts = {str(one.verdict) for one in entries}
    names = ", ".join(one.reviewer for one in entries)
    if len(verdicts) > 1:
        return item, [f"reviewers disagree ({', '.join(f'{one.reviewer} {one.verdict}' for one in entries)})"]
    if any(other != edits for other in others):
        return item, [f"{names} accept it with different edits"]
    absent = sorted(expected - set(item.versions))
    if verdicts == {"accept"} and absent:
        return item, [f"accepted by {names}, but there is no version in {', '.join(absent)}: reject or redo"]
    notes = [(one.reviewer, one.note.strip()) for one in entries if one.note.strip()]
    note = notes[0][1] if len(entries) == 1 and notes else "; ".join(f"{name}: {text}" for name, text in notes)
    versions = {
        code: replace(one, choices=tuple(edits.get(code, {}).get(k, text) for k, text in enumerate(one.choices)))
        for code, one in item.versions.items()
    }
    decision = Decision(verdicts.pop(), names, note, edits, item.sha256())
    return replace(item, versions=versions, decision=decision), []


def _unread(items: Sequence[Item], entries: Mapping[str, Sequence[ReviewEntry]]) -> list[str]:
    """The languages of accepted questions that no reviewer had on the screen, if the files say what was shown."""
    missed: Counter[str] = Counter()
    for item in items:
        own = [one for one in entries.get(item.id, []) if one.verdict == "accept"]
        accepted = item.decision is not None and item.decision.verdict == "accept"
        if accepted and own and all(one.languages for one in own):
            missed.update(set(item.versions) - {code for one in own for code in one.languages})
    counts = ", ".join(f"{code} ({number})" for code, number in sorted(missed.items()))
    return [f"accepted with languages that no reviewer had on the screen: {counts}"] if missed else []


def _totals(items: Sequence[Item]) -> str:
    verdicts = Counter(item.decision.verdict if item.decision else "undecided" for item in items)
    edited = sum(1 for item in items if item.decision is not None and item.decision.edits)
    return (
        f"of {len(items)} questions {verdicts['accept']} accepted ({edited} with edits), "
        f"{verdicts['reject']} rejected, {verdicts['redo']} to be rewritten, {verdicts['undecided']} undecided"
    )


def _listed(ids: Sequence[str]) -> str:
    unique = list(dict.fromkeys(ids))
    rest = len(unique) - _MOST_LISTED
    return ", ".join(unique[:_MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")
