"""`crossin score` as a user runs it: official figures, real harness logs, formats, and every kind of mistake."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossin_metrics.languages import language_code
from crossin_metrics.runs.run import read_predictions
from tests.helpers import cli
from tests.helpers.parallel_runs import LETTERS, N_QUESTIONS, run_harness, run_tasks

TABLE = [
    {"id": i, "language": code, "answer": (i * k) % 4, "gold": i % 4}
    for i in range(20)
    for k, code in enumerate(("en", "zh", "vi", "sw"), 1)
]


crossin = partial(cli.crossin, "score")
scores = partial(cli.printed_json, "score")


def write(path: Path, table: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


# -- official figures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cross_mmlu", "cross_logiqa"])
def test_official_figures(shared: Path, name: str) -> None:
    golden = shared / "data" / "golden"
    official = json.loads((golden / f"official_{name}.json").read_text(encoding="utf-8"))
    found = scores(golden / f"predictions_{name}.jsonl.gz", "--bootstrap", 0)
    assert {key.removeprefix(f"{name}|") for key in found} == set(official)
    for key, expected in official.items():
        ours = found[f"{name}|{key}"]
        wanted = {"acc": expected["overall_acc"]}
        wanted |= {f"acc_{language_code(language)}": value for language, value in expected["language_acc"].items()}
        for s in range(2, 8):
            wanted |= {f"consistency_{s}": expected[f"consistency_score_{s}"], f"ac3_{s}": expected[f"AC3_{s}"]}
        wanted |= {"consistency": wanted["consistency_3"], "ac3": wanted["ac3_3"]}
        for pair, value in expected["detailed_consistency_score"]["2_combine"].items():
            wanted["_".join(["consistency", *sorted(map(language_code, pair.split(",")))])] = value
        assert {k: ours[k] for k in wanted} == pytest.approx(wanted, rel=0, abs=1e-9), key


def test_official_figures_of_a_language_subset(shared: Path) -> None:
    golden = shared / "data" / "golden"
    official = json.loads((golden / "official_cross_mmlu.json").read_text(encoding="utf-8"))
    found = scores(golden / "predictions_cross_mmlu.jsonl.gz", "--bootstrap", 0, "--languages", "English,zh,Vietnamese")
    for key, expected in official.items():
        detailed = expected["detailed_consistency_score"]["3_combine"]
        (value,) = [v for names, v in detailed.items() if set(names.split(",")) == {"English", "Chinese", "Vietnamese"}]
        ours = found[f"cross_mmlu|{key}"]
        accuracy = np.mean([expected["language_acc"][n] for n in ("English", "Chinese", "Vietnamese")])
        assert ours["consistency"] == pytest.approx(value, rel=0, abs=1e-9)
        assert ours["acc"] == pytest.approx(accuracy, rel=0, abs=1e-9)
        assert "consistency_4" not in ours


# -- formats and output -----------------------------------------------------------------------------------------------


def test_formats_give_the_same_output(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    table = [row | ({"answer": None} if i % 7 == 0 else {}) for i, row in enumerate(TABLE)]
    plain = write(folders[0] / "t.jsonl", table)
    with gzip.open(folders[1] / "t.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(plain.read_text(encoding="utf-8"))
    with (folders[2] / "t.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    pq.write_table(pa.Table.from_pylist(table), folders[3] / "t.parquet")
    files = [next(folder.iterdir()) for folder in folders]
    for flags in (["--json"], [], ["--full", "--languages", "sw,en"]):
        outputs = [crossin(file, *flags) for file in files]
        assert {(done.returncode, done.stdout, done.stderr) for done in outputs} == {(0, outputs[0].stdout, "")}


def test_json_is_one_flat_dict_with_standard_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", TABLE)
    found = scores(path, "--seed", 3)
    assert all(value is None or isinstance(value, int | float) for value in found.values())
    assert (found["n_questions"], found["n_unanswered"], found["n_incomplete"]) == (20, 0, 0)
    assert found["acc"] == pytest.approx(np.mean([row["answer"] == row["gold"] for row in TABLE]))
    right = np.array([row["answer"] == row["gold"] for row in TABLE]).reshape(20, 4).mean(axis=1)
    assert found["acc_stderr"] == pytest.approx(right.std() / 20**0.5, rel=0.15)  # 1,000 replicates
    assert scores(path, "--seed", 3) == found
    assert scores(path, "--seed", 4)["acc_stderr"] != found["acc_stderr"]
    assert not [key for key in scores(path, "--bootstrap", 0) if key.endswith("_stderr")]
    one_question = scores(write(tmp_path / "one.jsonl", TABLE[:4]))
    assert one_question["acc_stderr"] is None  # undefined: null, not NaN


def test_tables_for_people(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", TABLE)
    found, shown = scores(path), crossin(path).stdout
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    for key in ("acc", "ac3"):
        interval = f"[{found[f'{key}_low']:.3f}, {found[f'{key}_high']:.3f}]"
        assert lines[key] == [f"{found[key]:.4f}", f"{found[f'{key}_stderr']:.4f}", *interval.split()]
    assert lines["zh"] == [f"{found[f'consistency_{a}_zh']:.3f}" for a in ("en", "sw", "vi")]
    assert "20 questions in 4 languages (en, sw, vi, zh); 0 of 80 rows unanswered" in shown
    full = {line.split()[0] for line in crossin(path, "--full").stdout.splitlines() if line.strip()}
    assert {
        key
        for key in found
        if not key.startswith(("n_", "disagree")) and not key.endswith(("_stderr", "_low", "_high"))
    } <= full
    two = write(tmp_path / "two.jsonl", [row | {"model": model} for model in ("m1", "m2") for row in TABLE])
    head, *rows = crossin(two, "--bootstrap", 0).stdout.splitlines()
    columns = "run acc consistency ac3 fleiss_kappa ac3:constant ac3:random langs n unanswered"
    assert head.split() == columns.split()
    assert [row.split()[:4] for row in rows] == [
        [f"two|{model}", *(f"{found[key]:.4f}" for key in ("acc", "consistency", "ac3"))] for model in ("m1", "m2")
    ]
    assert set(scores(two)) == {"two|m1", "two|m2"}


def test_all_right_is_at_least_and_few_questions_are_warned_of(tmp_path: Path) -> None:
    right = [row | {"answer": row["gold"]} for row in TABLE[:40]]
    done = crossin(write(tmp_path / "right.jsonl", right))
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert lines["acc"].split()[1:] == ["1.0000", "0.0000", "at", "least", "0.722", "*"]  # 10 / (10 + 1.96^2)
    assert "no resample differs (SE 0)" in done.stdout
    assert "10 questions are few" in done.stderr


def test_out_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path, out = write(tmp_path / "t.jsonl", TABLE), tmp_path / "scores.json"
    done = crossin(path, "--json", "--out", out)
    assert out.read_text(encoding="utf-8") == done.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["scores.json", "t.jsonl"]
    failed = crossin(path, "--out", path / "scores.txt")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "cannot write" in failed.stderr
    wrong = crossin(write(tmp_path / "wrong.jsonl", [*TABLE, TABLE[0]]), "--json", "--out", out)
    assert wrong.returncode == 2
    assert out.read_text(encoding="utf-8") == done.stdout  # what was there stays


def test_incomplete_questions_warn_on_standard_error_only(tmp_path: Path) -> None:
    done = crossin(write(tmp_path / "t.jsonl", TABLE[:-1]), "--json")
    assert json.loads(done.stdout)["n_questions"] == 19
    assert json.loads(done.stdout)["n_incomplete"] == 1
    assert done.stderr.startswith(
        "crossin: warning: run t: 1 of 20 questions left out, not in every language: sw lacks 1"
    )
    one = crossin(write(tmp_path / "en.jsonl", TABLE[::4]), "--json")
    assert "only en, so there is no consistency" in one.stderr
    assert "consistency" not in json.loads(one.stdout)
    assert json.loads(one.stdout)["acc"] == json.loads(one.stdout)["acc_en"]


# -- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = [
    ([TABLE[0], TABLE[1], TABLE[0]], [], "t.jsonl, line 3: duplicate row of id '0', language en in run t, first at"),
    (
        [TABLE[0], TABLE[1] | {"gold": 2}],
        [],
        "run t, id '0': gold is 0 in en (t.jsonl, line 1) but 2 in zh (t.jsonl, line 2)",
    ),
    ([TABLE[0], TABLE[1] | {"id": 9}], [], "run t: none of its 2 questions has all of en, zh"),
    (TABLE, ["--languages", "en,ja"], "run t: no rows in ja; it has en, sw, vi, zh"),
    (TABLE, ["--languages", "en,Elvish"], "unknown language 'Elvish'"),
    (TABLE, ["--languages", ","], "--languages: names expected"),
    (
        [TABLE[0] | {"answer": 4, "n_choices": 4}],
        [],
        "t.jsonl, line 1: id '0', language en: answer 4 is not among the 4",
    ),
    ([TABLE[0] | {"language": "xx"}], [], "t.jsonl, line 1: id '0': unknown language 'xx'"),
    ([{"id": 1}], [], "t.jsonl, line 1: columns language, gold, answer missing"),
    ([], [], "t.jsonl: empty file"),
    (TABLE, ["--id-field", "doc.id"], "--id-field and --language-from go together"),
    (TABLE, ["--id-field", "doc.id", "--language-from", "x_(["], "'x_([' is not a regular expression: unterminated"),
    (TABLE, ["--id-field", "doc.id", "--language-from", "x_.."], "'x_..' needs a group around the language"),
    (TABLE, ["t.jsonl"], "t.jsonl: given twice"),
    (TABLE, ["nothing.jsonl"], "nothing.jsonl: no such file"),
]


@pytest.mark.parametrize(("table", "flags", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(tmp_path: Path, table: list[dict[str, Any]], flags: list[str], message: str) -> None:
    write(tmp_path / "t.jsonl", table)
    done = crossin("t.jsonl", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("crossin: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_truncated_file(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", TABLE)
    os.truncate(path, path.stat().st_size - 10)
    done = crossin(path, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}, line 80: not JSON" in done.stderr


# -- the harness's own logs of parallel tasks -------------------------------------------------------------------------

NAMES = {
    "belebele": ["belebele_eng_Latn", "belebele_zho_Hans", "belebele_zho_Hant", "belebele_ace_Arab"],
    "global_mmlu": [f"global_mmlu_full_{x}_astronomy" for x in ("en", "yo", "zh")],
    "xcopa": ["xcopa_et", "xcopa_ht", "xcopa_zh"],
    "mmlu_prox": ["mmlu_prox_en_law", "mmlu_prox_sw_law", "mmlu_prox_zu_law"],
    "fruit": ["fruit_eng_v2", "fruit_deu_v2"],
}
CODES = {
    "belebele": ["en", "zh", "zho_hant", "ace_arab"],
    "global_mmlu": ["en", "yo", "zh"],
    "xcopa": ["et", "ht", "zh"],
    "mmlu_prox": ["en", "sw", "zu"],
}
RUNS = {
    "belebele": "belebele|lab__hash-1b",
    "global_mmlu": "global_mmlu_full|lab__hash-1b",
    "xcopa": "xcopa|lab__hash-1b",
    "mmlu_prox": "mmlu_prox|lab__hash-1b|custom-extract",
}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of logs the harness wrote, and the results it reported."""
    pytest.importorskip("lm_eval")
    folder = tmp_path_factory.mktemp("harness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
        results = run_harness(folder, NAMES)
    (out,) = (folder / "out").iterdir()
    assert len(list(out.glob("samples_*.jsonl"))) == sum(map(len, NAMES.values()))
    return out, results


def picks(family: str, samples: list[dict[str, Any]]) -> dict[Any, int]:
    """Question -> option picked, recomputed from the harness's samples in memory; -1 for none."""
    found = {}
    for sample in samples:
        doc, responses = sample["doc"], sample["filtered_resps"]
        key = {
            "belebele": lambda d: (d["link"], d["question_number"]),
            "global_mmlu": lambda d: d["sample_id"],
            "xcopa": lambda d: d["idx"],
            "mmlu_prox": lambda d: d["question_id"],
        }[family](doc)
        if family == "mmlu_prox":
            found[key] = LETTERS.find(responses[0]) if len(responses[0]) == 1 else -1
        else:
            found[key] = int(np.argmax([float(pair[0]) for pair in responses]))
    return found


@pytest.mark.parametrize("family", RUNS)
def test_logs_of_the_harness(harness: tuple[Path, dict[str, Any]], family: str) -> None:
    out, results = harness
    files = [file for task in NAMES[family] for file in out.glob(f"samples_{task}_2*.jsonl")]
    assert len(files) == len(NAMES[family])
    found = scores(*files)
    metric = "exact_match,custom-extract" if family == "mmlu_prox" else "acc,none"
    for task, code in zip(NAMES[family], CODES[family], strict=True):
        assert found[f"acc_{code}"] == pytest.approx(results["results"][task][metric], abs=1e-12)
    picked = {
        code: picks(family, results["samples"][task]) for task, code in zip(NAMES[family], CODES[family], strict=True)
    }
    questions = list(picked[CODES[family][0]])
    assert len(questions) == found["n_questions"] == N_QUESTIONS
    size = min(3, len(picked))
    agreeing = [
        len({picked[code][q] for code in subset}) == 1 and picked[subset[0]][q] >= 0
        for subset in itertools.combinations(CODES[family], size)
        for q in questions
    ]
    assert found["consistency"] == pytest.approx(np.mean(agreeing), abs=1e-12)
    assert found["n_unanswered"] == sum(pick < 0 for by_question in picked.values() for pick in by_question.values())
    assert ("rankc" in found) == (family != "mmlu_prox")


def test_a_folder_of_logs(harness: tuple[Path, dict[str, Any]]) -> None:
    out, _ = harness
    done = crossin(out.parent, "--json", "--bootstrap", 0)
    assert set(json.loads(done.stdout)) == set(RUNS.values())
    assert done.stderr.count("skipped, unknown parallel task") == 2
    for run in read_predictions([out]):
        assert run.settings["shots"] == 0
        assert run.settings["model_name"] == "lab/hash-1b"
        assert run.settings["task_version"] == 1.0
    flags = ["--bootstrap", 0, "--id-field", "doc.number", "--language-from", "^fruit_([a-z]+)_v2$"]
    told = crossin(out, "--json", *flags)
    assert set(json.loads(told.stdout)) == {*RUNS.values(), "fruit_v2|lab__hash-1b"}
    assert told.stderr == ""


def test_logs_of_tasks_not_known(harness: tuple[Path, dict[str, Any]]) -> None:
    out, results = harness
    files = sorted(out.glob("samples_fruit_*.jsonl"))
    flags = ["--id-field", "doc.number", "--language-from", "^fruit_([a-z]+)"]
    found = scores(*files, *flags)
    for task, code in zip(NAMES["fruit"], ("en", "de"), strict=True):
        assert found[f"acc_{code}"] == pytest.approx(results["results"][task]["acc,none"], abs=1e-12)
    assert scores(*files, *flags, "--gold-field", "doc.right") == found
    for more, message in [
        ([], "unknown parallel task 'fruit_deu_v2' (known: belebele, global_mmlu_full, "),
        (
            [*flags[:1], "doc.nummer", *flags[2:]],
            "--id-field doc.nummer: 'nummer' not found (there is number, question",
        ),
        ([*flags[:3], "^apple_([a-z]+)"], "--language-from '^apple_([a-z]+)' does not match the task's name"),
        ([*flags, "--gold-field", "doc.number"], "id '"),  # not the gold: the harness's verdicts disagree
    ]:
        done = crossin(*files, *more)
        assert (done.returncode, done.stdout) == (2, ""), more
        assert message in done.stderr
        assert f"{files[0]}, line" in done.stderr


def test_a_gold_field_that_the_log_contradicts(harness: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = harness
    (source,) = out.glob("samples_belebele_eng_Latn_*.jsonl")
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    rows[3]["doc"]["correct_answer_num"] = "1" if rows[3]["acc"] == 0 else "4"
    picked = int(np.argmax([float(pair[0]) for pair in rows[3]["filtered_resps"]]))
    rows[3]["doc"]["correct_answer_num"] = str(picked + 1)
    rows[3]["acc"] = 0.0
    done = crossin(write(tmp_path / source.name, rows))
    assert done.returncode == 2
    assert f"{source.name}, line 4: " in done.stderr
    assert f"the log calls the answer wrong, but option {picked} was picked" in done.stderr


def test_logs_with_missing_rows_and_other_settings(
    harness: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = harness
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    run_harness(tmp_path, {"belebele": ["belebele_spa_Latn"]}, limit=9)
    (spanish,) = (tmp_path / "out").rglob("samples_*.jsonl")
    (english,) = out.glob("samples_belebele_eng_Latn_*.jsonl")
    done = crossin(english, spanish, "--json")
    assert json.loads(done.stdout)["n_questions"] == 9
    assert "3 of 12 questions left out, not in every language: es lacks 3" in done.stderr
    assert "its files were made with different limit: 9, None" in done.stderr
    (tmp_path / "lab__hash-1b").mkdir()
    again = shutil.copy(
        english, tmp_path / "lab__hash-1b" / f"samples_{NAMES['belebele'][0]}_2030-01-02T03-04-05.000006.jsonl"
    )
    twice = crossin(english, again)
    assert (twice.returncode, twice.stdout) == (2, "")
    assert f"{again}, line 1: duplicate row of id 'https://example.org/0#1', language en in run " in twice.stderr
    assert "give a run once" in twice.stderr


def test_runs_with_and_without_shots_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    results = {
        shots: run_harness(tmp_path / str(shots), {"xcopa": ["xcopa_et", "xcopa_zh"]}, shots=shots) for shots in (0, 2)
    }
    for file in (tmp_path / "2" / "out" / "lab__hash-1b").iterdir():
        shutil.move(file, tmp_path / "0" / "out" / "lab__hash-1b")
    found = scores(tmp_path / "0" / "out")
    assert set(found) == {"xcopa|lab__hash-1b", "xcopa|lab__hash-1b|2-shot"}
    for name, shots in (("xcopa|lab__hash-1b", 0), ("xcopa|lab__hash-1b|2-shot", 2)):
        assert found[name]["acc_et"] == pytest.approx(results[shots]["results"]["xcopa_et"]["acc,none"])


OWN_TASKS = ["crossin_mini", "crossin_mini_cf", "crossin_mini_gen"]


def test_own_logs_give_the_scores_the_harness_reported(tmp_path: Path, repo: Path) -> None:
    """Every score and standard error of the harness's table, again from its sample log."""
    pytest.importorskip("lm_eval")
    results = run_tasks(OWN_TASKS, repo / "lm_eval_tasks", tmp_path / "out", metadata={"permute": "row"})
    found = scores(tmp_path / "out")
    names = [f"{task}|lab__hash-1b|p1|order:row-0" for task in OWN_TASKS]
    assert sorted(found) == sorted([*names, f"{names[1]}+norm"])
    compared = 0
    for task, name in zip(OWN_TASKS, names, strict=True):
        for key, value in results["results"][task].items():
            metric, _, _ = key.partition(",")
            if "," not in key or value == "N/A":
                continue
            plain = metric.replace("_norm", "")
            ours = found[name if plain == metric else f"{name}+norm"][plain]
            assert ours == pytest.approx(value, rel=0, abs=1e-12), (task, metric)
            compared += 1
    assert compared > 60
    signature = results["configs"]["crossin_mini"]["metadata"]["signature"]
    (log,) = (tmp_path / "out").rglob("samples_crossin_mini_2*.jsonl")
    assert f"signature {signature}\n" in crossin(log).stdout


def test_own_tasks_run_one_language_at_a_time_join(tmp_path: Path, repo: Path) -> None:
    pytest.importorskip("lm_eval")
    tasks = repo / "lm_eval_tasks"
    whole = run_tasks(OWN_TASKS, tasks, tmp_path / "all", metadata={"languages": ["en", "zh"]})
    for code in ("en", "zh"):
        run_tasks(OWN_TASKS, tasks, tmp_path / "each" / code, metadata={"languages": [code]})
    together, apart = scores(tmp_path / "all", "--full"), scores(tmp_path / "each", "--full")
    assert (
        whole["results"]["crossin_mini"]["consistency,none"] == together["crossin_mini|lab__hash-1b|p1"]["consistency"]
    )
    for task in OWN_TASKS:
        assert apart[f"{task}|lab__hash-1b|p1"] == together[f"{task}|lab__hash-1b|p1"]


# -- how answers were read --------------------------------------------------------------------------------------------


def test_read_again_shows_how_answers_were_read(tmp_path: Path) -> None:
    rows = []
    for identifier, (language, text) in itertools.product(
        ("q1", "q2"),
        (("en", "The answer is A."), ("de", "<think>A or B"), ("es", "<think>A</think> La respuesta es B.")),
    ):
        doc = {"id": identifier, "language": language, "formulation": "gen", "prompt": "p1", "gold": 0}
        doc |= {"options": ["tea", "milk"], "order": [0, 1]}
        rows.append({"doc": doc, "resps": [[text]], "filtered_resps": [text], "filter": "none", "answer": 0})
    path = write(tmp_path / "samples_mine_gen_2026-11-22T01-53-33.493410.jsonl", rows)
    assert scores(path, "--bootstrap", 0)["acc"] == 1.0
    found = scores(path, "--bootstrap", 0, "--read-again")
    assert (found["acc_en"], found["acc_de"], found["acc_es"]) == (1.0, 0.0, 0.0)
    assert (found["n_unanswered"], found["n_cut"], found["n_cut_de"], found["n_cut_es"]) == (2, 2, 2, 0)
    assert found["thought_es"] == len("<think>A</think>")
    shown = " ".join(crossin(path, "--bootstrap", 0, "--read-again").stdout.split())
    assert "language unanswered cut thought announced de 2 2 13 0 en 0 0 0 2 es 0 0 16 2" in shown
