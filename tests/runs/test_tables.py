"""Reading predictions: tables in every format, languages outside the table, and each kind of broken input."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.run import Run, file_start, read_predictions
from crossin_metrics.runs.signature import signature_of
from crossin_metrics.runs.tables import integer
from crossin_metrics.signature import UNSTATED, signature_fields

LANGUAGES = ("en", "zh", "vi")


def rows(n: int = 4, **more: Any) -> list[dict[str, Any]]:
    """A small table: n questions in three languages, some unanswered."""
    random.seed(7)
    return [
        {"id": f"q{i}", "language": language, "answer": random.choice([0, 1, 2, 3, None]), "gold": i % 4, **more}
        for i in range(n)
        for language in LANGUAGES
    ]


def write_jsonl(path: Path, table: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


def write_csv(path: Path, table: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]))
        writer.writeheader()
        for row in table:
            writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()})
    return path


def write_parquet(path: Path, table: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


def write_gzip(path: Path, table: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in table))
    return path


WRITERS = {"t.jsonl": write_jsonl, "t.csv": write_csv, "t.parquet": write_parquet, "t.jsonl.gz": write_gzip}


def same(a: Run, b: Run) -> None:
    assert (a.name, a.languages, a.ids, a.notes) == (b.name, b.languages, b.ids, b.notes)
    for name in ("answers", "gold", "n_choices", "orders", "logprobs"):
        one, other = getattr(a, name), getattr(b, name)
        assert (one is None) == (other is None), name
        assert one is None or (one.dtype == other.dtype and np.array_equal(one, other)), name


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_formats_read_alike_whatever_the_name(tmp_path: Path, name: str) -> None:
    table = rows(model="m", mode="zero_shot", prompt=2)
    for i, row in enumerate(table):
        row |= {"order": [1, 0, 3, 2] if i % 2 else [0, 1, 2, 3], "logprobs": [-0.5 - i, -1.25, -2.0, -4.0]}
    (run,) = read_predictions([WRITERS[name](tmp_path / name, table)])
    assert run.name == "t|m|zero_shot|p2"
    assert run.languages == ("en", "vi", "zh")
    assert run.ids == ("q0", "q1", "q2", "q3")
    by_cell = {(row["id"], row["language"]): row for row in table}
    for (q, identifier), (column, language) in itertools.product(enumerate(run.ids), enumerate(run.languages)):
        row = by_cell[identifier, language]
        answer = -1 if row["answer"] is None else row["answer"]
        assert run.answers[q, column] == answer
        assert run.gold[q] == row["gold"]
        assert run.positions[q, column] == (-1 if answer < 0 else row["order"].index(answer))
        assert run.gold_positions[q, column] == row["order"].index(row["gold"])
        assert run.logprobs is not None
        assert run.logprobs[q, column].tolist() == row["logprobs"]
    assert run.n_choices is not None
    assert run.n_choices.tolist() == [4] * 4
    disguised = tmp_path / "no_ending"
    disguised.write_bytes((tmp_path / name).read_bytes())
    (again,) = read_predictions([disguised])
    assert again.task == "no_ending"
    same(run, dataclasses.replace(again, name=run.name))


def test_order_of_rows_and_of_columns_changes_nothing(tmp_path: Path) -> None:
    table = rows(6)
    (run,) = read_predictions([write_jsonl(tmp_path / "t.jsonl", table)])
    random.seed(1)
    shuffled = [dict(reversed(row.items())) for row in random.sample(table, len(table))]
    same(run, read_predictions([write_jsonl(tmp_path / "t.jsonl", shuffled)])[0])


def test_names_of_languages_and_ways_to_write_none(tmp_path: Path) -> None:
    answers = ["2", "2.0", "", "nan", "None", "-1"]
    names = ["English", "zh-Hans", "Tiếng Việt", "zho_Hant", "ace_Arab", "uk"]
    lines = ["id,language,answer,gold", *(f"1,{name},{a},2" for name, a in zip(names, answers, strict=True))]
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")  # as spreadsheets save it
    (run,) = read_predictions([path], names[:3] + names[4:])
    assert run.languages == ("ace_arab", "en", "uk", "vi", "zh")
    assert dict(zip(run.languages, run.answers[0].tolist(), strict=True)) == {
        "en": 2,
        "zh": 2,
        "vi": -1,
        "ace_arab": -1,
        "uk": -1,
    }


def test_one_file_many_runs_and_a_task_column(tmp_path: Path) -> None:
    table = [row | {"model": m, "task": t} for m in ("a", "b") for t in ("x", "y") for row in rows()]
    found = read_predictions([write_csv(tmp_path / "t.csv", table)])
    assert [(run.name, run.task, run.model) for run in found] == [
        ("x|a", "x", "a"),
        ("y|a", "y", "a"),
        ("x|b", "x", "b"),
        ("y|b", "y", "b"),
    ]


def test_one_run_in_a_file_a_language(tmp_path: Path) -> None:
    table = rows(task="set", model="m")
    whole = read_predictions([write_jsonl(tmp_path / "all.jsonl", table)])[0]
    parts = [
        write_jsonl(tmp_path / f"{code}.jsonl", [row for row in table if row["language"] == code]) for code in LANGUAGES
    ]
    (run,) = read_predictions(parts)
    same(run, whole)
    assert run.source_files == tuple(parts)


def test_questions_that_lack_a_language_are_left_out_and_told(tmp_path: Path) -> None:
    table = [row for row in rows(5) if (row["id"], row["language"]) not in {("q1", "vi"), ("q3", "vi"), ("q3", "zh")}]
    path = write_jsonl(tmp_path / "t.jsonl", table)
    (run,) = read_predictions([path])
    assert run.ids == ("q0", "q2", "q4")
    assert run.n_incomplete == 2
    assert run.notes == (
        f"run t: 2 of 5 questions left out, not in every language: vi lacks 2, zh lacks 1; the first: "
        f"id 'q1' ({path}, line 4) has no vi",
    )
    (pair,) = read_predictions([path], ["en", "zh"])
    assert pair.ids == ("q0", "q1", "q2", "q4")
    assert pair.languages == ("en", "zh")


def test_questions_with_different_numbers_of_options(tmp_path: Path) -> None:
    table = [
        {"id": i, "language": code, "answer": 1, "gold": 0, "logprobs": [-1.0, -0.5, -3.0][: 2 + i % 2]}
        for i in range(2)
        for code in LANGUAGES
    ]
    (run,) = read_predictions([write_jsonl(tmp_path / "t.jsonl", table)])
    assert run.n_choices is not None
    assert run.logprobs is not None
    assert run.n_choices.tolist() == [2, 3]
    assert run.logprobs[:, 0].tolist() == [[-1.0, -0.5, -np.inf], [-1.0, -0.5, -3.0]]


def test_words_are_read_where_there_is_no_answer(tmp_path: Path) -> None:
    pytest.importorskip("crossin_metrics.answers")
    choices = ["red", "green", "blue"]
    table = [
        {"id": 1, "language": "en", "text": "The answer is (B).", "gold": 1, "choices": choices},
        {"id": 1, "language": "zh", "text": "", "gold": 1, "choices": choices},
    ]
    (run,) = read_predictions([write_csv(tmp_path / "t.csv", table)])
    assert run.answers.tolist() == [[1, -1]]
    for row in table:
        del row["choices"]
    with pytest.raises(CrossinError, match=r"t\.csv, line 2: id '1', language en: text but neither answer nor choices"):
        read_predictions([write_csv(tmp_path / "t.csv", table)])


# -- mistakes ---------------------------------------------------------------------------------------------------------

GOOD = {"id": "q", "language": "en", "answer": 1, "gold": 0}
WRONG_ROWS = [
    ({"answer": 4, "n_choices": 4}, "id 'q', language en: answer 4 is not among the 4 choices (0 ... 3)"),
    ({"gold": 3, "logprobs": [-1, -2]}, "id 'q', language en: gold 3 is not among the 2 choices"),
    ({"answer": "B"}, "id 'q', language en: answer 'B' must be an option index"),
    ({"answer": 1.5}, "answer 1.5 must be an option index"),
    ({"answer": -2}, "answer -2 must be an option index"),
    ({"answer": True}, "answer True must be an option index"),
    ({"gold": None}, "id 'q', language en: gold None must be an option index"),
    ({"gold": -1}, "gold -1 must be an option index"),
    ({"id": ""}, "empty id"),
    ({"language": "Klingon"}, "id 'q': unknown language 'Klingon'"),
    ({"language": "eng1"}, "unknown language 'eng1'"),
    ({"language": "xyz"}, "unknown language 'xyz'"),
    ({"order": [0, 0]}, "order [0, 0] is not a permutation"),
    ({"logprobs": [-1, "x"]}, "logprobs [-1, 'x'] must be 2 numbers"),
    ({"logprobs": [-1, -2, -3], "n_choices": 4}, "3 values in logprobs, but 4 options"),
    ({"logprobs": 3}, "logprobs must be a list"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_ROWS)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", [GOOD | {"language": "zh"}, GOOD | change])
    with pytest.raises(CrossinError, match=re.escape(f"{path}, line 2: ") + ".*" + re.escape(message)):
        read_predictions([path])


WRONG_FILES = [
    ("", "{path}: empty file"),
    ("\n \n", "{path}: empty file"),
    ("id,language,answer,gold\n", "{path}: no rows"),
    ("id,language,answer\n1,en,0\n", "{path}, line 1: column gold missing (it has id, language, answer)"),
    ("id,language,answer,gold\n1,en,0\n", "{path}, line 2: too few values for the 4 columns"),
    ("id,language,answer,gold\n1,en,0,1,7\n", "{path}, line 2: too many values for the 4 columns"),
    ('{"id": 1, "gold": 0}\n', "{path}, line 1: columns language, answer missing (it has id, gold)"),
    (json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:20], "{path}, line 2: not JSON"),
    (json.dumps(GOOD) + "\n[1]\n", "{path}, line 2: expected a JSON object"),
    ("[" + json.dumps(GOOD) + "]", "{path}: a JSON array"),
    ('{\n "results": {}\n}\n', "{path}: one JSON object over many lines, not rows"),
    (b"id,language,answer,gold\n\xff\xfe,en,0,0\n", "{path}"),
    (gzip.compress(json.dumps(GOOD).encode() * 500)[:-20], "{path}"),
    (b"PAR1 and then no more", "{path}: not a Parquet file"),
    (json.dumps(GOOD) + "\n", None),
]


@pytest.mark.parametrize(("content", "message"), WRONG_FILES)
def test_a_broken_file_is_named(tmp_path: Path, content: str | bytes, message: str | None) -> None:
    path = tmp_path / "t"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if message is None:
        assert read_predictions([path])[0].answers.tolist() == [[1]]
        return
    with pytest.raises(CrossinError, match=re.escape(message.format(path=path))) as caught:
        read_predictions([path])
    assert "\n" not in str(caught.value)


def test_how_many_rows_before_a_broken_line_are_good(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", rows())
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    with pytest.raises(CrossinError, match=r"t\.jsonl, line 12: not JSON"):
        read_predictions([path])


def test_a_row_given_twice(tmp_path: Path) -> None:
    table = rows()
    path = write_jsonl(tmp_path / "t.jsonl", [*table, table[4]])
    with pytest.raises(
        CrossinError, match=rf"{path}, line 13: duplicate row of id 'q1', language zh in run t, first at {path}, line 5"
    ):
        read_predictions([path])
    good = write_jsonl(tmp_path / "t.jsonl", table)
    with pytest.raises(CrossinError, match="given twice"):
        read_predictions([good, tmp_path / "." / "t.jsonl"])
    copy = write_csv(tmp_path / "t.csv", table)
    with pytest.raises(CrossinError, match=rf"{copy}, line 2: .*give a run once"):
        read_predictions([good, copy])


def test_rows_that_are_no_translations_of_one_question(tmp_path: Path) -> None:
    table = rows(n_choices=4)
    wrong_gold = [row | ({"gold": 3} if (row["id"], row["language"]) == ("q2", "vi") else {}) for row in table]
    path = write_jsonl(tmp_path / "t.jsonl", wrong_gold)
    with pytest.raises(CrossinError, match=r"run t, id 'q2': gold is 2 in en \(.*line 7\) but 3 in vi \(.*line 9\)"):
        read_predictions([path])
    (rest,) = read_predictions([path], skip_mismatched=True)
    assert rest.ids == ("q0", "q1", "q3")
    assert rest.n_incomplete == 1
    assert "run t: 1 of 4 questions left out; the first: id 'q2': gold is 2 in en" in rest.notes[0]
    assert read_predictions([path], ["en", "zh"])[0].gold.tolist() == [0, 1, 2, 3]
    counts = [row | ({"n_choices": 5} if row["language"] == "zh" else {}) for row in table]
    with pytest.raises(CrossinError, match=r"number of choices is 4 in en .* but 5 in zh"):
        read_predictions([write_jsonl(tmp_path / "t.jsonl", counts)], skip_mismatched=True)  # none is left


def test_languages_that_are_not_there(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", rows())
    with pytest.raises(CrossinError, match="run t: no rows in sw; it has en, vi, zh"):
        read_predictions([path], ["en", "Swahili"])
    with pytest.raises(CrossinError, match="unknown language 'Englsh'"):
        read_predictions([path], ["Englsh"])
    with pytest.raises(CrossinError, match="duplicate language zh"):
        read_predictions([path], ["zh", "Chinese"])


def test_no_question_in_every_language(tmp_path: Path) -> None:
    table = [row | {"id": f"{row['id']}_{row['language']}"} for row in rows()]
    with pytest.raises(CrossinError, match=r"none of its 12 questions has all of en, vi, zh .*ids must be the same"):
        read_predictions([write_jsonl(tmp_path / "t.jsonl", table)])


def test_missing_files_and_folders_without_logs(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=r"nothing\.csv: no such file"):
        file_start(tmp_path / "nothing.csv")
    with pytest.raises(CrossinError, match=r"no samples_\*\.jsonl in this folder"):
        read_predictions([tmp_path])


def test_orders_of_questions_with_different_numbers_of_options(tmp_path: Path) -> None:
    orders = {"q0": [2, 0, 1], "q1": [1, 0]}
    table = [
        {"id": name, "language": code, "answer": 0, "gold": 1, "order": order}
        for name, order in orders.items()
        for code in ("en", "zh")
    ]
    (run,) = read_predictions([write_jsonl(tmp_path / "t.jsonl", table)])
    assert run.orders is not None
    assert run.orders.tolist() == [2 * [[2, 0, 1]], 2 * [[1, 0, -1]]]


@pytest.mark.parametrize(("value", "read"), [(10**9 - 1, True), (10**9, False), (99.0, True), (1e9, False)])
def test_whole_numbers_have_nine_digits_at_most(value: float, read: bool) -> None:
    assert integer(value) == (value if read else None)
    assert integer(str(value)) == (value if read else None)
    assert integer(-value) == (-value if read else None)


@pytest.mark.parametrize(
    ("mode", "shots", "named"),
    [
        ("", UNSTATED, None),
        ("zero_shot", "0", None),
        ("five-shot", "5", None),
        ("3-shot", UNSTATED, None),
        ("chat", UNSTATED, None),
        ("thinking", UNSTATED, "thinking"),
    ],
)
def test_a_mode_is_part_of_the_signature_unless_it_says_the_shots(
    tmp_path: Path, mode: str, shots: str, named: str | None
) -> None:
    (run,) = read_predictions([write_jsonl(tmp_path / "t.jsonl", rows(mode=mode))])
    fields = signature_fields(signature_of(run))
    assert (fields["shots"], fields.get("mode")) == (shots, named)
