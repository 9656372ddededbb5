"""`cross_xquad_spans` on the real XQuAD, and on small files that are wrong or come from the hub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_file, load_parallel
from crossin_metrics.sets.parallel_set import ParallelMCQ, write_parallel
from crossin_metrics.sets.spans import SpansReport, cross_xquad_spans, normalise
from crossin_metrics.sets.xquad import XQUAD_LANGUAGES, XQuAD, article_halves, load_xquad
from crossin_metrics.shortcuts.statistics import language_statistics
from tests.helpers.fake_hub import COMMIT, FakeHub

FOUR = ("en", "zh", "vi", "es")


@pytest.fixture(scope="module")
def xquad_folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "xquad"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the checkout: checks on the real XQuAD are left out")
    return folder


@pytest.fixture(scope="module")
def real(xquad_folder: Path) -> tuple[ParallelMCQ, SpansReport]:
    return cross_xquad_spans(data_dir=xquad_folder)


@pytest.fixture(scope="module")
def raw(xquad_folder: Path) -> XQuAD:
    return load_xquad(data_dir=xquad_folder)


# --- the real set ----------------------------------------------------------------------------------------------


def test_size_and_report(real: tuple[ParallelMCQ, SpansReport]) -> None:
    data, report = real
    assert data.languages == XQUAD_LANGUAGES == report.decided_over
    assert report.n_total == 1190
    assert report.n_kept == len(data) == 1190
    assert report.reasons == {}
    assert sum(report.distractors_on_passage.values()) == report.n_kept
    assert report.distractors_on_passage == {3: 759, 2: 300, 1: 91, 0: 40}
    assert len(set(data.groups)) == 240
    assert data.hash == "9b149cbcc53e"  # fixed: the same on every machine; a change is a new version of the task


def test_version_1_stays_loadable(xquad_folder: Path) -> None:
    """The committed mini study was measured on it: its signature names the half's hash."""
    data, report = cross_xquad_spans(data_dir=xquad_folder, distractors="drawn")
    assert data.hash == "32395e502faf"
    assert report.distractors_on_passage[3] == 1064
    options = {"languages": ["en", "es", "vi", "zh"], "articles": "test", "distractors": "drawn"}
    assert load_parallel("cross_xquad_spans", data_dir=xquad_folder.parent, **options).hash == "4abe2c199dee"
    with pytest.raises(CrossinError, match="distractors must be 'kind' or 'drawn'"):
        cross_xquad_spans(data_dir=xquad_folder, distractors="best")


def test_distractors_are_of_the_answers_kind_and_seldom_in_the_question(
    real: tuple[ParallelMCQ, SpansReport], xquad_folder: Path
) -> None:
    old = cross_xquad_spans(data_dir=xquad_folder, distractors="drawn")[0]
    for code in ("en", "vi", "zh"):
        before, now = (language_statistics(data, code) for data in (old, real[0]))
        assert now["kinds"]["gold_alone"] < 0.5 * before["kinds"]["gold_alone"]
        assert now["in_question"]["distractors"] < 0.65 * before["in_question"]["distractors"]


def test_no_option_contains_another_in_any_language(real: tuple[ParallelMCQ, SpansReport]) -> None:
    def fold(text: str) -> str:  # written apart from the code under test
        kept = [
            c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum() or unicodedata.category(c)[0] in "MS"
        ]
        return "".join(kept)

    data, _ = real
    for language in data.languages:
        for identifier, item in zip(data.ids, data.items[language], strict=True):
            folded = [fold(choice) for choice in item.choices]
            assert len(folded) == 4
            for one, other in permutations(folded, 2):
                assert one not in other, (identifier, language, item.choices)


