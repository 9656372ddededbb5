"""Shortcuts: what is planted is found, what is not planted is not; the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_parallel
from crossin_metrics.sets.parallel_set import Item, ParallelMCQ
from crossin_metrics.shortcuts.render import markdown, text, verdict
from crossin_metrics.shortcuts.report import ALL, Report, analyse
from tests.helpers.planted import plain, word

QUICK = 199


def found(report: Report) -> set[tuple[str, str]]:
    return {(test.rule, test.language) for test in report.flagged}


def one(report: Report, rule: str, language: str) -> float:
    (test,) = [test for test in report.tests if (test.rule, test.language) == (rule, language)]
    return test.share


def test_a_longest_option_that_is_right_too_often_is_found_in_every_language() -> None:
    report = analyse(plain(longest=0.8), n_permutations=1999)
    assert {("longest", "en"), ("longest", "es"), ("longest", ALL)} <= found(report)
    assert {("options_only", "en"), ("options_only", "es")} <= found(report)
    assert ("shortest", ALL) in found(report)  # right far too seldom
    assert {rule for rule, _ in found(report)} == {"longest", "shortest", "options_only", "answer_type"}
    assert one(report, "longest", "en") == pytest.approx(0.8, abs=0.1)
    assert one(report, "options_only", "en") == pytest.approx(0.8, abs=0.12)
    agreement = report.agreement["longest"]
    assert agreement["everywhere"] == agreement["acc"] == one(report, "longest", ALL)
    assert agreement["consistency"] == 1.0
    assert agreement["independent"] == pytest.approx(one(report, "longest", "en") ** 2)
    assert report.languages["en"]["length"]["ratio"] > 1.3
    assert "longest above chance (25.0%)" in verdict(report)


def test_an_answer_type_that_the_question_word_tells_is_found() -> None:
    """Every kind is right as often as any other; only the question's word says which."""
    rng = np.random.default_rng(1)
    words, data = {"when": "in 19{:02d}", "who": "Mr Smith{:02d}", "many": "{:02d} tons"}, plain(300, n_choices=3)
    asked = [list(words)[i] for i in rng.integers(0, 3, 300)]

    def item(number: int, code: str) -> Item:
        old = data.items[code][number]
        kinds = [one for one in words if one != asked[number]]
        kinds.insert(data.gold[number], asked[number])
        choices = tuple(words[one].format(int(rng.integers(10, 99))) for one in kinds)
        return Item(old.context, f"{asked[number]} {old.question}", choices)

    items = {code: tuple(item(number, code) for number in range(300)) for code in data.languages}
    report = analyse(replace(data, items=items), n_permutations=1999)
    assert {one.rule for one in report.flagged} == {"answer_type"}
    assert one(report, "answer_type", "en") > 0.95


def test_a_right_option_that_is_never_the_shortest_is_found_below_chance() -> None:
    data = plain(200, longest=1.0)
    report = analyse(data, n_permutations=QUICK)
    (shortest,) = [test for test in report.tests if (test.rule, test.language) == ("shortest", ALL)]
    assert (shortest.share, shortest.flag) == (0.0, "below")


def with_choices(data: ParallelMCQ, change: object) -> ParallelMCQ:
    items = {
        code: tuple(
            change(item, right, code)  # type: ignore[operator]
            for item, right in zip(column, data.gold, strict=True)
        )
        for code, column in data.items.items()
    }
    return replace(data, items=items)


def test_words_of_the_question_in_the_right_option_are_found() -> None:
    def change(item: Item, right: int, code: str) -> Item:
        choices = list(item.choices)
        choices[right] = " ".join(item.question.rstrip("?").split()[: len(choices[right].split())])
        return replace(item, choices=tuple(choices))

    report = analyse(with_choices(plain(), change), n_permutations=QUICK)
    assert ("question_overlap", "en") in found(report)
    assert one(report, "question_overlap", "en") > 0.95


def test_an_option_that_alone_is_in_the_passage_is_found_and_called_reading() -> None:
    def change(item: Item, right: int, code: str) -> Item:
        return replace(item, context=f"{item.context} {item.choices[right]}")

    report = analyse(with_choices(plain(), change), n_permutations=QUICK)
    assert ("in_passage", ALL) in found(report)
    assert all(test.reads_passage for test in report.flagged)
    assert "No rule without the passage" in verdict(report)
    assert "Shallow reading of the passage: in_passage" in verdict(report)
    share = report.languages["en"]["in_passage"]
    assert (share["gold"], share["n_questions"]) == (1.0, 120)
    assert share["distractors"] < 0.2


