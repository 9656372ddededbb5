"""Parallel sets: real files, every violation's message, round trips, where sets are looked for, the hub's client."""

from __future__ import annotations

import copy
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, FakeHub
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.parallel import Item, ParallelMCQ, load_file, load_parallel, write_parallel

ALL = ("en", "zh", "vi", "es", "id", "ms", "fil")


def rows() -> list[dict[str, Any]]:
    """Two small questions in three languages, labelled as on the hub; the second has a passage."""
    return [
        {
            "id": "q1",
            "English": {"question": "One and one?", "choices": ["(A) two", "(B) five"], "answer": "(A) two"},
            "Chinese": {"question": "一加一？", "choices": ["(A) 二", "(B) 五"], "answer": "(A) 二"},
            "Indonesian": {"question": "Satu tambah satu?", "choices": ["(A) dua", "(B) lima"], "answer": "(A) dua"},
        },
        {
            "id": "q2",
            "English": {
                "context": "Ann ran.",
                "question": "Who?",
                "choices": ["(A) Bob", "(B) Ann"],
                "answer": "(B) Ann",
            },
            "Chinese": {
                "context": "安跑了。",
                "question": "谁？",
                "choices": ["(A) 鲍勃", "(B) 安"],
                "answer": "(B) 安",
            },
            "Indonesian": {
                "context": "Ann berlari.",
                "question": "Siapa?",
                "choices": ["(A) Bob", "(B) Ann"],
                "answer": "(B) Ann",
            },
        },
    ]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(row, ensure_ascii="\\ud" in json.dumps(row)) + "\n" for row in content)
    path.write_text("".join(lines), encoding="utf-8")
    return path


# --- real data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_questions", "with_context", "expected"),
    [("cross_mmlu", 150, False, "a16d7f1f992a"), ("cross_logiqa", 176, True, "5afdadcb5396")],
)
def test_the_real_sets_load(shared: Path, name: str, n_questions: int, with_context: bool, expected: str) -> None:
    data = load_parallel(name, data_dir=shared / "data" / "seaeval")
    assert len(data) == n_questions
    assert data.languages == ALL
    assert data.hash == expected
    assert data.source == f"file:{name}.jsonl"
    for language in ALL:
        for item, gold in zip(data.items[language], data.gold, strict=True):
            assert len(item.choices) == 4
            assert 0 <= gold < 4
            assert (item.context is not None) == with_context
            assert not any(choice.startswith("(") and choice[2:3] == ")" for choice in item.choices)
            assert all(text == text.strip() != "" for text in (item.question, *item.choices))