def test_options_are_human_answers_to_other_questions_and_the_same_ones_in_every_language(
    real: tuple[ParallelMCQ, SpansReport], raw: XQuAD
) -> None:
    data, report = real
    passage_of = {q.id: p for p in raw.passages for q in p.questions}
    question_of = {q.id: q for p in raw.passages for q in p.questions}
    on_passage: Counter[int] = Counter()
    for n, identifier in enumerate(data.ids):
        own = passage_of[identifier]
        article = [q for p in raw.passages if p.article == own.article for q in p.questions]
        n_own = 0
        for place in range(4):
            options = {code: data.items[code][n].choices[place] for code in data.languages}
            answered = [q for q in article if all(q.spans[code].answer == options[code] for code in options)]
            assert answered, (identifier, options)  # one human question with this answer in all twelve languages
            if place == data.gold[n]:
                assert question_of[identifier] in answered
                continue
            assert question_of[identifier] not in answered
            for code in data.languages:
                asked = normalise(question_of[identifier].spans[code].question, code)
                assert all(normalise(q.spans[code].question, code) != asked for q in answered)
            n_own += any(passage_of[q.id] is own for q in answered)
        on_passage[n_own] += 1
        for code in data.languages:
            item = data.items[code][n]
            assert item.context == own.contexts[code].strip()
            assert item.question == question_of[identifier].spans[code].question
            assert item.choices[data.gold[n]] in item.context
            assert sum(choice in item.context for choice in item.choices) >= 1 + n_own
    assert on_passage == Counter({k: v for k, v in report.distractors_on_passage.items() if v})


def test_right_options_are_balanced_in_the_whole_and_in_each_half(
    real: tuple[ParallelMCQ, SpansReport], xquad_folder: Path
) -> None:
    halves = [
        cross_xquad_spans(data_dir=xquad_folder, languages=["en"], articles=half)[0] for half in ("train", "test")
    ]
    for data in (real[0], *halves):
        counts = Counter(data.gold)
        assert max(counts.values()) - min(counts[place] for place in range(4)) <= 1
    # And no place can be guessed from the one before: each follows each about equally often.
    steps = Counter(pairwise(real[0].gold))
    assert min(steps[a, b] for a in range(4) for b in range(4)) > 40


def test_the_choice_of_languages_changes_nothing_but_the_languages(
    real: tuple[ParallelMCQ, SpansReport], xquad_folder: Path
) -> None:
    data, report = cross_xquad_spans(data_dir=xquad_folder, languages=["English", "zh", "vi", "es"])
    assert data.languages == FOUR
    assert report == real[1]
    assert data.items == {code: real[0].items[code] for code in FOUR}
    assert (data.ids, data.gold, data.groups) == (real[0].ids, real[0].gold, real[0].groups)
    assert data.hash == real[0].select(FOUR).hash == "9b09727faf90"
    assert load_parallel("cross_xquad_spans", data_dir=xquad_folder.parent, languages=FOUR).hash == data.hash


def test_with_fewer_files_the_choice_is_made_over_those_and_says_so(xquad_folder: Path, tmp_path: Path) -> None:
    for code in FOUR:
        (tmp_path / f"xquad.{code}.json").symlink_to(xquad_folder / f"xquad.{code}.json")
    data, report = cross_xquad_spans(data_dir=tmp_path)
    assert report.decided_over == tuple(sorted(FOUR))
    assert report.n_kept == 1190
    assert data.source == "file:xquad|over:en,es,vi,zh|seed:0|articles:all|distractors:kind"
    with pytest.raises(CrossinError, match=r"XQuAD: no language de; found en, es, vi, zh"):
        cross_xquad_spans(data_dir=tmp_path, languages=["en", "de"])


def test_seed(real: tuple[ParallelMCQ, SpansReport], xquad_folder: Path) -> None:
    again = cross_xquad_spans(data_dir=xquad_folder, seed=0)[0]
    other = cross_xquad_spans(data_dir=xquad_folder, seed=1)[0]
    assert again == real[0]
    assert other.ids == real[0].ids
    assert other.hash != real[0].hash
    same_place = sum(a == b for a, b in zip(other.gold, real[0].gold, strict=True))
    assert 0.18 * 1190 < same_place < 0.32 * 1190  # a quarter by chance, five standard errors to each side