def test_the_sentence_closest_to_the_question_is_found() -> None:
    def change(item: Item, right: int, code: str) -> Item:
        said = item.question.rstrip("?")
        return replace(item, context=f"{item.context} Some {said} {item.choices[right]}. Bo {item.choices[right - 1]}.")

    report = analyse(with_choices(plain(), change), n_permutations=QUICK)
    assert one(report, "passage_sentence", "en") > 0.9
    assert ("passage_sentence", "en") in found(report)


def test_a_place_and_a_kind_are_found_where_they_are_learned() -> None:
    rng = np.random.default_rng(1)
    data = plain(150)
    gold = tuple(2 if rng.random() < 0.6 else right for right in data.gold)
    report = analyse(replace(data, gold=gold), n_permutations=1999)
    assert {("place", ""), ("always_C", "")} <= found(report)
    assert one(report, "place", "") == one(report, "always_C", "")

    def change(item: Item, right: int, code: str) -> Item:
        choices = [f"{n + 3} {item.choices[n]}" if n == right else item.choices[n] for n in range(4)]
        return replace(item, choices=tuple(choices))

    report = analyse(with_choices(data, change), n_permutations=1999)
    assert {("kind", "en"), ("kind", "es")} <= found(report)
    assert one(report, "kind", "en") == 1.0
    assert report.languages["en"]["kinds"]["gold"]["number"] == 1.0
    assert report.languages["en"]["kinds"]["gold_alone"] == 1.0


def test_an_artefact_of_one_language_is_found_there_alone() -> None:
    def change(item: Item, right: int, code: str) -> Item:
        if code != "es":
            return item
        choices = [text + " bababa" * 3 if n == right else text for n, text in enumerate(item.choices)]
        return replace(item, choices=tuple(choices))

    report = analyse(with_choices(plain(languages=("en", "es", "vi"), seed=1), change), n_permutations=QUICK)
    assert ("longest", "es") in found(report)
    assert not {("longest", "en"), ("longest", "vi")} & found(report)


@pytest.mark.slow
def test_sets_without_artefacts_are_flagged_no_more_often_than_the_level() -> None:
    small: dict[tuple[str, str], int] = {}
    n_flagged = 0
    for seed in range(100):
        report = analyse(plain(36, seed=seed), n_permutations=499, level=0.1)
        n_flagged += bool(report.flagged)
        for test in report.tests:
            small[test.rule, test.language] = small.get((test.rule, test.language), 0) + (test.p_value <= 0.1)
    # P(more than 18 of 100) is below 1 in 200 at a true rate of 0.1
    assert n_flagged <= 18
    # and P-values of each rule are uniform or larger: P(more than 22 of 100) is below 1 in 10,000; there are 26
    assert len(small) == 5 * 3 + 4 + 1 + 3 * 2
    assert max(small.values()) <= 22, small


def test_passages_whose_questions_share_their_options_do_not_mislead() -> None:
    rng = np.random.default_rng(5)
    flagged = 0
    for _ in range(40):  # as in cross_xquad_spans: each option is right in one of four questions of a passage
        rows, gold, groups = [], [], []
        for passage in range(12):
            options = [" ".join(word(rng) for _ in range(n)) for n in rng.permutation([1, 2, 4, 7])]
            for right in rng.permutation(4):
                rows.append(Item("A passage.", f"{word(rng)}?", tuple(options)))
                gold.append(int(right))
                groups.append(str(passage))
        ids = tuple(map(str, range(48)))
        data = ParallelMCQ("shared", ("en",), ids, {"en": tuple(rows)}, tuple(gold), tuple(groups), "test")
        flagged += bool(analyse(data, n_permutations=999).flagged)
    assert flagged <= 6  # P(more than 6 of 40) is below 1 in 200 at 0.05


