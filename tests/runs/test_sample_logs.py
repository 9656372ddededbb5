"""Sample logs row by row: options put back in order, filters and variants as runs, and what a broken log says."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.log_fields import LogFields
from crossin_metrics.runs.readings import reading_rows
from crossin_metrics.runs.run import Run, read_predictions
from crossin_metrics.runs.sample_logs import logged_numbers, settings_of, task_of
from crossin_metrics.scores.definitions import score_questions

TIME = "2026-11-22T01-53-33.493410"
OPTIONS = ["tea", "coffee", "a glass of milk", "water"]


def own_row(identifier: str, language: str, order: list[int], likelihoods: list[float], **more: Any) -> dict[str, Any]:
    """A row as this project's likelihood tasks log it; `likelihoods` are those of the options as shown."""
    doc = {
        "id": identifier,
        "language": language,
        "formulation": "letter",
        "prompt": "p1",
        "options": [OPTIONS[option] for option in order],
        "order": order,
        "gold": 2,
    }
    picked = order[max(range(4), key=likelihoods.__getitem__)]
    pairs = [[str(value), "False"] for value in likelihoods]
    row = {"doc": doc, "filtered_resps": pairs, "filter": "none", "acc": int(picked == 2), "answer": picked}
    return row | more


ROWS = [
    own_row("q1", "en", [0, 1, 2, 3], [-1.0, -2.0, -0.5, -4.0]),
    own_row("q1", "zh", [3, 2, 0, 1], [-1.0, -2.0, -0.5, -4.0]),
]


def log(folder: Path, rows: list[dict[str, Any]], task: str = "cross_mmlu") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"samples_{task}_{TIME}.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, **more: Any) -> list[Run]:
    return read_predictions([path], **more)


def test_options_are_put_back_in_order(tmp_path: Path) -> None:
    (run,) = read(log(tmp_path / "some__model", ROWS))
    assert run.name == "cross_mmlu|some__model|p1"
    assert run.answers.tolist() == [[2, 0]]
    assert run.positions.tolist() == [[2, 2]]
    assert run.gold_positions.tolist() == [[2, 1]]
    assert run.orders is not None
    assert run.logprobs is not None
    assert run.orders.tolist() == [[[0, 1, 2, 3], [3, 2, 0, 1]]]
    assert run.logprobs.tolist() == [[[-1.0, -2.0, -0.5, -4.0], [-0.5, -4.0, -2.0, -1.0]]]


def test_answers_by_length_are_a_run_of_their_own(tmp_path: Path) -> None:
    rows = [row | {"answer_norm": 1} for row in ROWS]
    plain, norm = read(log(tmp_path / "m", rows, "cross_mmlu_cf"))
    assert (plain.name, norm.name) == ("cross_mmlu_cf|m|p1", "cross_mmlu_cf|m|p1|norm")
    assert norm.answers.tolist() == [[1, 1]]
    assert norm.logprobs is not None
    by_character = [value / len(text) for value, text in zip([-1.0, -2.0, -0.5, -4.0], OPTIONS, strict=True)]
    assert norm.logprobs[0, 0].tolist() == pytest.approx(by_character)


@pytest.mark.parametrize("key", ["answer", "consistency"])
def test_the_logged_answer_counts(tmp_path: Path, key: str) -> None:
    """Generated text is not parsed again; version 0.1 logged the option as `consistency`, -1 for none."""
    picked = (None if key == "answer" else -1, 3)
    rows = [
        {k: v for k, v in row.items() if k != "answer"} | {"filtered_resps": ["I pick (A)"], key: pick}
        for row, pick in zip(ROWS, picked, strict=True)
    ]
    (run,) = read(log(tmp_path / "m", rows, "cross_mmlu_gen"))
    assert run.answers.tolist() == [[-1, 3]]
    assert run.logprobs is None


def test_filters_are_runs_of_their_own(tmp_path: Path) -> None:
    doc = {"question_id": 7, "category": "law", "answer": "B", "option_0": "x", "option_1": "y", "option_2": None}
    paths = [
        log(
            tmp_path / "m",
            [
                {"doc": doc, "filtered_resps": ["B"], "filter": "strict", "exact_match": 1.0},
                {"doc": doc, "filtered_resps": ["[invalid]"], "filter": "loose", "exact_match": 0.0},
                {"doc": doc, "filtered_resps": [["C"]], "filter": "listed", "exact_match": 0.0},
            ],
            f"mmlu_prox_{code}_law",
        )
        for code in ("en", "de")
    ]
    found = {run.variant: run for run in read_predictions(paths)}
    assert {name: run.answers.tolist() for name, run in found.items()} == {
        "strict": [[1, 1]],
        "loose": [[-1, -1]],
        "listed": [[-1, -1]],  # a letter that no option has
    }
    assert found["strict"].n_choices is not None
    assert found["strict"].n_choices.tolist() == [2]