def test_questions_of_a_passage_are_adjacent_and_in_order(real: tuple[ParallelMCQ, SpansReport], raw: XQuAD) -> None:
    data, _ = real
    assert data.ids == tuple(q.id for p in raw.passages for q in p.questions)
    runs = [group for group, after in pairwise((*data.groups, "")) if group != after]
    assert len(runs) == len(set(runs)) == 240


def test_halves_are_disjoint_by_article_and_cut_from_the_whole(
    real: tuple[ParallelMCQ, SpansReport], raw: XQuAD, xquad_folder: Path
) -> None:
    halves = article_halves(raw)
    assert Counter(halves) == {"train": 24, "test": 24}
    train, train_report = cross_xquad_spans(data_dir=xquad_folder, articles="train")
    test, test_report = cross_xquad_spans(data_dir=xquad_folder, articles="test")
    assert not set(train.ids) & set(test.ids)
    assert set(train.ids) | set(test.ids) == set(real[0].ids)
    assert train_report.n_total + test_report.n_total == 1190
    whole = {i: (real[0].items["zh"][n], real[0].gold[n]) for n, i in enumerate(real[0].ids)}
    article_of = {q.id: p.article for p in raw.passages for q in p.questions}
    for half, name in ((train, "train"), (test, "test")):
        for n, identifier in enumerate(half.ids):
            assert (half.items["zh"][n], half.gold[n]) == whole[identifier]
            assert halves[article_of[identifier]] == name
    with pytest.raises(CrossinError, match="articles must be 'train' or 'test'"):
        cross_xquad_spans(data_dir=xquad_folder, articles="dev")


def test_halves_do_not_depend_on_order_or_language(xquad_folder: Path, raw: XQuAD) -> None:
    def by_first_id(data: XQuAD) -> dict[str, str]:
        firsts: dict[int, str] = {}
        for passage in data.passages:
            firsts.setdefault(passage.article, passage.questions[0].id)
        return {firsts[number]: half for number, half in enumerate(article_halves(data))}

    backwards = XQuAD(
        raw.languages,
        tuple(
            type(p)(47 - p.article, p.contexts, p.questions)
            for a in range(47, -1, -1)
            for p in raw.passages
            if p.article == a
        ),
        raw.source,
    )
    assert by_first_id(backwards) == by_first_id(raw) == by_first_id(load_xquad(["de"], data_dir=xquad_folder))


def test_written_and_read_back(real: tuple[ParallelMCQ, SpansReport], tmp_path: Path) -> None:
    data = real[0].select(["en", "hi", "th"])
    write_parallel(data, tmp_path / "cross_xquad_spans.parquet")
    back = load_parallel("cross_xquad_spans", data_dir=tmp_path)
    assert (back.hash, back.groups) == (data.hash, data.groups)


# --- small files -----------------------------------------------------------------------------------------------


def tiny(language: str, n_articles: int = 2) -> dict[str, Any]:
    """A small file in SQuAD format: per article five passages of three questions, answers that are distinct words."""
    articles = []
    for a in range(n_articles):
        paragraphs = []
        for p in range(5):
            words = [f"{language}word{'abcdefghij'[a]}{'abcde'[p]}{'xyz'[q]}" for q in range(3)]
            context = f"In {language}: " + ", ".join(words) + "."
            qas = [
                {
                    "id": f"q{a}{p}{q}",
                    "question": f"{language}? {a}{p}{q}",
                    "answers": [{"text": w, "answer_start": context.index(w)}],
                }
                for q, w in enumerate(words)
            ]
            paragraphs.append({"context": context, "qas": qas})
        articles.append({"title": f"t{a}", "paragraphs": paragraphs})
    return {"version": "1.1", "data": articles}