def test_questions_with_different_numbers_of_options() -> None:
    rng = np.random.default_rng(2)
    rows, gold = [], []
    for number in range(60):
        n = 2 + number % 3
        choices = [" ".join(word(rng) for _ in range(k + 1)) for k in rng.permutation(n)]
        rows.append(Item(None, f"{word(rng)}?", tuple(choices)))
        gold.append(int(np.argmax([len(c) for c in choices])))
    ids = tuple(map(str, range(60)))
    report = analyse(ParallelMCQ("odd", ("en",), ids, {"en": tuple(rows)}, tuple(gold), ids, "test"))
    chance = np.mean([1 / 2, 1 / 3, 1 / 4])
    assert [t.chance for t in report.tests if t.rule == "longest"] == [pytest.approx(chance)]
    assert [t.n for t in report.tests if t.rule == "always_D"] == [20]
    assert {("longest", "en"), ("options_only", "en")} <= found(report)
    assert one(report, "options_only", "en") > 0.9


def test_a_report_is_the_same_every_time_and_json() -> None:
    data = plain(40)
    first, second = analyse(data, n_permutations=99), analyse(data, n_permutations=99)
    as_json = json.dumps(first.to_json(), allow_nan=False)
    assert as_json == json.dumps(second.to_json(), allow_nan=False)
    assert json.loads(as_json)["data"]["hash"] == data.hash
    assert markdown(first) == markdown(second)
    for test in first.tests:
        assert 0 <= test.low <= test.share <= test.high <= 1
        assert 0 < test.p_value <= test.p_holm <= 1


def test_small_sets_are_reported_as_far_as_they_go() -> None:
    whole = plain(4)
    report = analyse(whole, n_permutations=99)
    assert any("nothing is learned from 2 passages" in note for note in report.notes)
    items = {code: column[:1] for code, column in whole.items.items()}
    single = ParallelMCQ("one", whole.languages, whole.ids[:1], items, whole.gold[:1], whole.groups[:1], "test")
    assert analyse(single, n_permutations=99).flagged == ()
    alone = analyse(whole.select(["es"]), n_permutations=99)
    assert alone.agreement == {}
    assert "all" not in {test.language for test in alone.tests}
    assert text(alone)
    assert markdown(alone)


def test_what_the_page_shows() -> None:
    data = replace(plain(60, longest=0.9), name="<b>set</b>", source="file:x|y*.jsonl")
    report = analyse(data, n_permutations=999)
    page = markdown(report, figure="plot.png")
    assert "&lt;b&gt;set&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "![Share of questions each rule answers](plot.png)" in page
    lines = [line for line in page.splitlines() if line.startswith("| longest")]
    assert len(lines) == 3 + 3  # rules, descriptions, agreement; and a line per test
    assert lines[0].count("\\*") == 3
    tables = [part for part in page.split("\n\n") if part.startswith("|")]
    assert len(tables) == 5
    for table in tables:  # as many cells in each line
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "(chance)" in text(report)
    assert "*: not chance" in text(report)


def test_bad_settings_are_refused() -> None:
    data = plain(10)
    for settings_ in ({"level": 0.0}, {"level": 1.0}, {"n_permutations": 10}, {"limit": 0}):
        with pytest.raises(CrossinError, match="permutations 99 or more"):
            analyse(data, **settings_)


def test_the_packaged_set_gives_nothing_away() -> None:
    report = analyse(load_parallel("crossin_mini"), n_permutations=999)
    assert [test for test in report.flagged if not test.reads_passage] == []
    assert set(report.data["gold_places"].values()) == {8}


def test_the_spans_give_nothing_away_and_are_read_shallowly(shared: object) -> None:
    from crossin_metrics.sets.spans import cross_xquad_spans

    data, _ = cross_xquad_spans(languages=["en", "zh"], data_dir=f"{shared}/data")
    report = analyse(data, n_permutations=1999)
    assert {test.rule for test in report.flagged} == {"passage_sentence", "in_passage"}
    assert one(report, "passage_sentence", "en") == pytest.approx(0.62, abs=0.005)
    assert one(report, "answer_type", "en") == pytest.approx(0.285, abs=0.01)
    assert report.languages["en"]["in_passage"]["gold"] == 1.0
    first, _ = cross_xquad_spans(languages=["en"], data_dir=f"{shared}/data", distractors="drawn")
    report = analyse(first, n_permutations=1999)
    assert {test.rule for test in report.flagged} == {"passage_sentence", "answer_type"}
    assert one(report, "answer_type", "en") == pytest.approx(0.37, abs=0.01)
