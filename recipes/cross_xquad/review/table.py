"""The review as a spreadsheet: `items.csv`, one row per question and language, and reading it back.

UTF-8 with a byte order mark, without which Excel assumes the machine's code page. Every cell that a spreadsheet would
evaluate as a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.text_tables import FORMULA, csv_value
from recipes.cross_xquad.items import Finding, Item
from recipes.cross_xquad.review.decisions import ReviewEntry, decided_before, initials, verdict

_ASKED = ("verdict", "reviewer", "note")  # filled in on any row of a question
_NEEDED = ("id", "language", *_ASKED, "sha256")
# Excel keeps 32,767 characters of a cell and moves the rest into the next ones. What is cut is not read back.
_LONGEST = 32_000
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_Rows = list[tuple[int, dict[str, str]]]  # row number, column -> cell
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def table(items: Sequence[Item]) -> str:
    """The table as text, byte order mark and CRLF line ends included."""
    n_wrong = max((len(v.choices) - 1 for item in items for v in item.versions.values()), default=0)
    numbers = range(1, n_wrong + 1)
    header = ["id", "language", *_ASKED, "question", "right"]
    header += [name for n in numbers for name in (f"wrong_{n}", f"new_wrong_{n}")]
    header += ["findings", "passage", "sha256"]
    file = io.StringIO()
    writer = csv.DictWriter(file, header, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for item in items:
        writer.writerows(_rows(item))
    return "\ufeff" + file.getvalue()


def safe_cell(text: str) -> str:
    """The text as a cell that no spreadsheet evaluates: formulas escaped, control characters and excess removed.

    >>> safe_cell("=1+1"), safe_cell("-5 degrees"), safe_cell("1990")
    ("'=1+1", "'-5 degrees", '1990')
    """
    lines = _LINE_ENDS.sub("\n", text[:_LONGEST])
    plain = FORMULA.sub("'", _CONTROL.sub("\ufffd", lines))
    return plain if len(text) <= _LONGEST else plain + " [cut; index.html has all of it]"


def findings_text(findings: Sequence[Finding], language: str | None, gold: int) -> str:
    """The findings on one language (None: on the whole question), one a line, options named as in the table."""
    lines = []
    for one in findings:
        if one.language == language:
            place = "" if one.choice is None else f" ({_column(one.choice, gold)})"
            lines.append(f"{one.code}{place}: {one.detail}")
    return "\n".join(lines)


def read_table(path: Path, known: Mapping[str, Item]) -> list[ReviewEntry]:
    """Read a filled-in table: comma, semicolon or tab between cells; UTF-8, or UTF-16 with its mark.

    Args:
        path: the file.
        known: hash of the content -> question; edits of other contents are left out.

    Raises:
        CrossinError: not such a table, a bad verdict, no initials, or contradicting rows; names the row as a
            spreadsheet numbers it (the header is row 1).
    """
    found: dict[str, _Rows] = {}
    for number, row in _read_rows(path):
        found.setdefault(row["sha256"].strip(), []).append((number, row))
    entries = [_entry(path, sha256, rows, known.get(sha256)) for sha256, rows in found.items()]
    return [entry for entry in entries if entry is not None]


def _rows(item: Item) -> Iterator[dict[str, str]]:
    absent = sorted({f.language for f in item.findings if f.language is not None} - set(item.versions))
    on_absent = [f"{code}: {findings_text(item.findings, code, item.gold)}" for code in absent]
    on_set = findings_text(item.findings, None, item.gold)
    on_item = "\n".join(filter(None, [decided_before(item), on_set, *on_absent]))
    for position, (language, version) in enumerate(item.versions.items()):
        row = {"id": item.id, "language": language, "question": version.question, "right": version.choices[item.gold]}
        for number, text in enumerate(version.wrong(item.gold).values(), 1):
            row[f"wrong_{number}"] = text
        own = findings_text(item.findings, language, item.gold)
        row["findings"] = own if position else "\n".join(filter(None, [on_item, own]))
        row |= {"passage": version.context, "sha256": item.sha256()}
        yield {name: safe_cell(text) for name, text in row.items()}


def _column(choice: int, gold: int) -> str:
    return "right" if choice == gold else f"wrong_{choice + (choice < gold)}"


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise CrossinError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CrossinError(f"{path}, line {line}: not UTF-8; save the table as “CSV UTF-8”") from error
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)  # spreadsheets of some countries write semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        names = [name.strip() for name in next(reader, [])]
        number = 1
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise CrossinError(f"{path}, line 1: no column {', '.join(missing)}; fill in a copy of review/items.csv")
        for number, cells in enumerate(reader, 2):
            if any(cell.strip() for cell in cells):
                padded = cells + [""] * len(names)
                yield number, dict(zip(names, padded, strict=False))  # cells right of the table are ignored
    except csv.Error as error:
        raise CrossinError(
            f"{path}, row {number + 1}, line {reader.line_num}: broken table ({error}); save it again as CSV"
        ) from error


def _entry(
    path: Path, sha256: str, rows: Sequence[tuple[int, dict[str, str]]], item: Item | None
) -> ReviewEntry | None:
    """The decision in the rows of one question; None if they are not filled in."""
    given: dict[str, str] = {}
    notes: dict[str, None] = {}
    edits: dict[str, dict[int, str]] = {}
    edited, place = "", f"row {rows[0][0]}, id {rows[0][1]['id']}"
    for number, row in rows:
        where, language = f"row {number}, id {row['id']}", row["language"].strip()
        notes |= dict.fromkeys(filter(None, [_typed(row["note"])]))
        for name in ("verdict", "reviewer"):
            value = _typed(row[name]).lower()
            if value and given.setdefault(name, value) != value:
                raise CrossinError(
                    f"{path}, {where}: {name} {value!r}, but {given[name]!r} in another row of this question; "
                    "keep one (a second reviewer fills in a copy of the file)"
                )
            if value:
                place = where
        new = {n: _typed(row.get(f"new_wrong_{n}", "")) for n in range(1, len(row))}
        new = {n: text for n, text in new.items() if text}
        edited = edited or (where if new else "")
        if item is None or language not in item.versions:
            continue
        wrong = list(item.versions[language].wrong(item.gold))
        for n, text in new.items():
            if n > len(wrong):
                raise CrossinError(f"{path}, {where}: new_wrong_{n}, but the question has {len(wrong)} wrong options")
            edits.setdefault(language, {})[wrong[n - 1]] = text
    if edited and "verdict" not in given:
        raise CrossinError(f"{path}, {edited}: new options without a verdict; write accept")
    if not given and not notes:
        return None
    return ReviewEntry(
        id=rows[0][1]["id"].strip(),
        sha256=sha256,
        verdict=verdict(given["verdict"], f"{path}, {place}") if "verdict" in given else None,
        reviewer=initials(given.get("reviewer"), f"{path}, {place}"),
        file=str(path),
        place=place,
        note="; ".join(notes),
        edits=edits,
    )


def _typed(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from evaluating it."""
    return csv_value(cell.strip())
