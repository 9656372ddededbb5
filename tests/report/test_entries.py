"""Entries of the report: official figures, grouping by signature, prompts, intervals and tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.report.build import Options, build_report
from crossin_metrics.report.collect import collect
from crossin_metrics.report.entries import (
    Entry,
    Group,
    group_entries,
    make_entries,
    rank_and_test,
    short_names,
)
from crossin_metrics.report.labels import Label, Labels, label_of_name, read_labels
from crossin_metrics.report.published import read_published
from crossin_metrics.runs.signature import setup_of, signature_of
from crossin_metrics.scores.catalogue import MAIN_SCORES
from crossin_metrics.scores.definitions import harmonic_mean
from crossin_metrics.scores.significance import paired_bootstrap
from crossin_metrics.scores.uncertainty import bootstrap, percentile_intervals
from crossin_metrics.signature import signature_fields
from tests.helpers.report_files import answers_of, write_run


def groups_of(folder: Path, *, mix: bool = False, n_resamples: int = 2000, labels: Labels | None = None) -> list[Group]:
    found = collect([folder])
    groups = group_entries(make_entries(found.runs, found.stated, labels or Labels()), mix=mix)
    rank_and_test(groups, n_resamples=n_resamples)
    return groups


@pytest.mark.parametrize("name", ["cross_mmlu", "cross_logiqa"])
def test_golden_figures_are_the_official_ones(shared: Path, name: str) -> None:
    found = collect([shared / "data/golden" / f"predictions_{name}.jsonl.gz"])
    official = json.loads((shared / "data/golden" / f"official_{name}.json").read_text(encoding="utf-8"))
    entries = make_entries(found.runs, found.stated, Labels())
    seen = 0
    for entry in entries:
        modes = {run.mode for run in entry.runs}
        keys = [f"{entry.model}|{mode}|{prompt}" for mode in modes for prompt in entry.by_prompt]
        for key, prompt in zip(keys, entry.by_prompt, strict=True):
            ours, theirs = entry.by_prompt[prompt], official[key]
            assert ours["acc"] == pytest.approx(theirs["overall_acc"], abs=1e-12)
            assert ours["consistency"] == pytest.approx(theirs["consistency_score_3"], abs=1e-12)
            assert ours["ac3"] == pytest.approx(theirs["AC3_3"], abs=1e-9)  # theirs adds 1e-10 to the denominator
            seen += 1
        acc = np.mean([official[key]["overall_acc"] for key in keys])
        agree = np.mean([official[key]["consistency_score_3"] for key in keys])
        assert entry.scores["acc"] == pytest.approx(acc, abs=1e-12)
        assert entry.scores["ac3"] == pytest.approx(2 * acc * agree / (acc + agree), abs=1e-9)
    assert seen == len(official)


def test_golden_report_in_one_command(shared: Path) -> None:
    report = build_report([shared / "data/golden"], Options())
    table = report.files["tables.md"]
    models = {"flan_t5_large", "flan_t5_xl", "flan_ul2", "gemma_7b", "meta_llama_3_8b", "mistral_7b_v0_2", "mt0_xxl"}
    models |= {"qwen_1_5_7b", "sea_lion_3b", "sea_lion_7b", "LLaMA_3_Merlion_8B", "meta_llama_3_8b_instruct"}
    assert isinstance(table, str)
    assert all(model in table for model in models)
    assert "| **64.5** | **57.5** | **60.8** |" in table  # gemma_7b on cross_mmlu, five-shot


def test_prompts_are_averaged_and_ac3_is_of_the_means(tmp_path: Path) -> None:
    for prompt, skill in (("p1", 0.9), ("p2", 0.5), ("p3", 0.2)):
        write_run(tmp_path / prompt, *answers_of(skill, seed=len(prompt)), prompt=prompt)
    ((group),) = groups_of(tmp_path)
    (entry,) = group.entries
    runs = list(entry.by_prompt.values())
    assert entry.prompts == ("p1", "p2", "p3")
    assert entry.scores["acc"] == pytest.approx(np.mean([run["acc"] for run in runs]))
    means = [np.float64(np.mean([run[key] for run in runs])) for key in ("acc", "consistency")]
    assert entry.scores["ac3"] == pytest.approx(float(harmonic_mean(*means)))
    assert entry.scores["ac3"] != pytest.approx(np.mean([run["ac3"] for run in runs]), abs=1e-4)
    middle, low, high = entry.spread("ac3") or (0, 0, 0)
    assert (low, middle, high) == tuple(sorted(run["ac3"] for run in runs))
    assert signature_fields(entry.signature)["prompt"] == "mean(p1,p2,p3)"


def test_intervals_and_tests_agree_with_the_library(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.62, seed=1), model="org/a")
    write_run(tmp_path, *answers_of(0.52, seed=2), model="org/b")
    ((group),) = groups_of(tmp_path, n_resamples=10_000)
    a, b = (next(entry for entry in group.entries if entry.model == name) for name in ("org/a", "org/b"))
    expected = paired_bootstrap(b.runs[0].questions(), a.runs[0].questions(), n_resamples=10_000, keys=MAIN_SCORES)
    alone = percentile_intervals(bootstrap(b.runs[0].questions(), n_resamples=10_000, keys=MAIN_SCORES))
    for metric in MAIN_SCORES:
        test, wanted = b.tests[metric], expected[metric]
        assert test.difference == pytest.approx(wanted.difference, abs=1e-12)
        # Two different draws of 10,000: four standard errors of a share, and of a quantile of these scores.
        assert test.p_value == pytest.approx(wanted.p_value, abs=4 * np.sqrt(0.25 / 10_000) * 1.5)
        assert b.intervals[metric] == pytest.approx(alone[metric], abs=0.008)
    assert a.tests["ac3"].p_value == 1.0
    assert (a.rank, b.rank) == (1, 2)


def test_the_gap_to_the_best_is_measured_by_the_range_of_all(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.9, seed=1), model="org/best")
    for i, skill in enumerate((0.1, 0.8, 0.85)):
        write_run(tmp_path, *answers_of(skill, seed=10 + i), model=f"org/m{i}")
    ((group),) = groups_of(tmp_path, n_resamples=1000)
    tests = {entry.model: entry.tests["acc"].p_value for entry in group.entries}
    assert tests["org/m0"] == pytest.approx(1 / 1001)
    assert tests["org/m0"] <= min(tests["org/m1"], tests["org/m2"])
    assert tests["org/best"] == 1.0


def test_equal_runs_are_not_significantly_different(tmp_path: Path) -> None:
    answers, gold = answers_of(0.6, seed=1)
    write_run(tmp_path, answers, gold, model="org/a")
    write_run(tmp_path, answers, gold, model="org/b")
    ((group),) = groups_of(tmp_path)
    assert all(not test.significant for entry in group.entries for test in entry.tests.values())
    assert [entry.rank for entry in group.entries] == [1, 1]


@pytest.mark.parametrize(
    ("change", "n_groups"),
    [
        ({}, 1),
        ({"prompt": "p4"}, 1),
        ({"prompt": "native"}, 2),
        ({"formulation": "cf", "task": "crossin_mini_cf"}, 2),
        ({"shots": 5}, 2),
        ({"version": 2.0}, 2),
        ({"data": "000000000000"}, 2),
    ],
)
def test_only_what_changes_the_measurement_parts_entries(
    tmp_path: Path, change: dict[str, object], n_groups: int
) -> None:
    write_run(tmp_path, *answers_of(0.6, seed=1), model="org/a")
    write_run(tmp_path, *answers_of(0.5, seed=2), model="org/b", **change)  # type: ignore[arg-type]
    groups = groups_of(tmp_path)
    assert len(groups) == n_groups
    assert sorted(entry.rank or 0 for group in groups for entry in group.entries) == (
        [1, 2] if n_groups == 1 else [1, 1]
    )
    mixed = groups_of(tmp_path, mix=True)
    assert len(mixed) == 1
    assert sorted(entry.rank or 0 for entry in mixed[0].entries) == [1, 2]


def test_the_version_of_the_package_does_not_part_entries(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6, seed=1), model="org/a")
    inner = write_run(tmp_path, *answers_of(0.5, seed=2), model="org/b")
    (path,) = inner.glob("results_*.json")
    path.write_text(path.read_text(encoding="utf-8").replace("|v:0.1.0", "|v:0.2.0"), encoding="utf-8")
    assert len(groups_of(tmp_path)) == 1


def test_entries_without_a_shared_prompt_are_untested(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.9, seed=1), model="org/a", prompt="p1")
    write_run(tmp_path, *answers_of(0.2, seed=2), model="org/b", prompt="p2")
    ((group),) = groups_of(tmp_path)
    assert next(entry for entry in group.entries if entry.model == "org/b").tests == {}


def test_signature_says_what_was_left_out(tmp_path: Path) -> None:
    answers, gold = answers_of(0.6)
    write_run(tmp_path, answers[:30], gold[:30], whole=120, limit=120)
    (run,) = collect([tmp_path]).runs
    assert signature_fields(signature_of(run))["questions"] == "30 of 120"
    assert "zero-shot" in setup_of(run).heading
    (half,) = collect([tmp_path], ["en", "es"]).runs
    fields = signature_fields(signature_of(half))
    assert (fields["langs"], fields["s"]) == ("en,es", "2")


def test_a_table_gets_a_signature_of_what_it_tells(tmp_path: Path) -> None:
    rows = [{"id": f"q{i}", "language": code, "answer": 0, "gold": 0} for i in range(3) for code in ("en", "zh")]
    path = tmp_path / "predictions_cross_mmlu.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (run,) = collect([path]).runs
    fields = signature_fields(signature_of(run))
    assert fields["task"] == "cross_mmlu"
    assert fields["data"].startswith("ids-")
    assert fields["answers"] == fields["shots"] == "unstated"


def test_names_are_as_short_as_distinct() -> None:
    names = short_names(["/a/x/merged", "/a/y/merged", "/b/gemma", "google/gemma"])
    assert names == {
        "/a/x/merged": "x/merged",
        "/a/y/merged": "y/merged",
        "/b/gemma": "b/gemma",
        "google/gemma": "google/gemma",
    }


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("run,base,arm,n_samples,translation\n*/a,Gemma,x2x,5000,no\nnobody,,,,\n", encoding="utf-8")
    labels = read_labels(path)
    assert labels.of("org/a") == Label(base="Gemma", arm="x2x", n_samples=5000, translation=False)
    assert labels.of("gemma-x2x_trans_3000") == Label(base="gemma", arm="x2x", n_samples=3000, translation=True)
    assert labels.unused() == ["nobody"]
    yaml = tmp_path / "labels.yaml"
    yaml.write_text("- run: org/a\n  n_samples: 5000\n  translation: yes\n", encoding="utf-8")
    assert read_labels(yaml).of("org/a") == Label(n_samples=5000, translation=True)
    assert label_of_name("llama-3-8b") == Label()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,n_samples\na,many\n", "labels.csv, line 2: n_samples must be a whole number, not 'many'"),
        ("run,translation\na,perhaps\n", "must be yes or no"),
        ("run,colour\na,red\n", "unknown column colour"),
        ("base\nGemma\n", "`run` is missing"),
        ("run,base\na\n", "too few values"),
    ],
)
def test_labels_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CrossinError, match=said):
        read_labels(path)


def test_published_rows(shared: Path) -> None:
    table = read_published(str(shared / "reference/paper_table3.csv"))
    assert len(table) == 45
    assert {entry.benchmark for entry in table} == {"cross_xquad", "cross_mmlu", "cross_logiqa"}
    for entry in table:  # the paper's AC3 is the harmonic mean of the two others, to their rounding
        expected = harmonic_mean(np.float64(entry.scores["acc"]), np.float64(entry.scores["consistency"]))
        assert entry.scores["ac3"] == pytest.approx(float(expected), abs=0.0011)
    official = read_published(str(shared / "reference/cross_xquad_official.json"))
    assert {entry.benchmark for entry in official} == {"cross_xquad"}
    assert sum(len(entry.by_prompt) for entry in official) == 151
    merlion: Entry = next(entry for entry in official if entry.model == "LLaMA_3_Merlion_8B zero-shot")
    assert merlion.by_prompt["p1"]["ac3"] == pytest.approx(0.8736302177597297)
    assert merlion.scores["acc_es"] == pytest.approx(np.mean([run["acc_es"] for run in merlion.by_prompt.values()]))
    groups = group_entries([*table, *official])
    rank_and_test(groups)
    assert all(entry.rank is None for group in groups for entry in group.entries)


def test_a_path_may_hold_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("s=1/p.csv")
    path.parent.mkdir()
    path.write_text("base,system,acc,consistency,ac3\na,b,50,50,50\n", encoding="utf-8")
    assert [entry.benchmark for entry in read_published(f"cross_mmlu={path}")] == ["cross_mmlu"]
    with pytest.raises(CrossinError, match=r"^s=1/p\.csv, line 1: column benchmark missing"):
        read_published(str(path))


def test_published_files_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("base,system,benchmark,acc,consistency,ac3\na,b,c,50,x,50\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"p\.csv, line 2: consistency: 'x'"):
        read_published(str(path))
    path.write_text("base,system,benchmark,acc\na,b,c,50\n", encoding="utf-8")
    with pytest.raises(CrossinError, match="column consistency, ac3 missing"):
        read_published(str(path))
    with pytest.raises(CrossinError, match="no such file"):
        read_published("absent.csv")
