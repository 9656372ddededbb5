"""Arms in the report: seeds put together, tests, missing runs, costs, names, tables, figures, page."""

from __future__ import annotations

import csv
import html
import io
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.report.arms import missing_runs
from crossin_metrics.report.build import Options, Report, build_report
from crossin_metrics.report.collect import collect, differing_parts
from crossin_metrics.report.draw.arm_tables import p_text, points
from crossin_metrics.report.labels import Label, Labels, read_labels
from crossin_metrics.scores.definitions import score_questions
from crossin_metrics.scores.training_seeds import arm_scores, compare_arms, resample_arms
from tests.helpers.report_files import answers_of, compile_latex, text_of, write_run

HEAD = "run,name,base,system,arm,n_samples,translation,tag,seed,tokens,seconds,peak_memory_gb,trained_parameters"
SKILLS = {"untuned": 0.2, "base": 0.5, "x2x": 0.75, "x2x_untagged": 0.45}
N = 60


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four arms, one model name for all of them as adapters have it; x2x lacks its second seed."""
    folder = tmp_path_factory.mktemp("runs")
    lines = [HEAD]
    for i, (arm, skill) in enumerate(SKILLS.items()):
        for seed in (None,) if arm == "untuned" else (0, 1, 2):
            inner = folder / "arms" / arm / f"seed{seed or 0}" / "eval"
            if (arm, seed) != ("x2x", 1):
                answers, gold = answers_of(skill, seed=10 * i + (seed or 0), n=N)
                write_run(inner, answers, gold, model="/models/gemma")
            tag = {"x2x": "yes", "x2x_untagged": "no"}.get(arm, "")
            amount = "" if arm in ("untuned", "base") else "400"
            cost = ",,," if arm == "untuned" else f"{1000 * i + (seed or 0)},{100 * i},2.5,3000000"
            shown = "" if seed is None else seed
            kind = arm.removesuffix("_untagged")
            lines.append(f"*/arms/{arm}/*seed{seed or 0}/*,,Gemma,,{kind},{amount},no,{tag},{shown},{cost}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def report_of(runs: Path, **options: Any) -> Report:
    given = {"labels": runs / "labels.csv", "baseline": "base", "plots": False, "n_resamples": 200} | options
    return build_report([runs / "arms"], Options(**given))


@pytest.fixture(scope="module")
def report(runs: Path) -> Report:
    return report_of(runs, plots=True, compare=["x2x (tag)=untuned"])


def rows_of(report: Report, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(report, name))))


def questions_of(runs: Path, arm: str) -> list[Any]:
    return [run.questions() for run in collect([runs / "arms" / arm]).runs]


def test_arms_are_the_means_over_their_seeds(runs: Path, report: Report) -> None:
    arms = {row["arm"]: row for row in rows_of(report, "arms.csv")}
    assert list(arms) == ["untuned", "base", "x2x (tag)", "x2x (no tag)"]  # the order of the labels file
    scores = [score_questions(questions) for questions in questions_of(runs, "base")]
    for key in ("acc", "consistency", "ac3", "acc_vi"):
        values = [one[key] for one in scores]
        assert float(arms["base"][f"{key}_mean"]) == pytest.approx(np.mean(values))
        assert float(arms["base"][f"{key}_sd"]) == pytest.approx(np.std(values, ddof=1))
        assert sorted(map(float, arms["base"][f"{key}_by_seed"].split())) == pytest.approx(sorted(values))
    assert arms["base"]["covers"] == "questions and seeds"
    assert arms["untuned"]["covers"] == "questions"
    assert arms["untuned"]["ac3_sd"] == ""
    assert (arms["x2x (tag)"]["seeds"], arms["x2x (tag)"]["missing_seeds"]) == ("0 2", "1")
    assert all("|task:crossin_mini|" in row["signature"] for row in arms.values())


def test_comparisons_are_those_of_replicates(runs: Path, report: Report) -> None:
    tests = {(row["a"], row["b"], row["score"]): row for row in rows_of(report, "comparisons.csv")}
    pairs = list(dict.fromkeys((a, b) for a, b, _ in tests))
    assert pairs == [("untuned", "base"), ("x2x (tag)", "base"), ("x2x (no tag)", "base"), ("x2x (tag)", "untuned")]
    arms = resample_arms(
        {name: [[run] for run in questions_of(runs, name)] for name in ("untuned", "base", "x2x_untagged")},
        untrained=["untuned"],
        n_resamples=200,
    )
    expected = compare_arms(arms["x2x_untagged"], arms["base"])["ac3"]
    found = tests["x2x (no tag)", "base", "ac3"]
    assert float(found["difference"]) == pytest.approx(expected.difference)
    assert float(found["p_questions_and_seeds"]) == pytest.approx(expected.p_value)
    assert float(found["p_questions"]) == pytest.approx(expected.p_questions)
    assert float(found["low_questions_and_seeds"]) == pytest.approx(expected.low)
    assert found["n_comparisons"] == "4"
    smallest = min(float(row["p_questions_and_seeds"]) for key, row in tests.items() if key[2] == "ac3")
    corrected = min(float(row["p_holm_questions_and_seeds"]) for key, row in tests.items() if key[2] == "ac3")
    assert corrected == pytest.approx(4 * smallest)
    interval = arm_scores(arms["base"])["ac3"]
    (row,) = [row for row in rows_of(report, "arms.csv") if row["arm"] == "base"]
    assert (float(row["ac3_low"]), float(row["ac3_high"])) == pytest.approx((interval.low, interval.high))


def test_the_score_and_comparison_named_beforehand_come_first(runs: Path) -> None:
    report = report_of(runs, keys=["transfer", "consistent_correct"], planned="x2x (no tag)=base", plots=True)
    tests = {(row["a"], row["b"], row["score"]): row for row in rows_of(report, "comparisons.csv")}
    planned, other = tests["x2x (no tag)", "base", "transfer"], tests["x2x (tag)", "base", "transfer"]
    assert planned["n_comparisons"] == "1"
    assert planned["p_holm_questions_and_seeds"] == planned["p_questions_and_seeds"]
    assert other["n_comparisons"] == "2"
    assert tests["x2x (tag)", "base", "ac3"]["n_comparisons"] == "3"
    arms = resample_arms({n: [[run] for run in questions_of(runs, n)] for n in ("base", "x2x_untagged")},
                         keys=["transfer"], n_resamples=200)  # fmt: skip
    expected = compare_arms(arms["x2x_untagged"], arms["base"])["transfer"]
    assert float(planned["difference"]) == pytest.approx(expected.difference)
    assert float(planned["p_questions_and_seeds"]) == pytest.approx(expected.p_value)
    text = text_of(report, "arms.md")
    heads = re.findall(r"^#+ (.+), difference from base$", text, re.MULTILINE)
    assert heads == ["Transfer", "Consistent and correct", "AC3", "Acc", "Consis"]
    assert text.count("x2x (no tag) ‡") == 1
    assert "Planned comparison: x2x (no tag) − base is" in text_of(report, "index.html")
    assert "has the highest mean on" in text_of(report, "index.html")
    assert " is best on " not in text_of(report, "index.html")
    assert any(name.startswith("figures/arms_") for name in report.files)


def test_a_comparison_the_other_way_round_is_no_second_test(runs: Path, report: Report) -> None:
    twice = report_of(runs, compare=["x2x (tag)=untuned", "base=x2x (tag)", "untuned=x2x (tag)"])
    assert text_of(twice, "comparisons.csv") == text_of(report, "comparisons.csv")


@pytest.mark.parametrize(("parts", "planned"), [("answers:letter prompt:p1", 1), ("answers:cf", 0)])
def test_the_comparison_named_beforehand_is_one_test(runs: Path, parts: str, planned: int) -> None:
    report = report_of(runs, keys=["transfer"], planned="x2x (no tag)=base", planned_in=parts)
    assert text_of(report, "arms.md").count("x2x (no tag) ‡") == planned
    assert any("0 of 1 are meant" in note for note in report.notes) is (planned == 0)


def test_what_is_missing_is_named(report: Report) -> None:
    (note,) = [note for note in report.notes if note.startswith("missing")]
    assert note == "missing: x2x (tag), seed 1 (no result matches */arms/x2x/*seed1/*)"
    assert "| x2x (tag) | 2 (no result: seed 1) |" in text_of(report, "arms.md")
    assert "x2x (tag), seed 1" in re.sub(r"<[^>]*>", "", text_of(report, "index.html"))


def test_missing_seeds_of_an_arm_are_one_line() -> None:
    rows = [(f"*x/{seed}/*", Label(name="x", arm="x", seed=seed)) for seed in range(3)]
    assert missing_runs(Labels(rows)) == ["x, seeds 0, 1, 2 (no result matches *x/0/* and 2 more)"]


def test_an_arm_without_any_result_has_a_row(runs: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    text = (runs / "labels.csv").read_text(encoding="utf-8")
    labels.write_text(text + "*/arms/en2x/*,en2x,Gemma,,en2x,400,no,yes,0,,,,\n", encoding="utf-8")
    report = report_of(runs, labels=labels)
    assert "| en2x | no result | – | – | – |" in text_of(report, "arms.md")
    assert [row["covers"] for row in rows_of(report, "arms.csv") if row["arm"] == "en2x"] == ["no result"]
    assert "| en2x | no result |" in text_of(report, "arms.md").split("AC3, difference from base")[1]
    assert [note for note in report.notes if "en2x, seed 0" in note]
    # and if the baseline is what is missing, nothing is tested and everything else stands
    report = report_of(runs, labels=labels, baseline="en2x")
    assert rows_of(report, "comparisons.csv") == []
    assert "| base | 3 |" in text_of(report, "arms.md")


def test_costs_are_means_over_runs(report: Report) -> None:
    costs = {row["arm"]: row for row in rows_of(report, "efficiency.csv")}
    assert float(costs["base"]["tokens"]) == 1001.0
    assert float(costs["x2x (no tag)"]["seconds"]) == 300.0
    assert (costs["untuned"]["runs"], costs["untuned"]["tokens"]) == ("0", "")
    assert "| base | 3 | 1,001 | 100 | 2.50 | 3,000,000 |" in text_of(report, "arms.md")


def test_markdown_latex_and_page_say_the_same(report: Report) -> None:
    markdown, latex, page = (text_of(report, name) for name in ("arms.md", "arms.tex", "index.html"))
    row = next(line for line in markdown.splitlines() if line.startswith("| x2x (no tag) | 3 |"))
    cells = [cell.strip().replace("\\*", "*") for cell in row.strip("|").split("|")]
    assert f"{' & '.join(cells[:1])} & " in latex
    assert cells[2].replace("±", "$\\pm$") in latex
    section = page[page.index('id="arms"') : page.index('id="tables"')]
    assert all(f'<td class="n">{cell}</td>' in section for cell in cells[2:])
    for text in (markdown, latex, section):
        assert "crossin|task:crossin_mini|data:" in text
        assert "over questions" in text
    assert "\\begin{tabular}{llrrrrrrr}" in latex
    (line,) = [line for line in markdown.splitlines() if line.startswith("| untuned | 1 † |")]
    assert re.fullmatch(r"\| untuned \| 1 † \|( \d+\.\d ± \d+\.\d(\\\*)? \|){7}", line)


def test_figures_of_arms(report: Report) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: figures are not checked")
    for name in ("arms", "arm_languages", "arm_trade_off"):
        content = report.files[f"figures/{name}_crossin_mini_letter.png"]
        assert isinstance(content, bytes)
        assert content.startswith(b"\x89PNG")
        width = int.from_bytes(content[16:20], "big")
        assert 1200 <= width <= 1500  # 900 pixels at 150 dots an inch
        svg = text_of(report, f"figures/{name}_crossin_mini_letter.svg")
        words = "".join(ET.fromstring(svg).itertext())
        assert all(arm in words for arm in ("untuned", "base", "x2x (tag)", "x2x (no tag)"))
    words = "".join(ET.fromstring(text_of(report, "figures/formulations.svg")).itertext())
    assert "x2x with tag" in words
    assert "x2x without tag" in words


def test_runs_of_an_arm_are_told_apart_in_the_leaderboard(report: Report) -> None:
    seeds = {"base": (0, 1, 2), "x2x (tag)": (0, 2), "x2x (no tag)": (0, 1, 2)}
    names = {f"{arm}, seed {seed}" for arm, those in seeds.items() for seed in those}
    assert {row["model"] for row in rows_of(report, "scores.csv")} == names | {"gemma (untuned, seed0)"}
    assert report.problems == []


def test_without_seeds_nothing_changes(runs: Path) -> None:
    report = report_of(runs, labels=None, baseline=None)
    assert not [name for name in report.files if name.startswith(("arms", "comparisons", "efficiency"))]
    assert 'id="arms"' not in text_of(report, "index.html")


def test_a_baseline_works_without_labels(runs: Path) -> None:
    pairs = ["gemma (x2x, seed0)=gemma (x2x, seed2)"]
    report = report_of(runs, labels=None, baseline="gemma (base, seed0)", compare=pairs)
    arms = rows_of(report, "arms.csv")
    assert len(arms) == 9
    assert {row["covers"] for row in arms} == {"questions"}
    tests = rows_of(report, "comparisons.csv")
    assert all(row["p_questions"] == row["p_questions_and_seeds"] != "" for row in tests)
    assert "training seeds" not in text_of(report, "arms.md")


def test_a_table_of_predictions_gives_the_same_arms(runs: Path, report: Report, tmp_path: Path) -> None:
    lines = ["task,model,mode,prompt,id,language,answer,gold,n_choices"]
    for run in collect([runs / "arms"], labels=read_labels(runs / "labels.csv")).runs:
        model = str(run.source_files[0].relative_to(runs).parents[2])
        for identifier, answers, gold in zip(run.ids, run.answers, run.gold, strict=True):
            lines += [
                f"crossin_mini,runs/{model}/,,p1,{identifier},{language},{answer},{gold},4"
                for language, answer in zip(run.languages, answers, strict=True)
            ]
    table = tmp_path / "predictions.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    again = build_report([table], Options(labels=runs / "labels.csv", baseline="base", plots=False, n_resamples=200))
    left, right = (
        [{key: value for key, value in row.items() if key not in ("signature", "formulation")} for row in rows]
        for rows in (rows_of(report, "arms.csv"), rows_of(again, "arms.csv"))
    )
    assert left == right


def test_latex_of_arms_compiles(report: Report, tmp_path: Path) -> None:
    compile_latex(text_of(report, "arms.tex"), tmp_path)


def test_two_seeds_with_the_same_answers_are_two_runs(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"seed{seed}", *answers_of(0.5, n=20), model="m")
    labels = tmp_path / "labels.csv"
    labels.write_text("run,arm,seed\n*seed0*,x2x,0\n*seed1*,x2x,1\n", encoding="utf-8")
    report = build_report([tmp_path], Options(labels=labels, plots=False, n_resamples=200))
    (row,) = rows_of(report, "arms.csv")
    assert (row["seeds"], float(row["ac3_sd"])) == ("0 1", 0.0)


def test_a_seed_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    for name, skill in (("a", 0.4), ("b", 0.8)):
        write_run(tmp_path / name / "seed0", *answers_of(skill, n=20), model=f"org/{name}")
    labels = tmp_path / "labels.csv"
    labels.write_text("run,arm,seed\n*seed0*,x2x,0\n", encoding="utf-8")
    report = build_report([tmp_path], Options(labels=labels, plots=False, n_resamples=200))
    (row,) = rows_of(report, "arms.csv")
    assert row["seeds"] == "0"
    (note,) = report.notes
    assert "x2x, seed 0 has two results" in note
    assert row["covers"] == "questions"


def test_one_seed_has_no_p_value_over_seeds(tmp_path: Path) -> None:
    lines = ["run,arm,seed"]
    for arm, seeds in (("base", 3), ("en2x", 3), ("x2x", 1)):
        for seed in range(seeds):
            write_run(tmp_path / arm / f"seed{seed}", *answers_of(0.5, seed=seed + len(arm), n=40), model="m")
            lines.append(f"*/{arm}/seed{seed}/*,{arm},{seed}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines), encoding="utf-8")
    report = build_report([tmp_path], Options(labels=labels, baseline="base", plots=False, n_resamples=200))
    tested, row = [row for row in rows_of(report, "comparisons.csv") if row["score"] == "ac3"]
    assert row["p_questions_and_seeds"] == row["low_questions_and_seeds"] == row["n_comparisons"] == ""
    assert tested["n_comparisons"] == "1"
    said = "Of 2 arms against base: none different in AC3 after Holm's correction, 1 untested."
    assert said in html.unescape(text_of(report, "index.html"))
    assert 0.0 < float(row["p_questions"]) <= 1.0
    assert f"| {points(float(row['difference']))} | – | – | – | – | {p_text(float(row['p_questions']))} |" in text_of(
        report, "arms.md"
    )
    alone = Options(labels=labels, baseline="base", keys=["ac3"], planned="en2x=base", plots=False, n_resamples=200)
    page = text_of(build_report([tmp_path / "base", tmp_path / "x2x"], alone), "index.html")
    assert "Planned comparison: en2x − base by AC3 is untested." in page  # it has no result
    assert "Of 2 arms against base: 2 untested." in page


def test_arms_are_compared_on_the_prompts_that_both_have(tmp_path: Path) -> None:
    """Base and tuned answer p1 alike, and base p2 far better; other has p3 only. All are adapters of one model."""
    lines = ["run,arm,seed"]
    skills = {"base": {"p1": 0.3, "p2": 0.9}, "tuned": {"p1": 0.3}, "other": {"p3": 0.5}}
    for arm, prompts in skills.items():
        for seed in range(3):
            for prompt, skill in prompts.items():
                answers = answers_of(skill, seed=seed, n=N)
                write_run(tmp_path / arm / f"seed{seed}" / prompt, *answers, prompt=prompt)
            lines.append(f"*/{arm}/seed{seed}/*,{arm},{seed}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines), encoding="utf-8")
    report = build_report([tmp_path], Options(labels=labels, baseline="base", plots=False, n_resamples=200))
    (test,) = [row for row in rows_of(report, "comparisons.csv") if row["score"] == "ac3"]
    assert (test["a"], float(test["difference"]), float(test["p_questions_and_seeds"])) == ("tuned", 0.0, 1.0)
    arms = {row["arm"]: float(row["ac3_mean"]) for row in rows_of(report, "arms.csv")}
    assert arms["base"] > float(test["mean_b"]) + 0.1  # its row is the mean over p1 and p2
    text = text_of(report, "arms.md")
    assert "| tuned, on p1 | 0.0 |" in text
    assert "| other | no shared prompt |" in text
    assert report.notes[-2:] == [
        "crossin_mini: tuned − base: tested on p1, the prompts that both have",
        "crossin_mini: other − base: untested, no prompt in common",
    ]


def test_a_benchmark_without_the_score_is_tested_by_the_others(tmp_path: Path) -> None:
    for arm in ("base", "x2x"):
        for task, codes in (("crossin_mini", ("en", "es", "vi", "zh")), ("cross_xcopa", ("et", "id", "vi", "zh"))):
            answers = answers_of(0.5, seed=len(arm), n=20)
            write_run(tmp_path / "in" / arm / task, *answers, task=task, languages=codes)
    labels = tmp_path / "labels.csv"
    labels.write_text("run,arm\n*/base/*,base\n*/x2x/*,x2x\n", encoding="utf-8")
    options = Options(labels=labels, baseline="base", keys=["transfer", "acc_sw"], plots=False, n_resamples=50)
    report = build_report([tmp_path / "in"], options)
    tests = [(row["benchmark"], row["score"]) for row in rows_of(report, "comparisons.csv")]
    assert ("crossin_mini", "transfer") in tests
    assert ("cross_xcopa", "ac3") in tests
    assert ("cross_xcopa", "transfer") not in tests
    assert [note for note in report.notes if note.startswith("--keys acc_sw: undefined for every arm")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"baseline": "bsae"}, "--baseline bsae: unknown arm; known are untuned, base, x2x"),
        ({"baseline": "x2x"}, r"ambiguous, it fits x2x \(tag\), x2x \(no tag\)"),
        ({"compare": ["base"]}, "must be two arms, as A=B"),
        ({"compare": ["base=nobody"]}, "--compare nobody: unknown arm"),
        ({"compare": ["base=base"]}, "both are base"),
        ({"keys": ["trasnfer"]}, "unknown score 'trasnfer'; did you mean 'transfer'?"),
        ({"keys": ["excess_consistency"]}, "printed by `crossin score` only"),
        ({"keys": ["transfer"], "labels": None, "baseline": None}, "--keys .* say --baseline ARM"),
        ({"keys": ["transfer"], "planned": "base=nobody"}, "--planned nobody: unknown arm"),
        ({"planned": "x2x (tag)=base"}, "--planned: name the primary score, too"),
        ({"planned_in": "answers:cf"}, "--planned-in: name the comparison, too"),
    ],
)
def test_names_that_are_wrong(runs: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossinError, match=said):
        report_of(runs, **options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,arm,seed\na,x2x,first\n", "labels.csv, line 2: seed must be a whole number, not 'first'"),
        ("run,arm,seed\na,x2x,-1\n", "seed must be a whole number, not '-1'"),
        ("run,seed\na,1\n", "seed 1 without an arm"),
        ("run,tokens\na,many\n", "tokens must be a number of 0 or more, not 'many'"),
        ("run,seconds\na,-2\n", "seconds must be a number of 0 or more, not '-2'"),
        ("run,peak_memory_gb\na,nan\n", "not 'nan'"),
    ],
)
def test_columns_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CrossinError, match=said):
        read_labels(path)


def test_labels_with_seeds(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text("- {run: a, arm: x2x, seed: 0, tag: yes, tokens: 1.5e6}\n- {run: b, arm: x2x, seed: 1, tag: yes}\n")
    labels = read_labels(path)
    assert labels.rows[0] == ("a", Label(arm="x2x", seed=0, tag="yes", tokens=1.5e6))
    assert labels.seeded
    assert list(labels.arm_names().values()) == ["x2x"]
    names = Labels([("a", Label(name="x", n_samples=n, seed=0)) for n in (100, 200)]).arm_names()
    assert list(names.values()) == ["x (100 samples)", "x (200 samples)"]
    same = Labels([("a", Label(name="x", arm=arm, tag="no", seed=0)) for arm in ("e", "f")]).arm_names()
    assert list(same.values()) == ["x (e)", "x (f)"]
    assert not Labels([("a", Label(arm="x2x"))]).seeded


def test_names_tell_arms_apart_where_nothing_else_does() -> None:
    rows = [(f"{name}{seed}", Label(name=name, base="G", seed=seed)) for name in ("p", "q") for seed in (0, 1)]
    rows.append(("u", Label(name="u", base="G")))
    labels = Labels(rows)
    assert {names: len(labels.arms()[key]) for key, names in labels.arm_names().items()} == {"p": 2, "q": 2, "u": 1}
    one = Labels([(f"r{seed}", Label(name=f"x2x, run {seed}", arm="x2x", seed=seed)) for seed in (0, 1)])
    assert list(one.arm_names().values()) == ["x2x"]  # names of runs: still one arm


def test_folders_are_told_apart() -> None:
    assert differing_parts([Path("r/a/seed0/eval"), Path("r/b/seed10/eval")]) == ["a, seed0", "b, seed10"]
    assert differing_parts([Path("r/a"), Path("r/a/x")]) == ["a", "x"]


def test_numbers_as_text() -> None:
    assert [points(value) for value in (0.123, -0.004, 0.0004, -0.0004, 0.0)] == ["+12.3", "−0.4", "0.0", "0.0", "0.0"]
    assert [p_text(value) for value in (0.0004, 0.0123, 1.0, math.nan)] == ["<0.001", "0.012", "1.000", "–"]
