"""Where a build starts from: XQuAD's files, sets of MLQA's shape, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.config import SetOptions
from recipes.cross_xquad.sources import load_source
from recipes.cross_xquad.writing import gold_places
from tests.recipes.cross_xquad.world import LANGUAGES, N_QUESTIONS, squad, write_world

PATTERN = "test-context-{lang}-question-{lang}.json"


def options(folder: Path, **more: Any) -> SetOptions:
    return SetOptions(output_dir="out", data_dir=str(folder), **{"languages": list(LANGUAGES), **more})


def mlqa(folder: Path, change: Callable[[str, dict[str, Any]], None] = lambda language, raw: None) -> SetOptions:
    """The world as MLQA has it: other file names, contexts in another order in each language, some ids in few."""
    for language in LANGUAGES:
        raw = squad(language)
        if language == "zh":
            raw["data"].reverse()
        if language == "vi":
            raw["data"] = [{"title": "all", "paragraphs": [p for a in raw["data"] for p in a["paragraphs"]]}]
        change(language, raw)
        (folder / PATTERN.replace("{lang}", language)).write_text(json.dumps(raw), encoding="utf-8")
    return options(folder, source="squad", source_licence="CC-BY-SA-3.0")


def paragraphs(raw: dict[str, Any]) -> list[dict[str, Any]]:
    return [paragraph for article in raw["data"] for paragraph in article["paragraphs"]]


def test_xquad(tmp_path: Path) -> None:
    source = load_source(options(write_world(tmp_path)))
    assert len(source.questions) == N_QUESTIONS
    assert source.languages == LANGUAGES
    assert source.licence == "CC-BY-SA-4.0"
    for question in source.questions:
        for language in LANGUAGES:
            span = question.spans[language]
            assert question.contexts[language][span.start :].startswith(span.answer)


def test_a_subset_takes_passages_of_many_articles(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    two = load_source(options(folder, passages=2, questions_per_passage=2))
    assert [(question.article, question.passage) for question in two.questions] == [(0, 0), (0, 0), (1, 2), (1, 2)]
    three = load_source(options(folder, passages=3))
    assert sorted({question.passage for question in three.questions}) == [0, 1, 2]
    assert two.sha256() != three.sha256()
    assert len(two.neighbours) == N_QUESTIONS  # the answers of whole articles are known to the checks
    with pytest.raises(CrossinError, match="9 requested, but the source has 4"):
        load_source(options(folder, passages=9))


def test_gold_places_are_balanced_and_seeded(tmp_path: Path) -> None:
    source = load_source(options(write_world(tmp_path)))
    places = gold_places(source, 0)
    counts = [list(places.values()).count(place) for place in range(4)]
    assert max(counts) - min(counts) <= 1
    assert places == gold_places(source, 0)
    assert places != gold_places(source, 1)


def test_real_xquad_in_twelve_languages(shared: Path) -> None:
    languages = ["en", "ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"]
    source = load_source(options(shared / "data", languages=languages))
    assert (len(source.questions), source.left_out) == (1190, {})
    ten = load_source(options(shared / "data", passages=10))
    assert len({question.passage for question in ten.questions}) == 10
    assert len({question.article for question in ten.questions}) == 10
    halves = [load_source(options(shared / "data", articles=half)) for half in ("train", "test")]
    ids = [{question.id for question in half.questions} for half in halves]
    assert len(ids[0] | ids[1]) == 1190
    assert not ids[0] & ids[1]


def test_mlqa_is_joined_on_ids(tmp_path: Path) -> None:
    source = load_source(mlqa(tmp_path))
    world = load_source(options(write_world(tmp_path / "xquad")))
    assert [question.id for question in source.questions] == [question.id for question in world.questions]
    for ours, theirs in zip(source.questions, world.questions, strict=True):
        assert (ours.spans, ours.contexts, ours.passage) == (theirs.spans, theirs.contexts, theirs.passage)


def test_questions_that_a_language_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    def change(language: str, raw: dict[str, Any]) -> None:
        if language == "es":
            del paragraphs(raw)[0]["qas"][0]
        if language in ("es", "zh"):
            paragraphs(raw)[1]["qas"].pop()

    source = load_source(mlqa(tmp_path, change))
    assert len(source.questions) + len(source.left_out) == N_QUESTIONS
    assert "not in es" in source.left_out.values()
    assert all(set(question.spans) == set(LANGUAGES) for question in source.questions)


def other_ids(language: str, raw: dict[str, Any]) -> None:
    for qa in [qa for paragraph in paragraphs(raw) for qa in paragraph["qas"]] if language == "vi" else []:
        qa["id"] += "-vi"


def duplicate_ids(language: str, raw: dict[str, Any]) -> None:
    if language == "zh":
        paragraphs(raw)[0]["qas"] *= 2


def half_a_surrogate_pair(language: str, raw: dict[str, Any]) -> None:
    if language == "vi":
        paragraphs(raw)[0]["qas"][0]["question"] = "Ai \ud83d?"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_ids, "no question id is in all of en, zh, vi, es"),
        (duplicate_ids, r"question-zh\.json, id q.*duplicate id"),
        (half_a_surrogate_pair, r"test-context-vi.*half of a surrogate pair"),
    ],
)
def test_bad_mlqa_files(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(CrossinError, match=words):
        load_source(mlqa(tmp_path, change))


def test_a_language_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=r"xquad\.es\.json not found"):
        load_source(options(write_world(tmp_path, ("en", "zh", "vi"))))
    mine = mlqa(tmp_path)
    (tmp_path / PATTERN.replace("{lang}", "es")).unlink()
    with pytest.raises(CrossinError, match=r"question-es\.json"):
        load_source(mine)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda data: data[1]["paragraphs"].pop(0),
            r"xquad\.vi\.json, article 1 .*: 1 passages, but 2 in .*en\.json",
        ),
        (lambda data: data.reverse(), r"id q2-person, but id q0-person in"),
    ],
)
def test_misaligned_files(tmp_path: Path, change: Any, words: str) -> None:
    path = write_world(tmp_path) / "xquad.vi.json"
    raw = json.loads(path.read_text("utf-8"))
    change(raw["data"])
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(CrossinError, match=words):
        load_source(options(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not in SQuAD format"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "not in SQuAD format"),
        (
            '{"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "?", '
            '"answers": [{"text": "c", "answer_start": 0}]}]}]}]}',
            "the answer 'c' is not in its passage",
        ),
        ("\udcff", "not UTF-8"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, words: str) -> None:
    folder = write_world(tmp_path)
    (folder / "xquad.zh.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CrossinError, match=words) as caught:
        load_source(options(folder))
    assert "xquad.zh.json" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"languages": ["zh", "vi"]}, "must include English"),
        ({"languages": ["en"]}, "one language besides English"),
        ({"languages": ["en", "klingon"]}, "unknown language 'klingon'"),
        ({"languages": ["en", "es", "Spanish"]}, "duplicate language"),
        ({"stages": ["parallel", "publish"]}, "unknown 'publish'"),
        ({"stages": []}, "name at least one"),
        ({"passages": 0}, "must be at least 1"),
        ({"source": "squad"}, "needs data_dir and source_licence"),
        ({"source": "squad", "source_licence": "MIT", "file_pattern": "a.json"}, "has no {lang}"),
        ({"source": "squad", "source_licence": "MIT", "articles": "test"}, "halves of XQuAD"),
    ],
)
def test_wrong_options(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(CrossinError, match=words):
        options(tmp_path, **more)


def test_stages_with_commas_are_put_in_order(tmp_path: Path) -> None:
    assert options(tmp_path, stages=["check,parallel", "distractors"]).stages == ["distractors", "parallel", "check"]
