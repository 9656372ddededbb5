"""`crossin compare` as a user runs it: golden tables, real harness logs, SeaEval logs, and every kind of mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.commands.compare_tables import sentence
from crossin_metrics.scores.answer_matrix import answer_matrix
from crossin_metrics.scores.significance import Tested, compare_systems
from tests.helpers.parallel_runs import run_harness
from tests.helpers.report_files import answers_of, write_run
from tests.helpers.simulated import two_systems

LANGUAGES = ("en", "zh", "vi", "sw")


def crossin(*arguments: Any, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    repo = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(repo), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "crossin_metrics.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=cwd, timeout=300
    )


def compared(*arguments: Any) -> Any:
    """What --json prints, read strictly: no NaN, nothing beside it."""
    done = crossin("compare", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"bare {name} in the JSON"))


def table(path: Path, k: int, n: int = 40, languages: tuple[str, ...] = LANGUAGES, **more: Any) -> Path:
    rows = [
        {"id": i, "language": code, "answer": (i * (j + k) + i // 7) % 4, "gold": i % 4, "n_choices": 4, **more}
        for i in range(n)
        for j, code in enumerate(languages)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_two_tables(tmp_path: Path) -> None:
    a, b = table(tmp_path / "a" / "t.jsonl", 1), table(tmp_path / "b" / "t.jsonl", 2, n=36)
    found = compared(a, b, "--resamples", 500)
    (one,) = found["comparisons"]
    assert (one["benchmark"], one["n_questions"], one["languages"]) == ("t", 36, sorted(LANGUAGES))
    assert one["n_left_out"] == {"only_a": 4, "only_b": 0, "incomplete_a": 0, "incomplete_b": 0}
    assert list(one["scores"]) == ["acc", "consistency", "ac3"]
    cut = table(tmp_path / "cut" / "t.jsonl", 1, n=36)
    for side, path in (("a", cut), ("b", b)):  # the very figures of crossin score on the common questions
        scores = json.loads(crossin("score", path, "--json", "--bootstrap", 0).stdout)
        assert {key: one["scores"][key][side] for key in one["scores"]} == pytest.approx(
            {key: scores[key] for key in one["scores"]}
        )
    assert compared(a, b, "--resamples", 500) == found
    assert compared(a, b, "--resamples", 500, "--seed", 1) != found
    keys = compared(a, b, "--keys", "acc_sw,consistency_en_zh,fleiss_kappa", "--resamples", 50)
    assert set(keys["comparisons"][0]["scores"]) == {"acc_sw", "consistency_en_zh", "fleiss_kappa"}
    two = compared(a, b, "--languages", "English,zh", "--resamples", 50)["comparisons"][0]
    assert two["languages"] == ["en", "zh"]


def test_a_benchmark_without_the_score_leaves_it_out(tmp_path: Path) -> None:
    for k, side in enumerate("ab"):
        for task, codes in (("crossin_mini", ("en", "zh")), ("cross_xcopa", ("et", "ht"))):
            write_run(tmp_path / side, *answers_of(0.5, n=20, seed=k, n_languages=2), task=task, languages=codes)
    given = (tmp_path / "a", tmp_path / "b", "--keys", "acc,transfer", "--resamples", 50)
    assert [list(one["scores"]) for one in compared(*given)["comparisons"]] == [["acc"], ["acc", "transfer"]]
    shown = crossin("compare", *given).stdout
    assert shown.count("undefined: transfer") == 1
    assert "all 1: transfer is" in shown


def test_the_table_says_what_the_json_says(tmp_path: Path) -> None:
    a, b = (
        table(tmp_path / "a" / "t.jsonl", 0),
        table(tmp_path / "b" / "t.jsonl", 2, n=38, languages=("en", "zh", "vi")),
    )
    done = crossin("compare", a, b, "--resamples", 500)
    assert (done.returncode, done.stderr) == (0, "")
    (one,) = compared(a, b, "--resamples", 500)["comparisons"]
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    for key, score in one["scores"].items():
        assert lines[key][1:4] == [f"{score['a']:.4f}", f"{score['b']:.4f}", f"{score['difference']:+.4f}"]
        if score["low"] < score["high"]:
            assert f"[{score['low']:+.4f}, {score['high']:+.4f}]" in done.stdout
        else:  # no resample differs
            assert lines[key][4] == "-"
    assert "38 questions in 3 languages (en, vi, zh)" in done.stdout
    assert "left out: 2 questions only in A; sw only in A" in done.stdout
    assert "conclusions\nt: " in done.stdout
    assert "500 resamples of the questions, seed 0" in done.stdout


def test_golden_models(shared: Path) -> None:
    golden = shared / "data" / "golden" / "predictions_cross_mmlu.jsonl.gz"
    found = compared(golden, golden, "--run-a", "*|flan_t5_xl|*", "--run-b", "*|flan_ul2|*", "--resamples", 500)
    official = json.loads((golden.parent / "official_cross_mmlu.json").read_text(encoding="utf-8"))
    assert [one["benchmark"] for one in found["comparisons"]] == [f"cross_mmlu|zero_shot|p{i}" for i in range(1, 6)]
    for i, one in enumerate(found["comparisons"], 1):
        for side, model in (("a", "flan_t5_xl"), ("b", "flan_ul2")):
            expected = official[f"{model}|zero_shot|p{i}"]
            ours = {key: one["scores"][key][side] for key in ("acc", "consistency", "ac3")}
            wanted = dict(
                zip(ours, (expected[x] for x in ("overall_acc", "consistency_score_3", "AC3_3")), strict=True)
            )
            assert ours == pytest.approx(wanted, rel=0, abs=1e-9)
        p = {
            x: [c["scores"]["ac3"][x] for c in found["comparisons"]]
            for x in ("p_randomization", "p_randomization_holm")
        }
        assert all(after >= before for before, after in zip(*p.values(), strict=True))
    shown = crossin(
        "compare", golden, golden, "--run-a", "*|flan_t5_xl|*", "--run-b", "*|flan_ul2|*", "--resamples", 500
    )
    for key in ("acc", "consistency", "ac3"):
        scores = [one["scores"][key] for one in found["comparisons"] if one["scores"][key]["significant"]]
        a, b = sum(s["difference"] > 0 for s in scores), sum(s["difference"] < 0 for s in scores)
        line = f"all 5: {key} is higher for A on {a}, for B on {b}, undecided on {5 - a - b}"
        assert line in shown.stdout.splitlines()
    refused = crossin("compare", golden, golden, "--run-a", "*gemma*", "--run-b", "*flan_ul2*p1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "shots is 5 and 0; mode is five_shot and zero_shot" in refused.stderr


def test_folders_of_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    names = {"xcopa": ["xcopa_et", "xcopa_ht", "xcopa_zh"], "belebele": ["belebele_eng_Latn", "belebele_zho_Hans"]}
    for name, shots in (("zero", 0), ("two", 2), ("limited", 0)):
        run_harness(tmp_path / name, names, shots=shots, limit=8 if name == "limited" else None)
    zero, two, limited = (tmp_path / name / "out" for name in ("zero", "two", "limited"))
    found = compared(zero, limited, "--resamples", 50)
    assert [one["benchmark"] for one in found["comparisons"]] == ["belebele", "xcopa"]
    for one in found["comparisons"]:
        assert (one["n_questions"], one["n_left_out"]["only_a"]) == (8, 4)
        assert all(score["difference"] == 0 and score["p_randomization"] == 1 for score in one["scores"].values())
    done = crossin("compare", zero, two)
    assert done.returncode == 2
    assert "shots is 0 and 2; mode is not set and 2-shot" in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(compared(zero, two, "--allow", "shots,mode", "--resamples", 50)["comparisons"]) == 2


def seaeval_log(path: Path, says: list[str]) -> Path:
    """A log in SeaEval's format, our own questions: what the model said to each of them in every language."""
    path.parent.mkdir(parents=True)
    names = {"English": "en", "Chinese": "zh", "Malay": "ms"}
    questions: list[dict[str, Any]] = []
    for i, words in enumerate(says):
        question: dict[str, Any] = {"id": f"test_{i}"}
        for name, code in names.items():
            choices = [f"({letter}) {code} fruit {k}" for k, letter in enumerate("ABCD")]
            question[name] = {"question": f"{code} {i}?", "choices": choices, "answer": choices[i % 4]}
            question[name]["model_prediction"] = words.format(code=code)
        questions.append(question)
    path.write_text(json.dumps(questions, indent=4, ensure_ascii=False), encoding="utf-8")
    return path