@pytest.mark.parametrize("name", ["cross_mmlu", "cross_logiqa"])
def test_gold_is_that_of_the_official_logs(shared: Path, name: str) -> None:
    data = load_parallel(name, data_dir=shared / "data")
    with gzip.open(shared / "data" / "golden" / f"predictions_{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        official = {(row["id"], row["language"], row["gold"]) for row in map(json.loads, file)}
    names = {LANGUAGES[code].english for code in ALL}
    assert official == {(i, n, g) for i, g in zip(data.ids, data.gold, strict=True) for n in names}


def test_questions_on_one_passage_share_a_group_whichever_languages_are_loaded(shared: Path) -> None:
    # Two pairs of English passages are the same; their Chinese versions differ.
    folder = shared / "data" / "seaeval"
    data = load_parallel("cross_logiqa", data_dir=folder)
    groups = dict(zip(data.ids, data.groups, strict=True))
    assert groups["test_49"] == groups["test_14"] == "test_14"
    assert groups["test_152"] == groups["test_79"] == "test_79"
    assert len(set(data.groups)) == 174
    assert load_parallel("cross_logiqa", data_dir=folder, languages=["zh", "vi"]).groups == data.groups


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


def change(language: str, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def apply(content: list[dict[str, Any]]) -> None:
        content[1][language].update(fields)

    return apply


def twice_named(content: list[dict[str, Any]]) -> None:
    content[1]["zh"] = content[1]["Chinese"]


VIOLATIONS: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "duplicate id": (lambda c: c[1].update(id="q1"), r"line 2, id q1: this id stands before, at .*x.jsonl, line 1"),
    "no id": (lambda c: c[1].pop("id"), r"line 2: `id` is None; give each question an id"),
    "empty id": (lambda c: c[1].update(id=" "), r"line 2: `id` is ' '"),
    "id true": (lambda c: c[1].update(id=True), r"line 2: `id` is True"),
    "id is Indonesian": (lambda c: c[1].update(id=c[1]["Indonesian"]), r"line 2: `id` holds an object.*'Indonesian'"),
    "not an object": (lambda c: c.__setitem__(1, ["q2"]), r"line 2: list instead of an object"),
    "missing language": (
        lambda c: c[1].pop("Chinese"),
        r"line 2, id q2, language zh: missing \(it has en, id\); add it or ask",
    ),
    "language twice": (twice_named, r"line 2, id q2, language zh: given twice, again as 'zh'"),
    "language no object": (
        lambda c: c[1].update(Chinese="安"),
        r"line 2, id q2, language zh: str instead of an object",
    ),
    "one choice more": (
        change("Chinese", choices=["(A) 鲍勃", "(B) 安", "(C) 马克"]),
        r"line 2, id q2, language zh: 3 choices where en has 2; options must be parallel",
    ),
    "one choice": (
        change("Chinese", choices=["安"], answer="安"),
        r"line 2, id q2, language zh: 1 choice\(s\).*at least 2",
    ),
    "gold differs": (
        change("Chinese", answer="(A) 鲍勃"),
        r"line 2, id q2, language zh: the answer is choice 0 \(from 0\) where in en it is 1",
    ),
    "answer not a choice": (
        change("Chinese", answer="(B) 马克"),
        r"line 2, id q2, language zh: the answer '\(B\) 马克' is not among the choices \(鲍勃 \| 安\); copy it",
    ),
    "answer a letter": (change("Chinese", answer="B"), r"line 2, id q2, language zh: the answer 'B' is not among"),
    "answer an index": (change("Chinese", answer=1), r"line 2, id q2, language zh: answer is int, not text"),
    "no answer": (change("Chinese", answer=None), r"line 2, id q2, language zh: no 'answer'"),
    "empty question": (change("Chinese", question=" \n"), r"line 2, id q2, language zh: question is empty"),
    "empty choice": (
        change("Chinese", choices=["(A) 鲍勃", ""]),
        r"line 2, id q2, language zh: choice 1 \(from 0\) is empty",
    ),
    "half a character": (
        change("Chinese", question="\ud83d?"),
        r"line 2, id q2, language zh: question has half a character",
    ),
    "label alone": (
        change("Chinese", choices=["(A)", "(B) 安"]),
        r"line 2, id q2, language zh: choice A is empty",
    ),
    "labels out of order": (
        change("Chinese", choices=["(B) 鲍勃", "(A) 安"]),
        r"line 2, id q2, language zh: the choices are labelled B, A; label them A, B, C",
    ),
    "choices a text": (change("Chinese", choices="鲍勃"), r"line 2, id q2, language zh: choices is str, not a list"),
    "choice a number": (
        change("Chinese", choices=[1, "安"]),
        r"line 2, id q2, language zh: choice 0 \(from 0\) is int, not text",
    ),
    "no context": (change("Chinese", context=None), r"line 2, id q2, language zh: has no context, unlike en"),
    "context a list": (change("Chinese", context=[]), r"line 2, id q2, language zh: context is list, not text"),
    "unknown language": (
        lambda c: [row.update(Klingon=row["English"]) for row in c],
        r"line 1, id q1: unknown language 'Klingon'; known: ar, ",
    ),
    "no language": (lambda c: (c.clear(), c.append({"id": "q1"})), r"line 1, id q1: no language"),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_names_file_line_id_language_and_remedy(tmp_path: Path, violation: str) -> None:
    spoil, message = VIOLATIONS[violation]
    content = rows()
    spoil(content)
    path = write(tmp_path / "x.jsonl", content)
    with pytest.raises(CrossinError, match=f"^{path}, {message}") as caught:
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
        (["en", "English"], "language en is asked for twice"),
        ([], "no languages"),
    ],
)
def test_languages_asked_for_wrongly(tmp_path: Path, languages: list[str], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        load_file(write(tmp_path / "x.jsonl", rows()), languages=languages)


def spoil_file(path: Path, kind: str) -> Path:
    """Make one of the files that cannot be read; returns its path."""
    whole = write(path / "whole.jsonl", rows()).read_bytes()
    target = path / {"cut gzip": "x.jsonl.gz", "no gzip": "x.jsonl.gz"}.get(kind, "x.jsonl")
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
                "no gzip": whole,
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
        ("key twice", r", line 1: key 'en' stands twice in one object"),
        ("nested", r", line 1: not JSON \(nested too deep\)"),
        ("cut gzip", r": damaged or cut short gzip file"),
        ("no gzip", r": damaged or cut short gzip file"),
        ("cut parquet", r": not a Parquet file, or cut short"),
        ("no parquet", r": not a Parquet file, or cut short"),
        ("empty parquet", r": empty"),
        ("directory", r": is a directory, not a file"),
        ("missing", r": no such file"),
        ("no array", r": must hold a JSON array"),
        ("unknown ending", r": unknown kind of file; a parallel set ends in .jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_clear_message(tmp_path: Path, kind: str, message: str) -> None:
    path = spoil_file(tmp_path, kind)
    with pytest.raises(CrossinError, match=f"^{path}{message}") as caught:
        load_file(path)
    assert "\n" not in str(caught.value)


# --- hash, selection, writing ----------------------------------------------------------------------------------


def test_hash_is_of_the_content_alone(tmp_path: Path) -> None:
    data = load_file(write(tmp_path / "x.jsonl", rows()))
    assert data.hash == "1dc9b31a41d4"  # fixed: the hash stands in published signatures
    by_code = [{LANGUAGE_CODES.get(key, key): value for key, value in reversed(list(row.items()))} for row in rows()]
    for row in by_code:
        for value in row.values():
            if isinstance(value, dict):
                value["choices"] = [text[4:] for text in value["choices"]]
                value["answer"] = value["answer"][4:]
    assert load_file(write(tmp_path / "y.jsonl", by_code), name="other").hash == data.hash
    (tmp_path / "z.json").write_text(json.dumps(rows(), indent=1), encoding="utf-8")
    assert load_file(tmp_path / "z.json").hash == data.hash


LANGUAGE_CODES = {"English": "en", "Chinese": "zh", "Indonesian": "ind"}


@pytest.mark.parametrize(
    "spoil",
    [
        change("Chinese", question="谁呢？"),
        change("Chinese", context="安跑步了。"),
        change("Chinese", choices=["(A) 鲍伯", "(B) 安"]),
        lambda c: c[1].update(id="q3"),
        lambda c: c.reverse(),
    ],
)
def test_hash_changes_with_the_content(tmp_path: Path, spoil: Callable[[list[dict[str, Any]]], None]) -> None:
    content = rows()
    spoil(content)
    assert load_file(write(tmp_path / "x.jsonl", content)).hash != "1dc9b31a41d4"


def test_select(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", rows())
    data = load_file(path)
    part = data.select(["Chinese", "en"])
    assert part.languages == ("zh", "en")
    assert part.items["zh"] == data.items["zh"]
    assert (part.ids, part.gold, part.groups) == (data.ids, data.gold, data.groups)
    assert part.hash == data.select(["en", "zh"]).hash == load_file(path, languages=["en", "zh"]).hash != data.hash
    with pytest.raises(CrossinError, match="x: no language es; it has en, zh, id"):
        data.select(["en", "es"])


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("name", ["cross_mmlu", "cross_logiqa"])
def test_real_sets_survive_a_round_trip(shared: Path, tmp_path: Path, name: str, ending: str) -> None:
    data = load_parallel(name, data_dir=shared / "data" / "seaeval")
    path = tmp_path / "sub" / f"{name}{ending}"
    write_parallel(data, path)
    back = load_parallel(name, data_dir=path.parent)
    assert (back.hash, back.ids, back.items, back.gold, back.groups) == (
        data.hash,
        data.ids,
        data.items,
        data.gold,
        data.groups,
    )
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    first = path.read_bytes()
    write_parallel(data, path)
    assert path.read_bytes() == first


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).map(str.strip).filter(bool)


@st.composite
def parallel_sets(draw: st.DrawFn) -> ParallelMCQ:
    languages = tuple(draw(st.lists(st.sampled_from(sorted(LANGUAGES)), min_size=1, max_size=4, unique=True)))
    ids = tuple(draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)))
    items: dict[str, list[Item]] = {code: [] for code in languages}
    gold = []
    for _ in ids:
        n_choices = draw(st.integers(2, 5))
        with_context = draw(st.booleans())
        gold.append(draw(st.integers(0, n_choices - 1)))
        for code in languages:
            choices = draw(
                st.lists(
                    WORDS.filter(lambda w: not w.startswith("(")), min_size=n_choices, max_size=n_choices, unique=True
                )
            )
            items[code].append(Item(draw(WORDS) if with_context else None, draw(WORDS), tuple(choices)))
    return ParallelMCQ("x", languages, ids, {c: tuple(v) for c, v in items.items()}, tuple(gold), ids, "made")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=parallel_sets(), ending=st.sampled_from([".jsonl", ".jsonl.gz", ".parquet"]))