def test_subjects_pool_and_questions_missing_in_a_subject_drop_out(tmp_path: Path) -> None:
    def rows(subject: str, n: int) -> list[dict[str, Any]]:
        docs = [{"sample_id": f"{subject}/test/{i}", "answer": "D"} for i in range(n)]
        return [{"doc": doc, "filtered_resps": [["-1", "f"]] * 4, "filter": "none", "acc": 0.0} for doc in docs]

    for code in ("en", "sw"):
        log(tmp_path / "m", rows("law", 3), f"global_mmlu_full_{code}_law")
        log(tmp_path / "m", rows("art", 2 if code == "en" else 1), f"global_mmlu_full_{code}_art")
    (run,) = read(tmp_path)
    assert run.ids == ("art/test/0", "law/test/0", "law/test/1", "law/test/2")
    assert run.answers.tolist() == [[0, 0]] * 4  # the first of equals, as the harness takes it
    assert run.n_incomplete == 1


def test_names_and_settings(tmp_path: Path) -> None:
    path = log(tmp_path / "m", ROWS)
    assert task_of(path) == "cross_mmlu"
    assert task_of(Path("samples_belebele_ace_Arab.jsonl")) == "belebele_ace_Arab"
    assert settings_of(path) == {"model": "m"}
    results = {
        "n-shot": {"cross_mmlu": 5},
        "model_name": "lab/model",
        "model_name_sanitized": "lab__model",
        "chat_template_sha": "abc",
        "configs": {"cross_mmlu": {"metadata": {"signature": "crossin|task:cross_mmlu"}}},
        "config": {"limit": None},
    }
    (tmp_path / "n").mkdir()
    beside = log(tmp_path / "n", ROWS)
    (tmp_path / "n" / f"results_{TIME}.json").write_text(json.dumps(results), encoding="utf-8")
    (run,) = read(beside)
    assert run.name == "cross_mmlu|lab__model|5-shot+chat|p1"
    assert run.settings["signature"] == "crossin|task:cross_mmlu"
    (tmp_path / "o").mkdir()
    broken = log(tmp_path / "o", ROWS)
    (tmp_path / "o" / f"results_{TIME}.json").write_text("{half", encoding="utf-8")
    assert read(broken)[0].name == "cross_mmlu|o|p1"  # labels only: scoring goes on


BELEBELE = {
    "doc": {"link": "a", "question_number": 1, "correct_answer_num": "2"},
    "filtered_resps": [["-1", "False"], ["-0.5", "False"]],
    "filter": "none",
    "acc": 1.0,
}
BROKEN = [
    ("cross_mmlu", ROWS[0] | {"answer": 4}, "id 'q1', language en: answer 4 is not among the 4 choices"),
    ("cross_mmlu", ROWS[0] | {"answer": "x"}, "answer must be an option index, not 'x'"),
    ("cross_mmlu", ROWS[0] | {"filtered_resps": [["-1", "False"]] * 3}, "3 likelihoods for 4 options"),
    ("cross_mmlu", ROWS[0] | {"doc": ROWS[0]["doc"] | {"order": [0, 0, 1, 2]}}, "do not match"),
    ("cross_mmlu", ROWS[0] | {"doc": ROWS[0]["doc"] | {"gold": None}}, "are invalid"),
    ("cross_mmlu", {"doc": ROWS[0]["doc"]}, "not a row of a sample log (doc or filtered_resps missing)"),
    ("belebele_eng_Latn", BELEBELE | {"doc": {"link": "a"}}, "the document has no field 'question_number'"),
    (
        "belebele_eng_Latn",
        BELEBELE | {"doc": BELEBELE["doc"] | {"correct_answer_num": "B"}},
        "holds 'B', which is",
    ),
    (
        "belebele_eng_Latn",
        BELEBELE | {"doc": BELEBELE["doc"] | {"correct_answer_num": "5"}},
        "gold 4 is not among the 2",
    ),
    (
        "belebele_eng_Latn",
        BELEBELE | {"acc": 0.0},
        "the log calls the answer wrong, but option 1 was picked and 1 is gold",
    ),
    ("xnli_en", BELEBELE, "unknown parallel task 'xnli_en'"),
]


