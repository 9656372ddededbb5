"""Rows of parallel sets: what is accepted, and for every violation a message with place and remedy."""

from __future__ import annotations

import copy
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_file
from crossin_metrics.sets.parallel_set import Item, write_parallel
from tests.sets.parallel_cases import change, rows, write

# --- what is read ----------------------------------------------------------------------------------------------


def test_labels_names_and_white_space_are_normalised(tmp_path: Path) -> None:
    content = rows()
    content[0]["English"]["question"] += " \n"
    content[0]["English"]["choices"][1] += "  "
    data = load_file(write(tmp_path / "tiny.jsonl", content))
    assert data.name == "tiny"
    assert data.languages == ("en", "zh", "id")
    assert data.items["en"] == (Item(None, "One and one?", ("two", "five")), Item("Ann ran.", "Who?", ("Bob", "Ann")))
    assert data.gold == (0, 1)
    assert data.groups == ("q1", "q2")


def test_passages_shared_through_a_third_question_are_one_group(tmp_path: Path) -> None:
    content = [copy.deepcopy(rows()[1]) for _ in range(4)]
    for number, row in enumerate(content):
        row["id"] = f"q{number}"
        for language in ("English", "Chinese", "Indonesian"):
            row[language]["context"] = f"{language} {number}"
    content[2]["English"]["context"] = "English 0"
    content[2]["Chinese"]["context"] = "Chinese 1"
    assert load_file(write(tmp_path / "x.jsonl", content)).groups == ("q0", "q0", "q0", "q3")


def test_a_lone_bracketed_letter_is_an_options_own_text(tmp_path: Path) -> None:
    content = rows()[:1]
    content[0]["English"].update(choices=["(A) and (B)", "neither"], answer="neither")
    for language in ("Chinese", "Indonesian"):
        content[0][language]["answer"] = content[0][language]["choices"][1]
    data = load_file(write(tmp_path / "x.jsonl", content))
    assert data.items["en"][0].choices == ("(A) and (B)", "neither")


def test_unlabelled_answers_and_other_columns_are_accepted(tmp_path: Path) -> None:
    content = rows()
    content[0]["English"]["answer"] = "two"
    content[0]["category"] = "sums"
    content[1]["Filipino"] = None  # as Parquet fills up a language that a row lacks
    content[1]["id"] = 2
    data = load_file(write(tmp_path / "x.jsonl", content))
    assert data.gold == (0, 1)
    assert data.ids == ("q1", "2")


def test_equal_wrong_options_are_a_warning_and_equal_right_ones_an_error(tmp_path: Path) -> None:
    content = rows()[:1]
    for language in ("English", "Chinese", "Indonesian"):
        item = content[0][language]
        item["choices"] = [text[4:] for text in item["choices"]] + [item["choices"][1][4:]]
        item["answer"] = item["choices"][0]
    with pytest.warns(UserWarning, match=r"equal choices in 3 rows, the first at .*line 1, id q1, language en"):
        assert load_file(write(tmp_path / "x.jsonl", content)).gold == (0,)
    for language in ("English", "Chinese", "Indonesian"):
        content[0][language]["answer"] = content[0][language]["choices"][1]
    with pytest.raises(
        CrossinError, match=r"x.jsonl, line 1, id q1, language en: the answer 'five' is 2 of the choices"
    ):
        load_file(write(tmp_path / "x.jsonl", content))


def test_line_separators_inside_a_text_do_not_end_the_line(tmp_path: Path) -> None:
    content = rows()
    content[0]["English"]["question"] = "One\u2028and\x85one?"
    assert load_file(write(tmp_path / "x.jsonl", content)).items["en"][0].question == "One\u2028and\x85one?"


def test_byte_order_mark_crlf_and_blank_lines_are_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", rows())
    expected = load_file(path).hash
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert load_file(path).hash == expected


# --- violations ------------------------------------------------------------------------------------------------


