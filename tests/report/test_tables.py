"""Tables of the report: Table 3's shape, marks, escaping; CSV; plots."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.report.build import Options, Report, build_report
from crossin_metrics.report.draw.tables import OTHER_PROMPTS
from crossin_metrics.text_tables import NOT_SIGNIFICANT, UNTESTED
from tests.helpers.cli import crossin
from tests.helpers.report_files import answers_of, compile_latex, text_of, write_run

HOSTILE = "<script>alert(1)</script> | $x$ & a_b\\c {d} #1 ~^ --> %"


def report_of(folder: Path, **options: object) -> Report:
    return build_report([folder], Options(n_resamples=1000, plots=False, **options))  # type: ignore[arg-type]


def test_best_is_bold_and_insignificant_is_marked(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.85, seed=1), model="org/best")
    write_run(tmp_path, *answers_of(0.80, seed=2), model="org/near")
    write_run(tmp_path, *answers_of(0.20, seed=3), model="org/far")
    write_run(tmp_path, *answers_of(0.30, seed=4), model="org/elsewhere", prompt="p2")
    report = report_of(tmp_path)
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(text_of(report, "scores.csv")))}
    assert float(rows["org/near"]["acc_p_vs_best"]) >= 0.05 > float(rows["org/far"]["acc_p_vs_best"])
    shown = {model: f"{100 * float(row['acc']):.1f}" for model, row in rows.items()}
    lines = {line.split(" | ")[1]: line for line in text_of(report, "tables.md").splitlines() if line.startswith("| ")}
    assert f"**{shown['org/best']}**" in lines["org/best"]
    assert f"{shown['org/near']} {NOT_SIGNIFICANT}" in lines["org/near"]
    assert f" {shown['org/far']} |" in lines["org/far"]
    assert f"{shown['org/elsewhere']} {UNTESTED}" in lines[f"org/elsewhere {OTHER_PROMPTS}"]
    latex = text_of(report, "tables.tex")
    assert f"\\textbf{{{shown['org/best']}}}" in latex
    assert f"{shown['org/near']}$^{{\\approx}}$" in latex


def test_columns_are_benchmarks_and_rows_stand_by_base(tmp_path: Path) -> None:
    for task in ("cross_mmlu", "cross_logiqa"):
        for system in ("alpaca", "x2x_5000"):
            write_run(tmp_path / task, *answers_of(0.5, seed=len(system)), model=f"org/{system}", task=task)
    labels = tmp_path / "labels.csv"
    labels.write_text("run,base,system\n*alpaca,Gemma-2B,Alpaca\n*x2x*,Gemma-2B,CrossIn x2x\n", encoding="utf-8")
    report = report_of(tmp_path, labels=labels)
    lines = text_of(report, "tables.md").splitlines()
    (head,) = [line for line in lines if line.startswith("| Base |")]
    names = [cell.strip() for cell in head.split("|")[3:-1]]
    assert names == [
        f"cross_{name} (n = 120) {column}" for name in ("logiqa", "mmlu") for column in ("Acc", "Consis", "AC3")
    ]
    assert [line.split("|")[1:3] for line in lines if "Gemma" in line] == [
        [" Gemma-2B ", " Alpaca "],
        [" Gemma-2B ", " CrossIn x2x "],
    ]


def test_every_score_has_its_signature(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5), model="org/a")
    report = report_of(tmp_path)
    signature = "crossin|task:crossin_mini|data:74bc95a20242|langs:en,es,vi,zh|answers:letter|prompt:p1|shots:0|chat:no"
    for name in ("tables.md", "tables.tex", "scores.csv", "diagnosis.md", "index.html"):
        assert signature in text_of(report, name), name


def test_names_are_text_in_markdown_and_latex(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5), model="org/a", model_name=HOSTILE)
    report = report_of(tmp_path)
    markdown = text_of(report, "tables.md")
    assert "<script" not in re.sub(r"`[^`]*`", "", markdown)
    (row,) = [line for line in markdown.splitlines() if "alert" in line and line.startswith("| ")]
    assert len(re.split(r"(?<!\\)\|", row)) == 7  # five cells
    latex = text_of(report, "tables.tex")
    (row,) = [line for line in latex.splitlines() if "alert" in line and not line.startswith("%")]
    assert "\\$x\\$ \\& a\\_b\\textbackslash{}c \\{d\\} \\#1 \\textasciitilde{}\\textasciicircum{}" in row
    assert len(re.split(r"(?<!\\)&", row)) == 5


def test_latex_compiles(tmp_path: Path) -> None:
    write_run(tmp_path / "in", *answers_of(0.5), model="org/a_b")
    compile_latex(text_of(report_of(tmp_path / "in"), "tables.tex"), tmp_path)


def test_published_rows_are_marked_and_not_ranked(shared: Path, tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5), task="cross_mmlu")
    report = report_of(tmp_path, published=(str(shared / "reference/paper_table3.csv"),))
    markdown = text_of(report, "tables.md")
    assert "| Mistral-7B-v0.1 | CrossIn_x2x (published) | 41.0 | 42.3 | 41.7 |" in markdown
    rows = list(csv.DictReader(io.StringIO(text_of(report, "scores.csv"))))
    published = [row for row in rows if row["kind"] == "published"]
    assert len(published) == 45
    assert {row["rank"] for row in published} == {""}
    assert [row["rank"] for row in rows if row["kind"] == "measured"] == ["1"]


def test_prompts_csv_has_every_prompt(tmp_path: Path) -> None:
    for prompt in ("p1", "p2"):
        write_run(tmp_path / prompt, *answers_of(0.5, seed=int(prompt[1])), prompt=prompt)
    rows = list(csv.DictReader(io.StringIO(text_of(report_of(tmp_path), "prompts.csv"))))
    assert [row["prompt"] for row in rows] == ["p1", "p2"]
    assert rows[0]["ac3"] != rows[1]["ac3"]


def test_plots_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: plots are not checked")
    for arm in ("en2x", "x2x", "x2x_trans"):
        for amount in (1000, 5000):
            for prompt in ("p1", "p2"):
                model = f"org/gemma-{arm}_{amount}"
                write_run(tmp_path / prompt, *answers_of(0.5, seed=amount + len(arm), n=30), model=model, prompt=prompt)
    write_run(tmp_path / "p1", *answers_of(0.5, n=30), model="org/hostile", model_name=HOSTILE)
    report = build_report([tmp_path], Options(n_resamples=200))
    names = {name.removeprefix("figures/") for name in report.files if name.startswith("figures/")}
    stems = ("ac3", "formulations", "language_pairs", "languages", "prompts", "quantity", "trade_off", "translation")
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("svg", "png")}
    for name, content in report.files.items():
        if name.endswith(".png"):
            assert isinstance(content, bytes)
            assert content.startswith(b"\x89PNG")
        elif name.endswith(".svg"):
            assert isinstance(content, str)
            tree = ET.fromstring(content)
            assert not [node for node in tree.iter() if node.tag.endswith("script")]
            assert "currentColor" in content
    svg = text_of(report, "figures/ac3.svg")
    assert "&lt;script&gt;alert" in svg
    again = build_report([tmp_path], Options(n_resamples=200))
    assert again.files == report.files  # the same input gives the same bytes


def test_plots_need_matplotlib_only_if_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "in", *answers_of(0.5, n=20))
    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else whole(name))
    arguments = ["report", tmp_path / "in", "--out", tmp_path / "out", "--resamples", "200"]
    done = crossin(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "crossin[report]" in done.stderr
    assert crossin(*arguments, "--no-plots").returncode == 0


def test_readings_csv_says_how_answers_were_read(tmp_path: Path) -> None:
    rows = []
    for identifier, (code, text) in itertools.product(
        ("q1", "q2"), (("en", "The answer is A."), ("de", "<think>A or B"), ("es", "La respuesta es A."))
    ):
        doc = {"id": identifier, "language": code, "formulation": "gen", "prompt": "p1", "gold": 0}
        doc |= {"options": ["tea", "milk"], "order": [0, 1]}
        read = {"answer": None, "rule": "cut", "thought": 13} if code == "de" else {"answer": 0, "rule": "announced"}
        read |= {"thought_language": "en" if code == "de" else None, "answer_language": None if code == "de" else "en"}
        rows.append({"doc": doc, "filtered_resps": [text], "filter": "none", **read})
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "samples_cross_mmlu_gen_2026-11-22T01-53-33.493410.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = build_report([path], Options(plots=False, n_resamples=20))
    found = list(csv.DictReader(io.StringIO(text_of(report, "readings.csv"))))
    assert [(row["language"], row["rule"], row["rows"], row["n_cut"]) for row in found] == [
        ("de", "cut", "2", "2"), ("en", "announced", "2", "0"), ("es", "announced", "2", "0"),
    ]  # fmt: skip
    assert [(row["thought_in"], row["answer_in"]) for row in found] == [
        ("en 100%", ""),
        ("", "en 100%"),
        ("", "en 100%"),
    ]
    page = text_of(report, "index.html")
    section = page[page.index('id="readings"') : page.index('id="languages"')]
    assert re.findall(r"<t[hd]\b[^>]*>(?:<bdi>)?([^<]*)", section) == [
        "language", "unanswered", "cut", "thought", "thought in", "answer in", "announced",
        "de", "2", "2", "13", "en 100%", "", "0",
        "en", "0", "0", "0", "", "en 100%", "2",
        "es", "0", "0", "0", "", "en 100%", "2",
    ]  # fmt: skip


def test_groups_where_languages_part_most_come_first(tmp_path: Path) -> None:
    answers, gold = answers_of(0.9)
    answers[2::4] = np.arange(4)  # in group 2 every language picks another option
    for model in ("org/one", "org/two"):
        write_run(tmp_path / "runs", answers, gold, model=model, group="<b>relation</b> {}")
    report = build_report([tmp_path / "runs"], Options(n_resamples=50, plots=False))
    rows = list(csv.DictReader(io.StringIO(text_of(report, "groups.csv"))))
    assert len(rows) == 8
    worst = [row for row in rows if row["group"] == "<b>relation</b> 2"]
    assert [(row["model"], row["n_questions"], float(row["consistency"])) for row in worst] == [
        ("org/one", "30", 0.0),
        ("org/two", "30", 0.0),
    ]
    assert all(float(row["acc_low"]) <= float(row["acc"]) <= float(row["acc_high"]) for row in rows)
    (log,) = (tmp_path / "runs" / "org__one").glob("samples_*")
    by_score = json.loads(crossin("score", str(log), "--by", "group", "--json").stdout)
    for row in rows[:4]:
        scores = next(found for name, found in by_score.items() if name.endswith(f"|{row['group']}"))
        assert float(row["consistency"]) == pytest.approx(scores["consistency"])
        assert float(row["acc"]) == pytest.approx(scores["acc"])
    section = text_of(report, "index.html").partition('id="h-groups"')[2].partition("</section>")[0]
    names = re.findall(r"relation&lt;/b&gt; (\d)", section)
    assert names[0] == "2"
    assert len(names) == 4
    assert "<b>relation" not in section


def test_no_group_table_without_groups(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *answers_of(0.5))
    report = build_report([tmp_path / "runs"], Options(n_resamples=50, plots=False))
    assert "groups.csv" not in report.files
    assert 'id="h-groups"' not in text_of(report, "index.html")