@pytest.mark.parametrize(("task", "row", "message"), BROKEN)
def test_broken_logs(tmp_path: Path, task: str, row: dict[str, Any], message: str) -> None:
    good = BELEBELE if task.startswith("belebele") else ROWS[1]
    path = log(tmp_path / "m", [good, row] if task != "xnli_en" else [row], task)
    line = 1 if task == "xnli_en" else 2
    with pytest.raises(CrossinError, match=re.escape(f"{path}, line {line}: ") + ".*" + re.escape(message)):
        read(path)


@pytest.mark.parametrize("broken", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("task", ["cross_mmlu", "belebele"])
def test_a_row_without_a_usable_likelihood_is_unanswered(tmp_path: Path, broken: str, task: str) -> None:
    others = "-inf" if broken == "-inf" else "-1"
    if task == "belebele":
        rows = [BELEBELE, BELEBELE | {"doc": BELEBELE["doc"] | {"question_number": 2}}]
        rows[1] = rows[1] | {"filtered_resps": [[broken, "False"], [others, "False"]]}
        (run,) = read(log(tmp_path / "m", rows, "belebele_eng_Latn"))
    else:
        rows = [*ROWS[1:], ROWS[0] | {"filtered_resps": [[broken, "False"], *([[others, "False"]] * 3)]}]
        run = read(log(tmp_path / "m", rows))[0]
    assert (run.answers < 0).sum() == score_questions(run.questions())["n_unanswered"] == 1


@pytest.mark.parametrize("without", ["9", "nan", "inf"])
def test_the_likelihoods_without_the_question_are_left_out(tmp_path: Path, without: str) -> None:
    """With `acc_mutual_info` the harness logs every option twice, the second time without its context."""
    more = {"acc_mutual_info": 1, "filtered_resps": [*BELEBELE["filtered_resps"], [without, "False"], ["-1", "False"]]}
    (run,) = read(log(tmp_path / "m", [BELEBELE | more], "belebele_eng_Latn"))
    assert run.answers.tolist() == [[1]]
    assert run.n_choices is not None
    assert run.n_choices.tolist() == [2]
    assert run.logprobs is not None
    assert run.logprobs.shape == (1, 1, 2)


def test_fields_of_tasks_not_known(tmp_path: Path) -> None:
    rows = [
        {
            "doc": {"key": {"part": f"{i}"}, "n": 1, "right": "B"},
            "target": "coffee",
            "arguments": {f"gen_args_{k}": {"arg_0": "?", "arg_1": f" {OPTIONS[k]}"} for k in range(4)},
            "filtered_resps": [[str(-((k + i) % 4)), "False"] for k in range(4)],
            "filter": "none",
        }
        for i in range(4)
    ]
    paths = [log(tmp_path / "m", rows, f"drinks_{code}_v1") for code in ("eng", "wol")]
    by_name = LogFields("doc.key.part+doc.n", r"_(?P<language>[a-z]{3})_")
    for fields in (by_name, LogFields("doc.key.part+doc.n", r"_([a-z]{3})_v", "doc.right")):
        (run,) = read_predictions(paths, fields=fields)
        assert run.name == "drinks_v1|m"
        assert run.languages == ("en", "wo")
        assert run.ids == ("0#1", "1#1", "2#1", "3#1")
        assert run.gold.tolist() == [1, 1, 1, 1]
        assert run.answers[:, 0].tolist() == [0, 3, 2, 1]
    with pytest.raises(CrossinError, match=r"--id-field doc\.key is a dict, not a single value"):
        read_predictions(paths, fields=LogFields("doc.key", "_([a-z]{3})_"))


# -- generated text read again ----------------------------------------------------------------------------------------

THOUGHT = "It says tea, so the answer is A. No, wait: "


def generated(text: Any, **more: Any) -> dict[str, Any]:
    """A row of a generation task whose logged answer is option 3, whatever the text says."""
    texts = text if isinstance(text, list) else [text]
    plain = own_row("q1", "en", [1, 0, 2, 3], [-1.0, -2.0, -0.5, -4.0])
    return plain | {"resps": [texts], "filtered_resps": [text], "answer": 3, "acc": 0} | more


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (generated("The answer is A."), (1, "announced", 0)),
        (generated(f"<think>{THOUGHT}</think>C"), (2, "whole", len(f"<think>{THOUGHT}</think>"))),
        (generated(f"<think>{THOUGHT}"), (-1, "cut", len(f"<think>{THOUGHT}"))),
        (generated(["A", "B", "B"]), (0, "whole", 0)),
        (
            generated(THOUGHT, arguments={"gen_args_0": {"arg_0": "[assistant]<think>\n"}}),
            (-1, "cut", 7 + len(THOUGHT)),
        ),
        (generated("I do not know", finish="length"), (-1, "cut", len("I do not know"))),
        ({k: v for k, v in generated("A").items() if k != "resps"}, (1, "whole", 0)),
    ],
)
def test_generated_text_is_read_again_where_asked(
    tmp_path: Path, row: dict[str, Any], expected: tuple[int, str, int]
) -> None:
    path = log(tmp_path / "m", [row], "cross_mmlu_gen")
    assert read(path)[0].answers.tolist() == [[3]]
    (run,) = read(path, read_again=True)
    assert run.rules is not None
    assert run.thoughts is not None
    assert (run.answers[0, 0], run.rules[0, 0], run.thoughts[0, 0]) == expected