def test_any_set_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: ParallelMCQ, ending: str
) -> None:
    path = tmp_path_factory.mktemp("set") / f"x{ending}"
    write_parallel(data, path)
    back = load_file(path)
    assert set(back.languages) == set(data.languages)
    assert (back.ids, back.items, back.gold, back.hash) == (data.ids, data.items, data.gold, data.hash)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_file(write(tmp_path / "x.jsonl", rows()))
    target = tmp_path / "out" / "y.jsonl"
    write_parallel(data.select(["en"]), target)
    before = target.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CrossinError, match=f"^{target}: cannot be written .No space left on device.$"):
        write_parallel(data, target)
    assert [path.name for path in target.parent.iterdir()] == ["y.jsonl"]
    assert target.read_bytes() == before
    with pytest.raises(CrossinError, match=r"z.csv: cannot be written; a parallel set ends in .jsonl"):
        write_parallel(data, tmp_path / "z.csv")
    with pytest.raises(CrossinError, match="cannot be written"):
        write_parallel(data, target / "below_a_file.jsonl")


def test_parts_that_do_not_fit_together_are_refused() -> None:
    item = Item(None, "?", ("a", "b"))
    good: dict[str, Any] = {
        "name": "x",
        "languages": ("en",),
        "ids": ("1",),
        "items": {"en": (item,)},
        "gold": (0,),
        "groups": ("1",),
        "source": "made",
    }
    assert len(ParallelMCQ(**good)) == 1
    for field, value, message in [
        ("gold", (2,), "id 1: gold index 2"),
        ("gold", (0, 1), "differ in length"),
        ("ids", (), "no questions"),
        ("languages", ("en", "zh"), "are not those of the items"),
    ]:
        with pytest.raises(CrossinError, match=message):
            ParallelMCQ(**{**good, field: value})


