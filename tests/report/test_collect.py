"""Bad input: said per file, the rest reported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crossin_metrics.cli import main
from crossin_metrics.errors import CrossinError
from crossin_metrics.report.collect import Collection, collect
from tests.helpers.report_files import answers_of, write_run

SCORES = {"acc,none": 0.5, "acc_stderr,none": 0.02, "consistency,none": 0.4, "consistency_stderr,none": "N/A"}
SCORES |= {"ac3,none": 0.444, "ac3_stderr,none": "N/A", "acc_en,none": 0.6, "n_questions,none": 120}


def said(found: Collection, name: str) -> str:
    return " ".join(text for path, text in found.problems if name in path)


def test_a_clean_folder_has_no_remarks(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6))
    found = collect([tmp_path])
    assert len(found.runs) == 1
    assert found.problems == []


def test_half_written_files(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6), model="org/good")
    cut = write_run(tmp_path, *answers_of(0.6), model="org/cut")
    (log,) = cut.glob("samples_*.jsonl")
    log.write_bytes(log.read_bytes()[:-200])
    broken = write_run(tmp_path, *answers_of(0.6), model="org/broken")
    (results,) = broken.glob("results_*.json")
    results.write_text(results.read_text(encoding="utf-8")[:50], encoding="utf-8")
    empty = write_run(tmp_path, *answers_of(0.6), model="org/empty")
    (log,) = empty.glob("samples_*.jsonl")
    log.write_text("", encoding="utf-8")
    found = collect([tmp_path])
    assert {run.model for run in found.runs} == {"org__good", "org__broken"}
    assert "not JSON" in said(found, "org__cut/samples")
    assert "truncated or not JSON" in said(found, "org__broken/results")
    assert "empty file" in said(found, "org__empty/samples")


def test_results_without_samples_are_stated_with_na_errors(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6), model="org/good")
    write_run(tmp_path, *answers_of(0.6), model="org/bare", samples=False, scores=SCORES)
    write_run(tmp_path, *answers_of(0.6), model="org/other", task="arc_easy", samples=False, scores={"acc,none": 0.5})
    found = collect([tmp_path])
    assert len(found.runs) == 1
    (stated,) = found.stated
    assert stated.scores["ac3"] == 0.444
    assert stated.errors == {"acc": 0.02}
    assert stated.n_questions == 120
    assert "no sample log beside it" in said(found, "org__bare")
    assert "skipped" in said(found, "org__other")


def test_scores_that_the_samples_do_not_give(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6), scores={"acc,none": 0.99})
    found = collect([tmp_path])
    assert len(found.runs) == 1
    assert "states acc 0.9900" in said(found, "results_")


def test_fewer_languages_than_were_logged_say_nothing_of_the_stated_scores(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6), scores={"acc,none": 0.99})
    assert collect([tmp_path], ["zh", "en"]).problems == []
    assert "states acc 0.9900" in said(collect([tmp_path], ["zh", "vi", "es", "en"]), "results_")


def test_mixed_limits_and_versions(tmp_path: Path) -> None:
    answers, gold = answers_of(0.6)
    write_run(tmp_path, answers, gold, model="org/a")
    write_run(tmp_path, answers, gold, model="org/b")
    write_run(tmp_path, answers[:10], gold[:10], model="org/short", limit=40, whole=120)
    write_run(tmp_path, answers, gold, model="org/old", version=0.5)
    found = collect([tmp_path])
    assert len(found.runs) == 4
    assert "other questions than most runs" in said(found, "org__short")
    assert "limit 40); not comparable" in said(found, "org__short")
    assert "other task version than most runs (0.5 against 1.0)" in said(found, "org__old")


def test_duplicates_keep_the_newest(tmp_path: Path) -> None:
    answers, gold = answers_of(0.6)
    write_run(tmp_path, answers, gold, time="2026-11-22T02-25-02.946254")
    write_run(tmp_path, *answers_of(0.7, seed=3), time="2026-11-23T02-25-02.946254")
    write_run(tmp_path / "copy", *answers_of(0.7, seed=3), time="2026-11-20T02-25-02.946254")
    found = collect([tmp_path])
    (run,) = found.runs
    assert "2026-11-23" in run.source_files[0].name
    assert "written earlier" in said(found, "2026-11-22")
    assert "the same answers" in said(found, "2026-11-20")


def test_runs_of_one_name_with_other_answers_are_named_by_their_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "adapter_a", *answers_of(0.6, seed=1))
    write_run(tmp_path / "adapter_b", *answers_of(0.6, seed=2))
    found = collect([tmp_path])
    assert sorted(run.model for run in found.runs) == ["org__model (adapter_a)", "org__model (adapter_b)"]
    assert "named 'adapter_a' by its folder" in said(found, "adapter_a")


def write_belebele(folder: Path, time: str = "2026-11-22T02-25-02.946254") -> None:
    for language in ("eng_Latn", "zho_Hans", "vie_Latn"):
        path = folder / f"samples_belebele_{language}_{time}.jsonl"
        rows = []
        for q in range(5):
            doc = {"link": f"l{q}", "question_number": 1, "correct_answer_num": "1", "dialect": language}
            doc |= {f"mc_answer{k}": f"option {k}" for k in range(1, 5)}
            pairs = [["-0.5", "True"], ["-1.5", "False"], ["-2.5", "False"], ["-3.5", "False"]]
            rows.append(json.dumps({"doc": doc, "filtered_resps": pairs, "acc": 1.0, "target": "0"}))
        path.write_text("\n".join(rows), encoding="utf-8")


def test_one_broken_language_leaves_the_others_of_its_family(tmp_path: Path) -> None:
    write_belebele(tmp_path)
    broken = tmp_path / "samples_belebele_vie_Latn_2026-11-22T02-25-02.946254.jsonl"
    broken.write_text(broken.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    found = collect([tmp_path])
    (run,) = found.runs
    assert run.languages == ("en", "zh")
    assert "not JSON" in said(found, "vie_Latn")


def test_a_family_run_twice_in_one_folder_counts_once(tmp_path: Path) -> None:
    write_belebele(tmp_path)
    write_belebele(tmp_path, "2026-11-23T02-25-02.946254")
    found = collect([tmp_path])
    (run,) = found.runs
    assert run.languages == ("en", "vi", "zh")
    assert all("2026-11-23" in path.name for path in run.source_files)
    assert sum("written earlier" in text for _, text in found.problems) == 3


def test_one_language_and_mixed_published_rows_are_reported(tmp_path: Path) -> None:
    answers, gold = answers_of(0.6, n_languages=1)
    write_run(tmp_path / "in", answers, gold, languages=("en",), model="org/one")
    write_run(tmp_path / "in", *answers_of(0.6), model="org/two")
    write_run(tmp_path / "in", *answers_of(0.6), model="org/bare", samples=False, scores=SCORES)
    published = tmp_path / "p.csv"
    published.write_text("base,system,benchmark,acc,consistency,ac3\na,b,crossin_mini,60,50,54.5\n", encoding="utf-8")
    for extra in ([], ["--mix-signatures"], ["--languages", "en"]):
        arguments = ["report", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--resamples", "200", *extra]
        assert main([*arguments, "--published", str(published)]) == 0
        page = (tmp_path / "out/index.html").read_text(encoding="utf-8").replace("<wbr>", "")
        assert all(name in page for name in ("org/one", "org/two", "org/bare", "published"))
        assert ("Signatures are mixed" in page) == (extra == ["--mix-signatures"])


def test_foreign_files_are_passed_over(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.6))
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    found = collect([tmp_path])
    assert len(found.runs) == 1
    assert [path for path, _ in found.problems] == [str(tmp_path / "table.csv")]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="nothing to report"):
        collect([tmp_path])
    with pytest.raises(CrossinError, match="no such file or folder"):
        collect([tmp_path / "absent"])


def test_command_says_problems_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "in", *answers_of(0.6))
    broken = tmp_path / "in" / "samples_cross_mmlu_2026-11-22T02-25-02.946254.jsonl"
    broken.write_text("{", encoding="utf-8")
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "in"), "--out", str(out), "--no-plots", "--resamples", "200"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(out / "index.html")
    assert broken.name in shown.err
    assert "Traceback" not in shown.err
    assert broken.name in (out / "index.html").read_text(encoding="utf-8")
    # A second run replaces its own report, and does not read it.
    assert main(["report", str(tmp_path), "--out", str(out), "--no-plots", "--resamples", "200"]) == 0
    (out / "mine.txt").write_text("keep", encoding="utf-8")
    assert main(["report", str(tmp_path / "in"), "--out", str(out), "--no-plots"]) == 2
    assert "mine.txt" in capsys.readouterr().err
    assert (out / "mine.txt").read_text(encoding="utf-8") == "keep"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine", encoding="utf-8")
    assert main(["report", str(tmp_path / "in"), "--out", str(foreign), "--no-plots"]) == 2
    assert os.listdir(foreign) == ["thesis.tex"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]  # no half-made folder stays


def test_of_an_experiment_only_its_evaluation_is_read(tmp_path: Path) -> None:
    run = tmp_path / "arms" / "x2x" / "seed0"
    write_run(run / "eval", *answers_of(0.5, n=10))
    for name in ("mix/train.parquet", "train_log.jsonl", "adapter/adapter_config.json"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}\n", encoding="utf-8")
    for given in (tmp_path, run):
        found = collect([given])
        assert len(found.runs) == 1
        assert found.problems == []
    (run / "eval").rename(run / "elsewhere")  # no folder of an experiment any more: its files are spoken of
    assert {Path(path).name for path, _ in collect([tmp_path]).problems} == {"train.parquet", "train_log.jsonl"}