def test_the_rules_that_a_log_states_are_kept(tmp_path: Path) -> None:
    rows = [generated("A", rule="announced", thought=40), generated("?", rule="cut", thought=60, answer=None)]
    rows[1]["doc"] = rows[1]["doc"] | {"language": "zh"}
    (run,) = read(log(tmp_path / "m", rows, "cross_mmlu_gen"))
    found = run.readings()
    assert (found["n_cut"], found["n_cut_en"], found["n_cut_zh"], found["n_unanswered_zh"]) == (1, 0, 1, 1)
    assert (found["thought"], found["thought_zh"]) == (50, 60)
    assert "answer_own_language" not in found
    assert read(log(tmp_path / "n", ROWS))[0].readings() == {}


def test_languages_of_thought_and_answer_are_kept(tmp_path: Path) -> None:
    spoken = [("en", "en"), ("en", None), ("en", "zh"), (None, "en")]  # thought, answer
    rows = []
    for number, (thought, answer) in enumerate(spoken):
        row = generated("A", rule="announced", thought=40, thought_language=thought, answer_language=answer)
        row["doc"] = row["doc"] | {"language": ("en", "zh")[number % 2], "id": f"q{number // 2}"}
        rows.append(row)
    (run,) = read(log(tmp_path / "m", rows, "cross_mmlu_gen"))
    found = run.readings()
    assert (found["thought_own_language_en"], found["thought_own_language_zh"]) == (1.0, 0.0)
    assert (found["answer_own_language_en"], found["answer_own_language_zh"]) == (0.5, 0.0)
    assert found["thought_own_language"] == pytest.approx(2 / 3)
    assert reading_rows(run)[0] == ["language", "unanswered", "cut", "thought", "thought in", "answer in", "announced"]
    assert [row[4:6] for row in reading_rows(run)[1:]] == [["en 100%", "en 50%"], ["en 100%", "en 100%"]]


def test_other_tasks_are_read_again_from_all_of_the_text(tmp_path: Path) -> None:
    """The harness's filter found nothing in an answer announced in German."""
    doc = {"question_id": 7, "category": "law", "answer": "B", "option_0": "Tee", "option_1": "Milch"}
    row = {"doc": doc, "resps": [["Richtig ist B."]], "filtered_resps": ["[invalid]"], "exact_match": 0.0}
    paths = [log(tmp_path / "m", [row | {"filter": "f"}], f"mmlu_prox_{code}_law") for code in ("en", "de")]
    assert read_predictions(paths)[0].answers.tolist() == [[-1, -1]]
    (run,) = read_predictions(paths, read_again=True)
    assert run.answers.tolist() == [[1, 1]]


@pytest.mark.parametrize("values", [[-1.0], [-1.0, math.inf], [-1.0, math.nan], [-1.0, "-2"], None])
def test_what_options_were_ranked_by_is_a_finite_number_for_each(values: Any) -> None:
    assert logged_numbers([-1, -2.5], 2, "a.jsonl:1") == (-1.0, -2.5)
    with pytest.raises(CrossinError, match=r"a\.jsonl:1: logprobs must be 2 numbers, not"):
        logged_numbers(values, 2, "a.jsonl:1")


def test_self_agreement_of_repeated_rows_is_shown(tmp_path: Path) -> None:
    rows = [generated("A", rule="announced", self_agreement=share) for share in (1.0, 1 / 3, 0.0, 1.0)]
    for number, row in enumerate(rows):
        row["doc"] = row["doc"] | {"language": ("en", "zh")[number % 2], "id": f"q{number // 2}"}
    (run,) = read(log(tmp_path / "m", rows, "cross_mmlu_gen"))
    found = run.readings()
    assert (found["self_agreement"], found["self_agreement_en"]) == (pytest.approx(7 / 12), 0.5)
    head, en, zh = reading_rows(run)
    assert (head[4], en[4], zh[4]) == ("self-agreement", "50%", "67%")
    (once,) = read(log(tmp_path / "n", [generated("A", rule="announced")], "cross_mmlu_gen"))
    assert "self-agreement" not in reading_rows(once)[0]
    assert "self_agreement" not in once.readings()