# --- where a set is looked for ---------------------------------------------------------------------------------


def test_data_dir_comes_before_the_variable_and_the_variable_before_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROSSIN_DATA_DIR", raising=False)
    (one := tmp_path / "one").mkdir()
    (two := tmp_path / "two").mkdir()
    write(one / "crossin_mini.jsonl", rows()[:1])
    write(two / "crossin_mini.jsonl", rows())
    assert len(load_parallel("crossin_mini")) == 32
    monkeypatch.setenv("CROSSIN_DATA_DIR", str(one))
    assert len(load_parallel("crossin_mini")) == 1
    assert len(load_parallel("crossin_mini", data_dir=two)) == 2
    monkeypatch.setenv("CROSSIN_DATA_DIR", "")
    assert load_parallel("crossin_mini").source == "packaged:crossin_mini"


def test_a_packaged_set_does_not_need_the_folder_to_have_it(tmp_path: Path) -> None:
    assert load_parallel("crossin_mini", data_dir=tmp_path).source == "packaged:crossin_mini"


@pytest.mark.parametrize("place", ["s.jsonl", "s/s.jsonl", "s/test.jsonl", "seaeval/s.jsonl"])
def test_files_and_sub_folders_are_found(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    write(tmp_path / place, rows())
    assert load_parallel("s", data_dir=tmp_path).ids == ("q1", "q2")
    assert load_parallel("s", data_dir=tmp_path / place).ids == ("q1", "q2")


def test_two_sub_folders_with_one_set_are_ambiguous(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "s.jsonl", rows())
    with pytest.raises(CrossinError, match=r"set 's' is in several sub-folders \(a, b\); name one of them"):
        load_parallel("s", data_dir=tmp_path)


def test_a_folder_without_the_set_lists_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "other.jsonl", rows())
    (tmp_path / "sub").mkdir()
    with pytest.raises(CrossinError, match=r"no set 'cross_mmlu' in it .*; there is: other.jsonl, sub/$"):
        load_parallel("cross_mmlu", data_dir=tmp_path)
    with pytest.raises(CrossinError, match=r"there is: nothing$"):
        load_parallel("cross_mmlu", data_dir=tmp_path / "sub")
    with pytest.raises(CrossinError, match=r"nowhere: no such folder; name the one that holds cross_mmlu.jsonl"):
        load_parallel("cross_mmlu", data_dir=tmp_path / "nowhere")


