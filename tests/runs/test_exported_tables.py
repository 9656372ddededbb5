"""Tables as people export them: what is plain is read, the rest is refused with its line and a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.log_fields import LogFields
from crossin_metrics.runs.run import Run, read_predictions
from crossin_metrics.runs.signature import setup_of, signature_of

HEAD = "id,language,answer,gold"
ROWS = ["0,en,3,0", "0,zh,2,0", "1,en,1,1", "1,zh,1,1"]
EXTRA = HEAD + ",{}\n0,en,3,0,{}\n0,zh,2,0,{}\n1,en,1,1,{}\n1,zh,1,1,{}\n"


def read(tmp_path: Path, text: str, name: str = "t.csv") -> Run:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (run,) = read_predictions([tmp_path / name])
    return run


def lines(*rows: str) -> str:
    return "".join(row + "\n" for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        lines(HEAD, *ROWS),
        lines(HEAD, *ROWS).replace(",", ";"),
        lines(HEAD, *ROWS).replace(",", "\t"),
        lines(HEAD, *ROWS).replace(",", "|"),
        lines("," + HEAD, *(f"{i},{row}" for i, row in enumerate(ROWS))),  # pandas' index
        lines(" ID,Language ,Answer,GOLD", *ROWS),
        lines(HEAD, *ROWS[:2], ",,,", *ROWS[2:], ",,,"),
        lines(HEAD, "0,en,3,0", "0.0,zh,2,0", "1,en,1,1", "1.0,zh,1.0,1"),
        lines(HEAD, "0,en-US,3,0", "0,zh-CN,2,0", "1,en-US,1,1", "1,zh-CN,1,1"),
    ],
)
def test_plain_exports_read_alike(tmp_path: Path, text: str) -> None:
    run = read(tmp_path, text)
    assert (run.ids, run.languages) == (("0", "1"), ("en", "zh"))
    assert run.answers.tolist() == [[3, 2], [1, 1]]
    assert run.gold.tolist() == [0, 1]


@pytest.mark.parametrize("written", ["{}", "", "N/A", "nan", "<NA>"])
@pytest.mark.parametrize("column", ["n_choices", "choices", "logprobs"])
def test_an_empty_cell_costs_no_row(tmp_path: Path, column: str, written: str) -> None:
    full = {"n_choices": "4", "choices": "\"['a', 'b', 'c', 'd']\"", "logprobs": '"[-1.0, -inf, -2.0, -3.0]"'}[column]
    run = read(tmp_path, EXTRA.format(column, full, full, written.replace("{}", full), full))
    assert run.n_choices is not None
    assert (run.ids, run.n_choices.tolist()) == (("0", "1"), [4, 4])
    if column == "logprobs":
        assert (run.logprobs is None) == (written != "{}")
        assert any("1 of 4 rows have no logprobs" in note and "line 4" in note for note in run.notes) == (
            written != "{}"
        )


@pytest.mark.parametrize(
    "broken", ["[nan, -1.0, -2.0, -3.0]", "[0, inf, -2, -3]", "[-inf, -inf, -inf, -inf]", "[null, -1, -2, -3]"]
)
def test_log_probabilities_that_are_no_numbers_are_an_unanswered_row(tmp_path: Path, broken: str) -> None:
    full = '"[-1.0, -inf, -2.0, -3.0]"'
    run = read(tmp_path, EXTRA.format("logprobs", full, full, f'"{broken}"', full))
    assert run.answers.tolist() == [[3, 2], [-1, 1]]
    assert run.logprobs is not None
    assert any("1 of 4 rows have logprobs that are NaN" in note and "line 4" in note for note in run.notes)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04\xff", "Excel file; save its table as CSV"),
        (b"BZh9\xff", "not with gzip; unpack"),
        (b"\xff\xfei", "UTF-8"),
    ],
)
def test_files_that_are_no_text_are_named(tmp_path: Path, start: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(start)
    with pytest.raises(CrossinError, match=f"t.csv, line 1: .*{message}"):
        read_predictions([tmp_path / "t.csv"])


def test_a_column_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [["0", "0"], ["en", "zh"], [1, 1], [1, 1], [0, 0]]
    pq.write_table(pa.table(columns, names=["id", "language", "answer", "gold", "answer"]), tmp_path / "t.parquet")
    with pytest.raises(CrossinError, match=r"t.parquet: duplicate column 'answer'; remove one"):
        read_predictions([tmp_path / "t.parquet"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(HEAD + ",answer", *(row + ",1" for row in ROWS)), "line 1: duplicate column 'answer'; remove one"),
        (lines("id,language,answer,Answer,gold", "0,en,1,2,0"), "duplicate column 'answer'"),
        (EXTRA.format("n_choices", 4, '"1_0"', 4, 4), "line 3: .*n_choices '1_0' must be a whole number"),
        (EXTRA.format("n_choices", "four", 4, 4, 4), "line 2: .*n_choices 'four' must be a whole number"),
        (EXTRA.format("order", '"[1, 0, 2, 3]"', "", '"[0, 1, 2, 3]"', ""), "line 3: .*order is empty .*fill it in"),
        (EXTRA.format("logprobs", "[-1. -0.5]", "", "", ""), "line 2: .*logprobs must be a list .*json.dumps"),
        (EXTRA.format("order", '"[1, 0]"', "", "", ""), "line 3: .*answer 2|line 2: .*answer 3 is not among the 2"),
        (EXTRA.format("choices", '"[1, 0]"', 4, 4, 4), "line 2"),
        (lines(HEAD, "0,zh-CN,1,0", "0,zh-TW,1,0"), "line 3: .*zh-CN and zh-TW are one language here, zh; keep one"),
        (lines(HEAD, "q,en,1_0,0"), "line 2: .*answer '1_0'"),
        (lines(HEAD, f"q,en,{'9' * 400},0"), "line 2: .*answer '9999"),
        (lines("," + HEAD, "7,0,en,3,0"), "line 1: unnamed column"),
        (EXTRA.format("choices", "['a' 'b']", "", "", ""), "line 2: .*choices .* must be a list of the question's"),
        (EXTRA.format("n_choices", 0, "", "", ""), "line 2: .*n_choices '0' must be a whole number above 0"),
        (
            lines(HEAD, *(f"{i},{c},{i % 4 + 1},{i % 4}" for i in range(8) for c in ("en", "zh"))),
            "answers go from 1 to 4",
        ),
        (
            lines(HEAD, *(f"{i},{c},{i % 4},{i % 4 + 1}" for i in range(8) for c in ("en", "zh"))),
            "gold options go from 1",
        ),
        (
            lines(HEAD, *ROWS, "2,en,99,1", "2,zh,1,1"),
            "line 6: answer 99, but no gold option is above 1; leave the cell",
        ),
        (lines(HEAD, *ROWS).replace("", "\0"), "line 1: NUL bytes, as in UTF-16; save the file as UTF-8"),
        (
            lines(
                HEAD,
                *(
                    f"{i},{code},{(i * 3 + n) % 4 + 1},{i % 4 + 1}"
                    for i in range(8)
                    for n, code in enumerate(("en", "zh"))
                ),
            ),
            "line 2: .*seem to count from 1; subtract 1 .*n_choices",
        ),
    ],
)
def test_what_is_not_plain_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CrossinError, match=message) as caught:
        read(tmp_path, text)
    assert "t.csv" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": 1, "language": "en", "answer": 0, "answer": 1, "gold": 0}', "duplicate key 'answer'"),
        ('{"id": [1], "language": "en", "answer": 0, "gold": 0}', "id \\[1\\] must be text or a number"),
        ('{"id": 1, "language": ["en"], "answer": 0, "gold": 0}', "language \\['en'\\] must be text"),
        ('{"id": 1, "language": "en", "answer": 0, "gold": 0, "model": {"a": 1}}', "model .* must be text"),
        ('{"id": "\\ud800", "language": "en", "answer": 0, "gold": 0}', "half of a surrogate pair"),
        ('{"id": 1, "language": "en", "answer": 0, "gold": ' + "9" * 5000 + "}", "a number with too many digits"),
        ('{"id": 1, "language": "en", "answer": 0, "gold": 0, "logprobs": [1' + "0" * 400 + ", 0]}", "logprobs"),
        ('{"id": 1, "language": "en", "answer": 0, "gold": 0, "logprobs": [true, false]}', "logprobs"),
        ('{"id": 1, "language": "en", "answer": 0, "gold": 0, "order": [0, null]}', "order"),
    ],
)
def test_json_values_of_the_wrong_kind(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(CrossinError, match=f"t.jsonl, line 1: .*{message}") as caught:
        read(tmp_path, row + "\n", "t.jsonl")
    assert len(str(caught.value)) < 500


def log(tmp_path: Path, code: str, targets: list[str], options: list[str], **more: Any) -> Path:
    """A log of a foreign task; the model always picks option 0."""
    path = tmp_path / "m" / f"samples_numset_{code}_2026-01-01T10-00-00.1.jsonl"
    path.parent.mkdir(exist_ok=True)
    calls = {f"gen_args_{i}": {"arg_0": "c", "arg_1": f" {text}"} for i, text in enumerate(options)}
    scored = [[str(-1.0 - i), "False"] for i in range(len(options))]
    rows = [
        {"doc_id": i, "doc": {"idx": i}, "target": target, "arguments": calls, "filtered_resps": scored, **more}
        for i, target in enumerate(targets)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


FIELDS = LogFields("doc.idx", "^numset_([a-z]{2})$")


@pytest.mark.parametrize(
    ("options", "target", "gold"),
    [(["3", "4", "5", "6"], "4", 1), (["0", "1", "2"], "2", 2), (["x", "y"], "1", 1), (["10", "20"], "20", 1)],
)
def test_a_target_is_looked_for_among_the_options_first(
    tmp_path: Path, options: list[str], target: str, gold: int
) -> None:
    (run,) = read_predictions([log(tmp_path, code, [target], options) for code in ("en", "zh")], fields=FIELDS)
    assert run.gold.tolist() == [gold]


@pytest.mark.parametrize(("options", "target"), [(["1", "2", "3", "0"], "1"), (["B", "A"], "A")])
def test_an_ambiguous_target_is_refused(tmp_path: Path, options: list[str], target: str) -> None:
    files = [log(tmp_path, code, [target], options) for code in ("en", "zh")]
    with pytest.raises(CrossinError, match=f"line 1: the gold option '{target}' is the text of option .*--gold-field"):
        read_predictions(files, fields=FIELDS)


def test_draws_that_are_not_counted_are_named(tmp_path: Path) -> None:
    files = [log(tmp_path, code, ["A"], [], filter="take_first_k") for code in ("en", "zh")]
    for path in files:
        row = json.loads(path.read_text()) | {"filtered_resps": [["A", "B", "B"]]}
        path.write_text(json.dumps(row) + "\n")
    (run,) = read_predictions(files, fields=FIELDS)
    assert run.name == "numset|m|take_first_k+first of 3 draws"
    assert f"run {run.name}: only the first of 3 draws of each row counts" in run.notes


SIGNATURE = "crossin|task:cross_x_cf|data:4abe2c199dee|langs:en,zh|answers:cf|prompt:p1|shots:2|chat:no|s:2|v:0.1.0"


def test_a_table_carries_its_signature(tmp_path: Path) -> None:
    whole = SIGNATURE.replace("answers:cf", "answers:cf+norm") + "|questions:2 of 9"
    text = lines(HEAD + ",variant,group,signature", *(f'{row},norm,g{row[0]},"{whole}"' for row in ROWS))
    run = read(tmp_path, text)
    assert (run.variant, run.groups) == ("norm", ("g0", "g1"))
    assert signature_of(run) == whole
    assert setup_of(run).heading.startswith("2-shot, answers: cf+norm, prompts out of p1 to p5")


def test_two_signatures_in_one_run_are_refused(tmp_path: Path) -> None:
    other = SIGNATURE.replace("shots:2", "shots:0")
    rows = [f"{row},{signature}" for row, signature in zip(ROWS, (f'"{SIGNATURE}"', f'"{other}"') * 2, strict=True)]
    with pytest.raises(CrossinError, match=r"two signatures, .*shots:2.*line 2\) and .*shots:0.*line 3\)"):
        read(tmp_path, lines(HEAD + ",signature", *rows))
