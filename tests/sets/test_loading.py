"""Parallel sets: the real files, hash and selection, round trips, where sets are looked for."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.sets.loading import load_file, load_parallel
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ, write_parallel
from tests.sets.parallel_cases import change, rows, write

ALL = ("en", "zh", "vi", "es", "id", "ms", "fil")


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
    with pytest.raises(CrossinError, match=f"^cannot write {target}: No space left on device$"):
        write_parallel(data, target)
    assert [path.name for path in target.parent.iterdir()] == ["y.jsonl"]
    assert target.read_bytes() == before
    with pytest.raises(CrossinError, match=r"z.csv: cannot be written; a parallel set ends in .jsonl"):
        write_parallel(data, tmp_path / "z.csv")
    with pytest.raises(CrossinError, match="cannot write"):
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
    with pytest.raises(CrossinError, match=r"set 's' is in several sub-folders \(a, b\); use one of them"):
        load_parallel("s", data_dir=tmp_path)


def test_a_folder_without_the_set_lists_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "other.jsonl", rows())
    (tmp_path / "sub").mkdir()
    with pytest.raises(CrossinError, match=r"cross_mmlu.jsonl not found .* holds: other.jsonl, sub/$"):
        load_parallel("cross_mmlu", data_dir=tmp_path)
    with pytest.raises(CrossinError, match=r"holds: nothing$"):
        load_parallel("cross_mmlu", data_dir=tmp_path / "sub")
    with pytest.raises(CrossinError, match=r"nowhere: no such folder; .* must be the folder with cross_mmlu.jsonl"):
        load_parallel("cross_mmlu", data_dir=tmp_path / "nowhere")


def test_an_unknown_name_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSIN_DATA_DIR", raising=False)
    with pytest.raises(
        CrossinError, match="unknown parallel set 'cros_mmlu'; known: crossin_mini, cross_xquad, cross_mmlu"
    ):
        load_parallel("cros_mmlu")
    for name in ("", "../cross_mmlu", "**", "a/b"):
        with pytest.raises(CrossinError, match="is not a set name"):
            load_parallel(name, data_dir=".")