def test_an_unknown_name_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSIN_DATA_DIR", raising=False)
    with pytest.raises(
        CrossinError, match="unknown parallel set 'cros_mmlu'; known: crossin_mini, cross_xquad, cross_mmlu"
    ):
        load_parallel("cros_mmlu")
    for name in ("", "../cross_mmlu", "**", "a/b"):
        with pytest.raises(CrossinError, match="is no set's name"):
            load_parallel(name, data_dir=".")


# --- the hub's own client against a hub on this machine -----------------------------------------------------------

LOAD = """
import sys
from crossin_metrics.errors import CrossinError
from crossin_metrics.parallel import load_parallel
for revision in sys.argv[1:] or [None]:
    try:
        data = load_parallel("cross_mmlu", languages=["en", "id"], revision=revision)
        print(data.hash, data.source)
    except CrossinError as error:
        print("error:", error)
"""


def load_from(url: str, cache: Path, repo: Path, *revisions: str, **environment: str) -> str:
    """What a fresh process prints, a line per revision: the hub's libraries read their settings once, at import."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CROSSIN_"))}
    env |= {"HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *revisions],
        cwd=repo,
        env={**env, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


README = b"---\nconfigs:\n- config_name: cross_mmlu\n  data_files:\n  - split: test\n    path: cross_mmlu.json\n---\n"


def test_hub_then_cache_then_nothing(tmp_path: Path, repo: Path) -> None:
    expected = load_file(write(tmp_path / "x.jsonl", rows()), languages=["en", "id"]).hash
    source = f"hub:SeaEval/SeaEval_datasets/cross_mmlu@{COMMIT}"
    content = (tmp_path / "x.jsonl").read_bytes()
    with FakeHub({"SeaEval/SeaEval_datasets": {"README.md": README, "cross_mmlu.json": content}}) as hub:
        named, refused = load_from(hub.url, tmp_path / "cache", repo, COMMIT, "no_such_revision").splitlines()
        hub.broken = True
        assert load_from(hub.url, tmp_path / "cache", repo) == f"{expected} {source}"
    assert named == f"{expected} {source}"
    assert refused.startswith("error: cannot get the data from the hub")
    assert "RevisionNotFound" in refused
    # The hub is gone: the cache serves the commit it holds, and no other.
    cached, other = load_from(hub.url, tmp_path / "cache", repo, COMMIT, "beef").splitlines()
    assert cached == f"{expected} {source}"
    assert f"the cache has {COMMIT}, which cannot be told to be beef" in other
    assert load_from("https://huggingface.co", tmp_path / "cache", repo, HF_HUB_OFFLINE="1") == f"{expected} {source}"


def test_the_older_repository_is_the_fallback(tmp_path: Path, repo: Path) -> None:
    expected = load_file(write(tmp_path / "x.jsonl", rows()), languages=["en", "id"]).hash
    with FakeHub({"SeaEval/cross_mmlu": {"test.jsonl": (tmp_path / "x.jsonl").read_bytes()}}) as hub:
        printed = load_from(hub.url, tmp_path / "cache", repo)
    assert printed == f"{expected} hub:SeaEval/cross_mmlu@{COMMIT}"


def test_an_unreachable_hub_is_one_quick_message(tmp_path: Path, repo: Path) -> None:
    started = time.monotonic()
    printed = load_from("http://127.0.0.1:9", tmp_path / "cache", repo)  # the discard port: nothing listens
    assert time.monotonic() - started < 20  # the client's own retries alone take 23 s
    assert printed.startswith("error: cannot get the data from the hub or its local cache (no answer from http://127.")
    assert "data_dir or CROSSIN_DATA_DIR" in printed
    assert "HF_HUB_OFFLINE=1" in printed
    assert "\n" not in printed


def test_a_data_set_with_a_loading_script_is_not_run(tmp_path: Path, repo: Path) -> None:
    script = f"open({str(tmp_path / 'was_run')!r}, 'w')\n".encode()
    with FakeHub({"SeaEval/SeaEval_datasets": {"SeaEval_datasets.py": script}}) as hub:
        printed = load_from(hub.url, tmp_path / "cache", repo)
    assert printed.startswith("error: cannot get the data from the hub")
    assert not (tmp_path / "was_run").exists()
