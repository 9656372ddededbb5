"""Tables and text for a terminal, Markdown, LaTeX and CSV: one writer and one way to escape for each.

Names, ids and answers come from models and data sets. In every format they stay text: no markup, formula, line break or
terminal control sequence in them takes effect. (HTML: :mod:`crossin_metrics.html`.)
"""

from __future__ import annotations

import csv
import html
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

DASH = "–"  # an undefined value
NOT_SIGNIFICANT = "≈"  # marks a score that is not significantly different from the best of its column
UNTESTED = "?"  # marks a score that could not be tested against it
LATEX_NEEDS = "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}."

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    NOT_SIGNIFICANT: "$\\approx$",
    "‡": "$^\\ddagger$",
    "–": "--",
    "−": "$-$",
    "±": "$\\pm$",
    "†": "$^\\dagger$",
}
# Unicode's overrides and embeddings of writing direction: they make a line read as what it is not.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# The characters that start a formula in a spreadsheet, in CJK spreadsheets also in full width, after any blanks (OWASP,
# "CSV Injection"). In each line of a cell, as some readers split cells at line ends.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_RISKY = r"(?='*(?:[^\S\n]*[\u200b\ufeff]*[=+\-@＝＋－＠]|\t))"
FORMULA = re.compile("^" + _RISKY, re.MULTILINE)
_ESCAPED = re.compile("^'" + _RISKY, re.MULTILINE)


# An underscore inside a word, as in cross_mmlu, is not markup in any common Markdown.
_MARKDOWN = re.compile(r"[\\`*\[\]|#!~]|(?<![^\W_])_|_(?![^\W_])")


@dataclass(frozen=True)
class Cell:
    """A score in a table: its text, whether it is the best of its column, and a mark behind it."""

    text: str
    best: bool = False
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.mark}".rstrip()


@dataclass(frozen=True)
class Row:
    """Cells of one row; `kind` says what it is ("measured", "published", "baseline") where rows differ."""

    cells: tuple[str | Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: titles of the columns, the first `n_text` of which hold text, the others numbers.
        groups: headings above the number columns, each with the number of columns it spans; may be empty.
        blocks: whether rows with the same first cell form a block; the second cell is then the row's name.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    n_text: int = 1
    groups: tuple[tuple[str, int], ...] = ()
    blocks: bool = False


def terminal(text: str) -> str:
    """The text for a terminal: its lines, without control sequences and marks that turn the direction of writing.

    >>> terminal("a\\x1b[31m\\nb")
    'a[31m\\nb'
    """
    return "\n".join(map(_printable, text.split("\n")))


def show(text: str, file: TextIO | None = None) -> None:
    """Print a text on standard output, or on `file`, as :func:`terminal` makes it."""
    print(terminal(text), file=file, flush=True)


def plain(text: str) -> str:
    """The text on one line, without control characters; invisible format characters are kept.

    >>> plain("a\\x1b[31m\\nb")
    'a[31m b'
    """
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    """The text with blanks for line ends and tabs, and without other control characters and direction marks."""
    if text.isprintable():
        return text
    kept = (c for c in text if c.isspace() or not (unicodedata.category(c) == "Cc" or c in _TURNING))
    return "".join(" " if c.isspace() else c for c in kept)


def md(text: str) -> str:
    """Text as Markdown: neither Markdown nor HTML in it takes effect."""
    return _MARKDOWN.sub(r"\\\g<0>", html.escape(plain(text), quote=False))


def md_code(text: str) -> str:
    """Text as inline code in Markdown, outside of tables; without backticks, and never empty: that opens a span."""
    return f"`{plain(text.replace('`', '')) or ' '}`"


def tex(text: str) -> str:
    """Text as LaTeX: no command in it takes effect."""
    return "".join(_LATEX.get(c, c) for c in plain(text))


def csv_cell(value: object) -> object:
    """A value as a CSV cell: text that a spreadsheet would take for a formula gets a leading apostrophe.

    Numbers have ten significant digits: the last ones of a double depend on the processor's order of additions.

    >>> csv_cell("=1+1"), csv_cell(-0.5), csv_cell("-0.5"), csv_cell(None)
    ("'=1+1", -0.5, '-0.5', '')
    """
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.10g}")
    if not isinstance(value, str):
        return "" if value is None else value
    text = _CONTROL.sub("", re.sub("\r\n?", "\n", value))  # the csv module does not quote a lone \r
    return text if _is_number(text) else FORMULA.sub("'", text)


