"""SeaEval's log format: read as rows of runs, joined with other files, and broken in every way.

The questions are ours, in exactly the shape of SeaEval's public logs. Where the real logs are at hand (a folder
`<model>/<set>/<mode>_p<N>.json`, named by CROSSIN_SEAEVAL_LOGS) they are held against the golden picks and the
official scores.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.answers.reading import random_answer
from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.run import file_start, read_predictions
from crossin_metrics.runs.seaeval_logs import read_samples, run_key
from crossin_metrics.scores.definitions import score_questions

NAMES = {"English": "en", "Chinese": "zh", "Filipino": "fil"}
FRUIT = {
    "en": ["an apple", "a pear", "a plum", "a fig"],
    "zh": ["苹果", "梨", "李子", "无花果"],
    "fil": ["mansanas", "peras", "sirwelas", "igos"],
}


def question(number: int, **says: str) -> dict[str, Any]:
    """A question as a log has it: labels in the choices and the answer, keys in no particular order."""
    found: dict[str, Any] = {}
    for name, code in NAMES.items():
        choices = [f"({letter}) {text}" for letter, text in zip("ABCD", FRUIT[code], strict=True)]
        found[name] = {
            "answer": choices[number % 4],
            "choices": choices,
            "context": f"{code} passage {number}",
            "question": f"{code} question {number}?",
            "model_input": f"{code} question {number}?\nAnswer:\n",
            "model_prediction": says.get(code, choices[number % 4]),
        }
        found["id"] = f"test_{number}"
    return found


def log(path: Path, questions: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(questions, indent=4, ensure_ascii=False), encoding="utf-8")
    return path


def place(root: Path, model: str = "lion_7b", name: str = "zero_shot_p3.json") -> Path:
    return root / model / "cross_fruit" / name


def test_words_become_options(tmp_path: Path) -> None:
    said = question(1, en="(B) a pea", zh="答案是C。", fil="Hindi ko alam.")  # cut off; another option; none
    path = log(place(tmp_path), [question(0), said])
    assert file_start(path).kind == "seaeval"
    (run,) = read_predictions([path])
    assert run.name == "cross_fruit|lion_7b|zero_shot|p3"
    assert (run.languages, run.ids) == (("en", "fil", "zh"), ("test_0", "test_1"))
    assert run.answers.tolist() == [[0, 0, 0], [1, -1, 2]]
    assert run.gold.tolist() == [0, 1]
    assert run.n_choices is not None
    assert run.n_choices.tolist() == [4, 4]
    sample = next(read_samples(path))
    assert (sample.context, sample.question, sample.choices) == ("en passage 0", "en question 0?", tuple(FRUIT["en"]))


def test_unanswered_rows_can_be_picked_at_random(tmp_path: Path) -> None:
    path = log(place(tmp_path), [question(i, en="No idea.") for i in range(9)])
    (none,) = read_predictions([path])
    (random,) = read_predictions([path], unanswered="random", seed=4)
    assert (none.answers[:, 0] == -1).all()
    assert random.answers[:, 0].tolist() == [random_answer(f"test_{i}", "en", 4, 4) for i in range(9)]
    assert (random.answers[:, 1:] == none.answers[:, 1:]).all()
    assert random.name == f"{none.name}|unanswered:random-4"
    (other,) = read_predictions([path], unanswered="random", seed=5)
    assert (other.answers != random.answers).any()
    table = tmp_path / "t.jsonl"
    row = {"id": 1, "language": "en", "answer": None, "gold": 0}
    table.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"t\.jsonl, line 1: id '1', language en: no answer.*n_choices"):
        read_predictions([table], unanswered="random")


def test_folders_of_logs(tmp_path: Path) -> None:
    log(place(tmp_path), [question(0)])
    log(place(tmp_path, "whale", "five_shot_p1.json"), [question(0)])
    log(tmp_path / "whale" / "sentiment" / "zero_shot_p1.json", [{"question": "q", "model_prediction": "x"}])
    log(place(tmp_path, "whale", "five_shot_p1_score.json"), {"overall_acc": 1.0})
    warnings: list[str] = []
    runs = read_predictions([tmp_path], warn=warnings.append)
    assert [run.name for run in runs] == ["cross_fruit|lion_7b|zero_shot|p3", "cross_fruit|whale|five_shot|p1"]
    assert [text.partition(": ")[2] for text in warnings] == ["skipped, not a log of a parallel set"]


def test_a_log_and_the_same_answers_in_a_table_give_the_same_scores(tmp_path: Path) -> None:
    path = log(place(tmp_path), [question(i, en="(A)", zh="我不知道" if i % 2 else "B") for i in range(8)])
    (run,) = read_predictions([path])
    table = tmp_path / "cross_fruit.jsonl"
    rows = [
        {"id": identifier, "language": code, "answer": int(run.answers[q, c]), "gold": int(run.gold[q]), "n_choices": 4}
        for q, identifier in enumerate(run.ids)
        for c, code in enumerate(run.languages)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (same,) = read_predictions([table])
    assert score_questions(run.questions()) == score_questions(same.questions())
    assert score_questions(run.questions())["n_unanswered"] == 4


def test_compressed_logs_and_names_outside_the_folders(tmp_path: Path) -> None:
    path = place(tmp_path, name="zero_shot_p3.json.gz")
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps([question(0)]).encode()))
    assert read_predictions([path])[0].name == "cross_fruit|lion_7b|zero_shot|p3"
    assert read_predictions([path.parent])[0].ids == ("test_0",)
    assert run_key(Path("answers.json")).name == "answers"
    unlabelled = question(2)
    for value in unlabelled.values():
        if isinstance(value, dict):
            value["choices"] = [text[4:] for text in value["choices"]]
            value["answer"] = value["answer"][4:]
    assert read_predictions([log(tmp_path / "x.json", [unlabelled])])[0].answers.tolist() == [[2, 2, 2]]


def broken(change: Any) -> Any:
    value = [question(0), question(1)]
    return change(value) or value


MISTAKES = [
    (lambda v: v[1]["Chinese"].update(answer="(E) 杏"), r"question 1, id 'test_1', Chinese: answer '\(E\) 杏' is none"),
    (lambda v: v[1]["Chinese"].__delitem__("choices"), "question 1, id 'test_1', Chinese: choices missing"),
    (lambda v: v[0]["English"].update(choices=["one"]), "choices must be a list of at least two strings"),
    (lambda v: v[0]["English"].update(model_prediction=3), "model_prediction must be a string, not int"),
    (lambda v: v[1].pop("id"), "question 1: no id"),
    (lambda v: v[1].update(id="test_0"), "id 'test_0', language en in run .*, first at"),
    (lambda v: v[0].update(Klingon=v[0]["English"]), "id 'test_0', Klingon: unknown language"),
    (lambda v: v[1]["Chinese"].update(answer=v[1]["Chinese"]["choices"][3]), "gold is 1 in en .* but 3 in zh"),
    (lambda v: [x.pop("model_prediction") for x in v[0].values() if isinstance(x, dict)] and v, "that was cut off"),
    (lambda v: [{"question": "q", "choices": [], "answer": "a", "model_prediction": "a"}], "monolingual set"),
    (lambda v: [{"id": 1, "language": "en", "answer": 0, "gold": 0}], "not a SeaEval log .*JSON Lines"),
    (lambda v: [1, 2], "question 0: expected a JSON object, found int"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(tmp_path: Path, change: Any, message: str) -> None:
    value = broken(lambda v: found if isinstance(found := change(v), list) else None)
    path = log(place(tmp_path), value)
    with pytest.raises(CrossinError, match=message) as caught:
        read_predictions([path])
    assert str(path) in str(caught.value) or "run cross_fruit" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_written_and_other_files(tmp_path: Path) -> None:
    path = log(place(tmp_path), [question(0), question(1)])
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    with pytest.raises(CrossinError, match=r"zero_shot_p3\.json, line \d+: not JSON .*the file may be cut short"):
        read_predictions([path])
    with pytest.raises(CrossinError, match="an empty list; was the run that wrote it stopped"):
        read_predictions([log(path, [])])
    score = log(place(tmp_path, name="zero_shot_p3_score.json"), {"overall_acc": 0.5})
    with pytest.raises(CrossinError, match=r"SeaEval's scores, not its samples; give zero_shot_p3\.json beside it"):
        read_predictions([score])
    with pytest.raises(CrossinError, match="given twice"):
        read_predictions([log(path, [question(0)])] * 2)


def test_real_logs(shared: Path) -> None:
    """Every row that the reference scorer read without guessing is read alike, or as no answer; never otherwise."""
    if not os.environ.get("CROSSIN_SEAEVAL_LOGS"):
        pytest.skip("CROSSIN_SEAEVAL_LOGS is not set: no real logs to read")
    root, n_logs, n_rows, n_none = Path(os.environ["CROSSIN_SEAEVAL_LOGS"]), 0, 0, 0
    for name in ("cross_mmlu", "cross_logiqa"):
        for golden in read_predictions([shared / "data" / "golden" / f"predictions_{name}.jsonl.gz"]):
            path = root / golden.model / name / f"{golden.mode}_{golden.prompt}.json"
            if not path.exists():
                continue
            (run,) = read_predictions([path])
            assert (run.name, run.ids, run.languages) == (golden.name, golden.ids, golden.languages)
            assert (run.gold == golden.gold).all()
            differ = run.answers != golden.answers
            assert (run.answers[differ] == -1).all(), run.name
            n_logs, n_rows, n_none = n_logs + 1, n_rows + run.answers.size, n_none + int(differ.sum())
    assert n_logs > 0
    assert n_none / n_rows < 0.01