def write_tiny(folder: Path, spoil: Callable[[dict[str, Any]], Any] | None = None, **kinds: int) -> Path:
    """Write the English and the Chinese file, the second spoilt."""
    for language in ("en", "zh"):
        content = tiny(language, **kinds)
        if spoil is not None and language == "zh":
            spoil(content)
        (folder / f"xquad.{language}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def qas(content: dict[str, Any], article: int = 1, passage: int = 2) -> list[dict[str, Any]]:
    return content["data"][article]["paragraphs"][passage]["qas"]


PLACE = "xquad.zh.json, article 1, passage 2 (from 0): "


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c["data"].pop(), "xquad.zh.json: 1 articles, but 2 in "),
        (lambda c: c["data"][1]["paragraphs"].pop(), "xquad.zh.json, article 1 (from 0): 4 passages, but 5 in "),
        (lambda c: qas(c).pop(), PLACE + "2 questions, but 3 in "),
        (lambda c: qas(c)[1].update(id="other"), PLACE + "id other, but id q121 in "),
        (lambda c: qas(c).reverse(), PLACE + "id q122, but id q120 in "),
        (lambda c: qas(c)[1]["answers"][0].update(text="no"), "id q121: the answer 'no' is not in its passage"),
        (lambda c: qas(c)[1].update(question=" "), "xquad.zh.json, id q121: empty question or answer"),
        (lambda c: qas(c)[1].update(answers=[]), "xquad.zh.json: not in SQuAD format (IndexError"),
        (lambda c: c.pop("data"), "xquad.zh.json: not in SQuAD format (KeyError: 'data')"),
        (lambda c: qas(c)[1].pop("id"), "xquad.zh.json: not in SQuAD format (KeyError: 'id')"),
    ],
)
def test_files_that_are_not_aligned_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(CrossinError, match=re.escape(message)) as caught:
        cross_xquad_spans(data_dir=write_tiny(tmp_path, spoil))
    assert "\n" not in str(caught.value)


def test_other_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=r"no xquad.<language>.json in it or in xquad/; found: nothing"):
        cross_xquad_spans(data_dir=tmp_path)
    with pytest.raises(CrossinError, match="no such folder"):
        cross_xquad_spans(data_dir=tmp_path / "no")
    write_tiny(tmp_path)
    with pytest.raises(CrossinError, match=r"xquad.de.json not found; found en, zh"):
        load_xquad(["en", "de"], data_dir=tmp_path)
    with pytest.raises(CrossinError, match=r"XQuAD has no language id; it has ar, de"):
        load_xquad(["id"], data_dir=tmp_path)
    whole = (tmp_path / "xquad.zh.json").read_text(encoding="utf-8")
    (tmp_path / "xquad.zh.json").write_text(whole[:-50], encoding="utf-8")
    with pytest.raises(CrossinError, match=r"xquad.zh.json, line \d+: not JSON .* cut short"):
        cross_xquad_spans(data_dir=tmp_path)


def test_a_question_with_too_few_distractors_is_counted_and_left_out(tmp_path: Path) -> None:
    def same_answers(
        content: dict[str, Any],
    ) -> None:  # in Chinese, all answers of article 1 but two contain one another
        for p in range(5):
            content["data"][1]["paragraphs"][p]["context"] += " 一二三"
            for q in qas(content, 1, p):
                if q["id"] not in ("q100", "q110"):
                    q["answers"][0].update(text="一二" if q["id"] < "q12" else "二", answer_start=0)

    data, report = cross_xquad_spans(data_dir=write_tiny(tmp_path, same_answers))
    # q100 and q110 find each other and one of the rest: two distractors, one too few; the others find two.
    assert report.n_total == 30
    assert report.n_kept == len(data) == 15
    assert report.reasons == {"fewer than three distractors that go together on the article": 15}
    assert set(report.left_out) == {f"q1{p}{q}" for p in range(5) for q in range(3)}


def test_distractors_come_from_the_article_where_the_passage_has_too_few(tmp_path: Path) -> None:
    data, report = cross_xquad_spans(data_dir=write_tiny(tmp_path))  # three questions a passage: two distractors on it
    assert report.distractors_on_passage == {3: 0, 2: 30, 1: 0, 0: 0}
    for n, item in enumerate(data.items["en"]):
        assert item.context is not None
        assert sum(choice in item.context for choice in item.choices) == 3
        article = "abcdefghij"[int(data.ids[n][1])]
        assert all(choice.startswith(f"enword{article}") for choice in item.choices)