def csv_value(cell: str) -> str:
    """The text of a cell that :func:`csv_cell` wrote.

    >>> csv_value("'=1+1"), csv_value("'quoted'"), csv_value("-0.5")
    ('=1+1', "'quoted'", '-0.5')
    """
    return _ESCAPED.sub("", cell) if cell.startswith("'") or "\n'" in cell else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV; None and NaN become empty cells."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[object]], n_text: int = 1) -> list[str]:
    """A table's lines in Markdown: its first `n_text` columns hold text, the others numbers."""
    aligned = ["---"] * n_text + ["---:"] * (len(head) - n_text)
    body = ["| " + " | ".join(md(str(cell)) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(map(md, head)) + " |", "|" + "|".join(aligned) + "|", *body]


def markdown_lines(table: Table) -> list[str]:
    """The table's lines in Markdown, without its title."""
    columns = list(table.columns)
    if table.groups:
        headings = [heading for heading, span in table.groups for _ in range(span)]
        columns[table.n_text :] = [f"{a} {b}" for a, b in zip(headings, columns[table.n_text :], strict=True)]
    aligned = ["---"] * table.n_text + ["---:"] * (len(columns) - table.n_text)
    lines = ["| " + " | ".join(map(md, columns)) + " |", "|" + "|".join(aligned) + "|"]
    for row in table.rows:
        cells = [
            f"**{md(cell.text)}**" if isinstance(cell, Cell) and cell.best else md(str(cell)) for cell in row.cells
        ]
        if row.kind == "baseline":
            cells[int(table.blocks)] = f"*{cells[int(table.blocks)]}*"
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def latex_table(table: Table, caption: str, comments: Iterable[str] = ()) -> list[str]:
    """The table's lines in LaTeX, for `\\input`; needs the packages of `LATEX_NEEDS`.

    Args:
        table: to be written.
        caption: plain text.
        comments: lines written behind the table as comments.
    """
    numbers = len(table.columns) - table.n_text
    lines = [
        "\\begin{table*}[t]",
        "\\centering",
        "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{{'l' * table.n_text}{'r' * numbers}}}\n\\toprule",
    ]
    if table.groups:
        tops = [f"\\multicolumn{{{span}}}{{c}}{{{tex(heading)}}}" for heading, span in table.groups]
        lines.append(" & ".join([*[""] * table.n_text, *tops]) + " \\\\")
        ends = [table.n_text + sum(span for _, span in table.groups[: i + 1]) for i in range(len(table.groups))]
        spans = zip(table.groups, ends, strict=True)
        lines.append("".join(f"\\cmidrule(lr){{{end - span + 1}-{end}}}" for (_, span), end in spans))
    lines.append(" & ".join(map(tex, table.columns)) + " \\\\\n\\midrule")
    block: tuple[str, str] | None = None
    for row in table.rows:
        cells = [_tex_cell(cell) for cell in row.cells]
        if table.blocks:
            same = (row.kind, cells[0])
            if block is not None and block != same:
                lines.append("\\midrule")
            elif block == same:
                cells[0] = ""
            block = same
        if row.kind == "baseline":
            cells[int(table.blocks)] = f"\\emph{{{cells[int(table.blocks)]}}}"
        lines.append(" & ".join(cells) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}}", f"\\caption{{{tex(caption)}}}", "\\end{table*}"]
    return [*lines, *(f"% {plain(comment)}" for comment in comments), ""]


def _tex_cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return tex(cell)
    if cell.best:
        return f"\\textbf{{{tex(cell.text)}}}"
    mark = {NOT_SIGNIFICANT: "\\approx"}.get(cell.mark, cell.mark)
    return tex(cell.text) + (f"$^{{{mark}}}$" if mark else "")


def align(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows for a terminal, columns aligned: the first `left` columns to the left, the others to the right."""
    shown = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in shown if i < len(row)) for i in range(max(map(len, shown)))]
    lines = []
    for row in shown:
        cells = [cell.ljust(widths[i]) if i < left else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many decimals; "-" for what is undefined.

    >>> number(0.25), number(-0.00001), number(None)
    ('0.2500', '0.0000', '-')
    """
    return "-" if value is None or not math.isfinite(value) else _fixed(value, digits)


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent; a dash for what is undefined."""
    return DASH if value is None or not math.isfinite(value) else _fixed(100 * value, digits)


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # a negative zero plus zero is zero