ZH = "line 2, id q2, language zh: "
VIOLATIONS: list[tuple[Callable[[list[dict[str, Any]]], Any], str]] = [
    (lambda c: c[1].update(id="q1"), "line 2, id q1: duplicate id"),
    (lambda c: c[1].pop("id"), "line 2: `id` must be a non-empty string, not None"),
    (lambda c: c[1].update(id=" "), "line 2: `id` must be a non-empty string, not ' '"),
    (lambda c: c[1].update(id=True), "line 2: `id` must be a non-empty string, not True"),
    (lambda c: c[1].update(id=c[1]["Indonesian"]), "line 2: `id` must be the question's id; the key for Indonesian"),
    (lambda c: c.__setitem__(1, ["q2"]), "line 2: expected a JSON object, found list"),
    (lambda c: c[1].pop("Chinese"), ZH + "missing (the row has en, id)"),
    (lambda c: c[1].update(zh=c[1]["Chinese"]), ZH + "given twice, again as 'zh'"),
    (lambda c: c[1].update(Chinese="安"), ZH + "must be an object"),
    (change("Chinese", choices=["(A) 鲍勃", "(B) 安", "(C) 马克"]), ZH + "3 choices, but 2 in en"),
    (change("Chinese", choices=["安"], answer="安"), ZH + "1 choice(s)"),
    (change("Chinese", answer="(A) 鲍勃"), ZH + "the answer is choice 0 (from 0), but 1 in en"),
    (change("Chinese", answer="(B) 马克"), ZH + "the answer '(B) 马克' is not among the choices (鲍勃 | 安)"),
    (change("Chinese", answer="B"), ZH + "the answer 'B' is not among"),
    (change("Chinese", answer=1), ZH + "answer must be a string, not int"),
    (change("Chinese", answer=None), ZH + "no 'answer'"),
    (change("Chinese", question=" \n"), ZH + "question is empty"),
    (change("Chinese", choices=["(A) 鲍勃", ""]), ZH + "choice 1 (from 0) is empty"),
    (change("Chinese", question="\ud83d?"), "line 2: half of a surrogate pair"),
    (change("Chinese", choices=["(A)", "(B) 安"]), ZH + "choice A is empty"),
    (change("Chinese", choices=["(B) 鲍勃", "(A) 安"]), ZH + "the choices are labelled B, A"),
    (change("Chinese", choices="鲍勃"), ZH + "choices must be an array of strings, not str"),
    (change("Chinese", choices=[1, "安"]), ZH + "choice 0 (from 0) must be a string, not int"),
    (change("Chinese", context=None), ZH + "has no context, unlike en"),
    (change("Chinese", context=[]), ZH + "context must be a string, not list"),
    (lambda c: [row.update(Klingon=row["English"]) for row in c], "line 1, id q1: unknown language 'Klingon'"),
    (lambda c: (c.clear(), c.append({"id": "q1"})), "line 1, id q1: no language"),
]


@pytest.mark.parametrize(("spoil", "message"), VIOLATIONS, ids=[message for _, message in VIOLATIONS])
def test_a_violation_names_file_line_id_and_language(
    tmp_path: Path, spoil: Callable[[list[dict[str, Any]]], Any], message: str
) -> None:
    content = rows()
    spoil(content)
    path = write(tmp_path / "x.jsonl", content)
    with pytest.raises(CrossinError, match="^" + re.escape(f"{path}, {message}")) as caught:
        load_file(path)
    assert "\n" not in str(caught.value)


def test_languages_not_asked_for_are_not_checked(tmp_path: Path) -> None:
    content = rows()
    content[1]["Chinese"]["answer"] = "?"
    content[1]["Klingon"] = {"question": "nuq?"}
    data = load_file(write(tmp_path / "x.jsonl", content), languages=["Indonesian", "en"])
    assert data.languages == ("id", "en")


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        (["en", "xx"], "unknown language 'xx'"),
        (["en", "English"], "duplicate language en"),
        ([], "no languages"),
    ],
)
def test_languages_asked_for_wrongly(tmp_path: Path, languages: list[str], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        load_file(write(tmp_path / "x.jsonl", rows()), languages=languages)


def spoil_file(path: Path, kind: str) -> Path:
    """Make one of the files that cannot be read; returns its path."""
    whole = write(path / "whole.jsonl", rows()).read_bytes()
    target = path / ("x.jsonl.gz" if kind == "cut gzip" else "x.jsonl")
    if "parquet" in kind:
        target = path / "x.parquet"
        write_parallel(load_file(path / "whole.jsonl"), target)
        target.write_bytes({"cut": target.read_bytes()[:-40], "no": whole, "empty": b""}[kind.split()[0]])
    elif kind == "directory":
        target.mkdir()
    elif kind == "no array":
        (target := path / "x.json").write_text('{"id": "q1"}', encoding="utf-8")
    elif kind == "unknown ending":
        (target := path / "x.csv").write_bytes(whole)
    elif kind != "missing":
        target.write_bytes(
            {
                "truncated": whole[: len(whole) - 60],
                "not json": whole + b"<html>\n",
                "not utf-8": whole.replace("五".encode(), b"\xff\xfe"),
                "empty": b"",
                "blank": b"\n \n",
                "key twice": b'{"id": "q1", "en": {}, "en": {}}\n',
                "nested": b"[" * 100_000 + b"\n",
                "cut gzip": gzip.compress(whole)[:-20],
            }[kind]
        )
    return target


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", r", line 2: not JSON \(.*\); the file may be cut short"),
        ("not json", r", line 3: not JSON"),
        ("not utf-8", r", line 1: not UTF-8; save the file as UTF-8"),
        ("empty", r": empty; a parallel set holds one question a line"),
        ("blank", r": empty"),
        ("key twice", r", line 1: duplicate key 'en'"),
        ("nested", r", line 1: not JSON \(nested too deep\)"),
        ("cut gzip", r": gzip file damaged or cut short"),
        ("cut parquet", r": not a Parquet file, or cut short"),
        ("no parquet", r": not a Parquet file, or cut short"),
        ("empty parquet", r": not a Parquet file"),
        ("directory", r": is a directory, not a file"),
        ("missing", r": no such file"),
        ("no array", r": expected a JSON array"),
        ("unknown ending", r": unknown format; expected one of .jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_clear_message(tmp_path: Path, kind: str, message: str) -> None:
    path = spoil_file(tmp_path, kind)
    with pytest.raises(CrossinError, match=f"^{path}{message}") as caught:
        load_file(path)
    assert "\n" not in str(caught.value)