def test_overlapping_spans_are_not_options_of_one_question(tmp_path: Path) -> None:
    def overlap(content: dict[str, Any]) -> None:
        passage = content["data"][0]["paragraphs"][0]
        passage["context"] = "alpha beta gamma delta"
        for q, text in zip(passage["qas"], ["alpha beta", "beta gamma", "delta"], strict=True):
            q["answers"] = [{"text": text, "answer_start": passage["context"].index(text)}]

    data, report = cross_xquad_spans(data_dir=write_tiny(tmp_path, overlap))
    options = {i: data.items["zh"][n].choices for n, i in enumerate(data.ids)}
    assert "beta gamma" not in options["q000"]
    assert "alpha beta" not in options["q001"]
    assert "delta" in options["q000"]
    assert report.distractors_on_passage[1] == 3  # "delta" goes with one of the two only


def test_equal_questions_do_not_lend_each_other_answers(tmp_path: Path) -> None:
    def ask_the_same(content: dict[str, Any]) -> None:
        qas(content, 0, 0)[1]["question"] = qas(content, 0, 0)[0]["question"].upper() + "!"

    data, _ = cross_xquad_spans(data_dir=write_tiny(tmp_path, ask_the_same))
    options = {i: data.items["zh"][n].choices for n, i in enumerate(data.ids)}
    assert "zhwordaay" not in options["q000"]
    assert "zhwordaax" not in options["q001"]


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("The Broncos", "broncos", "en"),
        ("Ｄｅｎｖｅｒ", "denver", "en"),
        ("10,5 %", "105", "es"),
        ("“二十”。", "二十", "zh"),
        ("١٢", "12", "ar"),
        ("STRASSE", "straße", "de"),
        ("e\u0301tude", "étude", "es"),
    ],
)
def test_normalise(one: str, other: str, language: str) -> None:
    assert normalise(one, language) == normalise(other, language)


def test_normalise_keeps_what_differs() -> None:
    assert normalise("−5", "en") != normalise("5", "en")
    assert normalise("theory", "en") == "theory"
    assert normalise("the", "vi") == "the"


SPANS = """
from crossin_metrics.sets.spans import cross_xquad_spans
data, report = cross_xquad_spans(languages=["en", "zh"])
print(data.hash, data.source.partition("|")[0], report.n_kept, len(report.decided_over))
"""


def test_the_hubs_flat_rows_give_the_same_set_as_the_raw_files(tmp_path: Path, repo: Path) -> None:
    files: dict[str, bytes] = {}
    header = "---\nconfigs:\n"
    for code in XQUAD_LANGUAGES:
        content = tiny(code)
        (tmp_path / f"xquad.{code}.json").write_text(json.dumps(content), encoding="utf-8")
        flat = [
            {
                "id": q["id"],
                "context": passage["context"],
                "question": q["question"],
                "answers": {key: [q["answers"][0][key]] for key in ("text", "answer_start")},
            }
            for article in content["data"]
            for passage in article["paragraphs"]
            for q in passage["qas"]
        ]
        files[f"{code}.jsonl"] = "".join(json.dumps(row) + "\n" for row in flat).encode()
        header += f"- config_name: xquad.{code}\n  data_files:\n  - split: validation\n    path: {code}.jsonl\n"
    files["README.md"] = f"{header}---\n".encode()
    expected, _ = cross_xquad_spans(data_dir=tmp_path, languages=["en", "zh"])
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CROSSIN_"))}
    with FakeHub({"google/xquad": files}) as hub:
        env |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SPANS], cwd=repo, env=env, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [expected.hash, f"hub:google/xquad@{COMMIT}", "30", "12"]


def test_a_set_written_under_its_name_is_read_as_a_file(tmp_path: Path) -> None:
    data, _ = cross_xquad_spans(data_dir=write_tiny(tmp_path))
    write_parallel(data, tmp_path / "out" / "cross_xquad_spans.jsonl")
    assert load_parallel("cross_xquad_spans", data_dir=tmp_path / "out").hash == data.hash
    assert load_file(tmp_path / "out" / "cross_xquad_spans.jsonl").items == data.items