def test_logs_in_seaevals_format(tmp_path: Path) -> None:
    right = [f"({'ABCD'[i % 4]}) {{code}} fruit {i % 4}" for i in range(12)]
    mixed = ["(A)" if i % 3 else "I cannot say." for i in range(12)]
    a = seaeval_log(tmp_path / "one" / "cross_fruit" / "zero_shot_p1.json", right)
    b = seaeval_log(tmp_path / "two" / "cross_fruit" / "zero_shot_p1.json", mixed)
    (one,) = compared(a, b, "--resamples", 200)["comparisons"]
    assert one["benchmark"] == "cross_fruit|zero_shot|p1"
    assert one["a"]["run"] == "cross_fruit|one|zero_shot|p1"
    assert (one["scores"]["acc"]["a"], one["scores"]["consistency"]["a"]) == (1.0, 1.0)
    assert one["scores"]["consistency"]["b"] == pytest.approx(8 / 12)
    assert compared(tmp_path / "one", tmp_path / "two", "--resamples", 200)["comparisons"] == [one]
    (random,) = compared(a, b, "--resamples", 50, "--unanswered", "random")["comparisons"]
    assert random["benchmark"].endswith("|unanswered:random-0")


MISTAKES = [
    (["a/t.jsonl", "a/t.jsonl"], "A and B are the same run, t;"),
    (["a/t.jsonl", "nothing.jsonl"], "nothing.jsonl: no such file"),
    (["a/t.jsonl", "other/t.jsonl"], "no question id in common"),
    (["a/t.jsonl", "wrong/t.jsonl"], "id '0': the gold option is 0 in t (a/t.jsonl) but 3 in t (wrong/t.jsonl)"),
    (["a/t.jsonl", "many/t.jsonl"], "B has two runs of one benchmark, t|m1 and t|m2"),
    (["a/t.jsonl", "b/t.jsonl", "--keys", "acx"], "unknown score 'acx'; did you mean 'acc'?"),
    (["a/t.jsonl", "b/t.jsonl", "--keys", "consistency_zh_en"], "did you mean 'consistency_en_zh'?"),
    (["a/t.jsonl", "b/t.jsonl", "--keys", "excess_consistency"], "printed by `crossin score` only, for one run"),
    (["a/t.jsonl", "b/t.jsonl", "--run-a", "*x*"], "--run-a '*x*' fits no run of a/t.jsonl; it has t"),
    (["a/t.jsonl", "b/t.jsonl", "--languages", "ja"], "run t: no rows in ja"),
    (["a/t.jsonl", "half/t.jsonl"], "half/t.jsonl, line 160: not JSON"),
    (["a/t.jsonl", "nosamples"], "nosamples: no samples_*.jsonl in this folder; run the harness with --log_samples"),
    (["a/t.jsonl", "nosamples/results_1.json"], "give the samples_*.jsonl beside results_*.json"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(tmp_path: Path, arguments: list[str], message: str) -> None:
    table(tmp_path / "a" / "t.jsonl", 1)
    table(tmp_path / "b" / "t.jsonl", 2)
    rows = (tmp_path / "b" / "t.jsonl").read_text(encoding="utf-8")
    for name, text in (
        ("other", rows.replace('"id": ', '"id": 9')),
        ("wrong", rows.replace('"gold": 0', '"gold": 3')),
        ("half", rows[:-9]),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.jsonl").write_text(text, encoding="utf-8")
    many = [table(tmp_path / "many" / "t.jsonl", k, model=f"m{k}").read_text(encoding="utf-8") for k in (1, 2)]
    (tmp_path / "many" / "t.jsonl").write_text("".join(many), encoding="utf-8")
    (tmp_path / "nosamples").mkdir()
    (tmp_path / "nosamples" / "results_1.json").write_text('{"results": {}}', encoding="utf-8")
    done = crossin("compare", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("crossin: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_conclusions_say_what_the_figures_say() -> None:
    def tested(*pair: Any) -> dict[str, Tested]:
        return compare_systems([pair], n_resamples=500)[0]

    a, b = two_systems(1, 60, 2.0)
    better, worse = tested(a, b), tested(b, a)
    said = sentence("t", "acc", better["acc"], 60, 0.05)
    assert said.startswith(f"t: A is higher in acc, by {better['acc'].difference:.4f} (")
    assert sentence("t", "acc", worse["acc"], 60, 0.05).startswith("t: B is higher in acc, by 0.")
    assert "better only where the answers are right" in sentence("t", "consistency", worse["consistency"], 60, 0.05)
    said = sentence("t", "acc", tested(a, a)["acc"], 60, 0.05)
    assert said == "t: A and B do not differ in acc: the same on every question"
    alike = tested(*two_systems(3, 60))["acc"]
    said = sentence("t", "acc", alike, 60, 0.05)
    assert said.startswith("t: no difference in acc is shown (p = ")
    assert said.endswith(f"60 questions reliably show differences of {alike.detectable:.4f} and more")
    right, wrong = (answer_matrix([[k] * 4], [0], ["en", "es", "vi", "zh"], n_choices=4) for k in (0, 1))
    said = sentence("t", "acc", tested(right, wrong)["acc"], 1, 0.05)
    assert said == "t: no difference in acc is shown (p = 1.0000); 1 question cannot show one"
