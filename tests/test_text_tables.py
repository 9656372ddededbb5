"""Text from models and data stays text in every format."""

from __future__ import annotations

import csv
import io

import pytest

from crossin_metrics.text_tables import (
    NOT_SIGNIFICANT,
    Cell,
    Row,
    Table,
    align,
    csv_text,
    latex_table,
    markdown_lines,
    md,
    md_code,
    plain,
    tex,
)

HOSTILE = "a\x1b]0;owned\x07\r\n| <b>*x*</b> `y` [z](u) & $1 \\cmd {q}\u2028#~^%_"
TABLE = Table(
    "t",
    ("Base", "Model", "Acc", "AC3"),
    (
        Row(("g", "one", Cell("1.0", best=True), Cell("2.0", mark=NOT_SIGNIFICANT)), "measured"),
        Row(("g", "two", Cell("0.5"), Cell("0.1", mark="?")), "measured"),
        Row(("", "baseline: x", "0.2", "0.3"), "baseline"),
    ),
    2,
    (("set (n = 3)", 2),),
    blocks=True,
)


def test_text_stays_on_one_line_without_control_characters() -> None:
    for write in (plain, md, md_code, tex):
        assert not any(ord(c) < 32 or c in "\x7f\u2028" for c in write(HOSTILE)), write
    (line,) = align([[HOSTILE, "1"]]).splitlines()
    assert "\x1b" not in line


def test_no_markup_works() -> None:
    assert md("a\nb|c`<i>") == "a b\\|c\\`&lt;i&gt;"
    assert md("_a_ b_c d__e *") == "\\_a\\_ b_c d\\_\\_e \\*"
    assert md_code("a`b") == "`ab`"
    assert tex("50% of a_b & {c} \\d") == "50\\% of a\\_b \\& \\{c\\} \\textbackslash{}d"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-x", "@SUM(A1)", " =1", "\t=1", "\u200b=1", "＝1"])
def test_csv_cells_that_a_spreadsheet_would_compute_become_text(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(csv_text([[text]])))
    assert cell == f"'{text}"


def test_csv_numbers_stay_numbers() -> None:
    ((*cells,),) = csv.reader(io.StringIO(csv_text([[-0.5, "-0.5", "+1e3", float("nan"), None, "a-b", 3]])))
    assert cells == ["-0.5", "-0.5", "+1e3", "", "", "a-b", "3"]


def test_markdown_table() -> None:
    assert markdown_lines(TABLE) == [
        "| Base | Model | set (n = 3) Acc | set (n = 3) AC3 |",
        "|---|---|---:|---:|",
        "| g | one | **1.0** | 2.0 ≈ |",
        "| g | two | 0.5 | 0.1 ? |",
        "|  | *baseline: x* | 0.2 | 0.3 |",
    ]


def test_latex_table_names_a_block_once_and_rules_off_blocks() -> None:
    lines = "\n".join(latex_table(TABLE, "50%", ["one: sig\nature"])).splitlines()
    assert "\\begin{tabular}{llrr}" in lines
    assert " &  & \\multicolumn{2}{c}{set (n = 3)} \\\\" in lines
    assert "\\cmidrule(lr){3-4}" in lines
    body = lines[lines.index("\\midrule") + 1 : lines.index("\\bottomrule")]
    assert body == [
        "g & one & \\textbf{1.0} & 2.0$^{\\approx}$ \\\\",
        " & two & 0.5 & 0.1$^{?}$ \\\\",
        "\\midrule",
        " & \\emph{baseline: x} & 0.2 & 0.3 \\\\",
    ]
    assert lines[-2:] == ["\\end{table*}", "% one: sig ature"]
    assert "\\caption{50\\%}" in lines
