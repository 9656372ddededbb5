"""Artefacts: what is planted is found, what is not planted is not; the statistics behind."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_parallel
from crossin_metrics.sets.parallel_set import ParallelMCQ
from crossin_metrics.sets.schema import Item
from crossin_metrics.shortcuts.chance import clustered, distribution, p_value, pooled_p_value, wilson
from crossin_metrics.shortcuts.learned import folds_of, learn
from crossin_metrics.shortcuts.render import escape, markdown, text, verdict
from crossin_metrics.shortcuts.report import ALL, Report, analyse
from crossin_metrics.shortcuts.rules import RULES, best, picks
from crossin_metrics.shortcuts.statistics import language_statistics, set_statistics
from crossin_metrics.shortcuts.texts import closest_sentence, kind, sentences, share_in, tokens
from tests.helpers.planted import plain, word

QUICK = 199


def found(report: Report) -> set[tuple[str, str]]:
    return {(test.rule, test.language) for test in report.flagged}


def one(report: Report, rule: str, language: str) -> float:
    (test,) = [test for test in report.tests if (test.rule, test.language) == (rule, language)]
    return test.share


# -- planted artefacts ------------------------------------------------------------------------------------------------


def test_a_longest_option_that_is_right_too_often_is_found_in_every_language() -> None:
    report = analyse(plain(longest=0.8), n_permutations=1999)
    assert {("longest", "en"), ("longest", "es"), ("longest", ALL)} <= found(report)
    assert {("options_only", "en"), ("options_only", "es")} <= found(report)
    assert ("shortest", ALL) in found(report)  # right far too seldom
    assert {rule for rule, _ in found(report)} == {"longest", "shortest", "options_only"}
    assert one(report, "longest", "en") == pytest.approx(0.8, abs=0.1)
    assert one(report, "options_only", "en") == pytest.approx(0.8, abs=0.12)
    agreement = report.agreement["longest"]
    assert agreement["everywhere"] == agreement["acc"] == one(report, "longest", ALL)
    assert agreement["consistency"] == 1.0
    assert agreement["independent"] == pytest.approx(one(report, "longest", "en") ** 2)
    assert report.languages["en"]["length"]["ratio"] > 1.3
    assert "longest above chance (25.0%)" in verdict(report)


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


# -- no artefact ------------------------------------------------------------------------------------------------------


def test_sets_without_artefacts_are_flagged_no_more_often_than_the_level() -> None:
    n_sets = 100
    flagged = sum(bool(analyse(plain(48, seed=seed), n_permutations=999, level=0.1).flagged) for seed in range(n_sets))
    # P(more than 18 of 100) is below 1 in 200 at a true rate of 0.1
    assert flagged <= 18


def test_p_values_of_every_kind_of_rule_are_uniform_or_larger() -> None:
    small: dict[tuple[str, str], int] = {}
    n_sets = 100
    for seed in range(n_sets):
        for test in analyse(plain(30, seed=1000 + seed), n_permutations=99).tests:
            small[test.rule, test.language] = small.get((test.rule, test.language), 0) + (test.p_value <= 0.1)
    assert len(small) == 5 * 3 + 4 + 1 + 2 * 2
    # P(more than 22 of 100) is below 1 in 10,000 at 0.1; there are 24 of them
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


# -- chance -----------------------------------------------------------------------------------------------------------


def test_exact_tails_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    weights = distribution([0.25] * 40)
    for hits in range(41):
        upper = stats.binomtest(hits, 40, 0.25, alternative="greater").pvalue
        lower = stats.binomtest(hits, 40, 0.25, alternative="less").pvalue
        assert p_value(hits, weights) == pytest.approx(min(1.0, 2 * min(upper, lower)), rel=1e-9)
        assert p_value(hits, weights, two_sided=False) == pytest.approx(upper, rel=1e-9)
        interval = stats.binomtest(hits, 40).proportion_ci(method="wilson")
        assert wilson(hits, 40) == pytest.approx((interval.low, interval.high), abs=1e-12)
    far = stats.binom.sf(699, 1190, 0.25)
    assert p_value(700, distribution([0.25] * 1190)) == pytest.approx(2 * far, rel=1e-6)


@given(st.lists(st.floats(0, 1), max_size=7))
@settings(max_examples=50, deadline=None)
def test_the_distribution_of_hits_is_that_of_all_outcomes(probabilities: list[float]) -> None:
    wanted = np.zeros(len(probabilities) + 1)
    for outcome in product((0, 1), repeat=len(probabilities)):
        wanted[sum(outcome)] += math.prod(p if hit else 1 - p for hit, p in zip(outcome, probabilities, strict=True))
    assert distribution(probabilities) == pytest.approx(wanted)


def test_the_pooled_test_is_that_of_all_right_options() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([2, 3, 4, 4, 2])
    picked = np.stack([rng.integers(0, counts) for _ in range(3)], axis=1)
    wanted = np.zeros(16)
    for right in product(*(range(n) for n in counts)):
        wanted[(picked == np.array(right)[:, None]).sum()] += 1
    for hits in range(16):
        assert pooled_p_value(hits, picked, counts) == pytest.approx(p_value(hits, wanted / wanted.sum()))


def test_the_pooled_test_of_a_large_set_is_close_to_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    counts = np.full(600, 4)
    picked = np.repeat(rng.integers(0, 4, (600, 1)), 3, axis=1)
    picked[:, 2] = rng.integers(0, 4, 600)
    exact = [pooled_p_value(hits, picked, counts) for hits in range(380, 521, 20)]
    monkeypatch.setattr("crossin_metrics.shortcuts.chance.LARGE", 0)
    close = [pooled_p_value(hits, picked, counts) for hits in range(380, 521, 20)]
    assert close == pytest.approx(exact, abs=0.03)
    assert min(exact) < 0.01
    assert pooled_p_value(0, np.zeros((5, 2), dtype=np.int64), np.ones(5, dtype=np.int64)) == 1.0


def test_edges_of_intervals() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert clustered(np.array([0.5])) == (0.0, 1.0)
    assert clustered(np.array([1.0, 1.0, 1.0])) == (1.0, 1.0)


# -- learned rules ----------------------------------------------------------------------------------------------------


def test_folds_hold_whole_groups_of_similar_size() -> None:
    groups = [f"g{n}" for n in range(30) for _ in range(n % 4 + 1)]
    folds = folds_of(groups)
    assert len(np.unique(folds)) == 10
    assert all(len({f for g, f in zip(groups, folds, strict=True) if g == group}) == 1 for group in groups)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 4
    assert (folds_of(groups) == folds).all()
    assert len(np.unique(folds_of(["a", "a", "b"]))) == 2


def test_the_right_options_of_a_fold_do_not_decide_its_picks() -> None:
    rng = np.random.default_rng(3)
    counts = np.full(60, 4)
    features = rng.normal(size=(60, 4, 3))
    gold = features[:, :, 0].argmax(axis=1)
    folds = np.arange(60) % 5
    first = learn(features, counts, gold, folds, n_permutations=99, seed=(0,))
    assert first.hits >= 55
    assert first.p_value == 0.01  # none of 99 draws as good
    changed = np.where(folds == 2, (gold + 1) % 4, gold)
    second = learn(features, counts, changed, folds, n_permutations=99, seed=(0,))
    assert (first.picks[folds == 2] == second.picks[folds == 2]).all()


def test_a_permutation_test_that_ends_early_says_the_same() -> None:
    rng = np.random.default_rng(4)
    features, gold, counts = rng.normal(size=(40, 4, 2)), rng.integers(0, 4, 40), np.full(40, 4)
    folds = np.arange(40) % 4
    short = learn(features, counts, gold, folds, n_permutations=499, seed=(1,))
    picks = [
        learn(features, counts, rng.integers(0, 4, 40), folds, n_permutations=1, seed=(1,)).hits >= short.hits
        for _ in range(300)
    ]
    assert short.p_value == pytest.approx(np.mean(picks), abs=0.2)


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


# -- rules ------------------------------------------------------------------------------------------------------------


def test_ties_are_guesses_that_differ_between_languages_and_stay_the_same() -> None:
    data = plain(400, languages=("en", "es"))
    same = {c: tuple(replace(item, choices=("a", "b", "c", "d")) for item in col) for c, col in data.items.items()}
    data = replace(data, items=same)
    numbers = np.arange(400)
    first = {code: picks(RULES[0], data, code, numbers) for code in data.languages}
    assert (picks(RULES[0], data, "en", numbers) == first["en"]).all()
    assert np.bincount(first["en"]).min() > 70
    assert 0.15 < (first["en"] == first["es"]).mean() < 0.35
    assert best([1.0, 3.0, 3.0, 2.0], "key") in (1, 2)


def test_questions_without_a_passage_are_left_out_of_the_rules_that_read_it() -> None:
    data = plain(60)
    mixed = {
        code: tuple(replace(item, context=None) if n % 3 else item for n, item in enumerate(column))
        for code, column in data.items.items()
    }
    report = analyse(replace(data, items=mixed), n_permutations=99)
    assert {t.n for t in report.tests if t.reads_passage and t.language == "en"} == {20}
    assert report.languages["en"]["in_passage"]["n_questions"] == 20
    none = analyse(plain(60, passage=False), n_permutations=99)
    assert not [test for test in none.tests if test.reads_passage]
    assert none.languages["en"]["in_passage"] is None


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        *[(text, "date") for text in ("1066", "20 de enero", "1953年", "ngày 7 tháng 2", "1960s", "٢٠٠٦", "5 мая")],
        *[(text, "number") for text in ("308", "12%", "1,500", "27 टचडाउन", "二十", "15 million", "2 000")],
        *[(text, "name") for text in ("Denver Broncos", "University of Oxford", "Đà Nẵng", "Мартин Лютер")],
        *[(text, "phrase") for text in ("in the middle", "marched", "三个月前的船", "القرن العاشر", "A large boat")],
    ],
)  # fmt: skip
def test_kinds(option: str, wanted: str) -> None:
    assert kind(option) == wanted


def test_tokens_and_sentences_of_many_scripts() -> None:
    assert tokens("The Mill's 2nd wheel") == ("the", "mill", "s", "2nd", "wheel")
    assert tokens("水车在河边") == ("水车", "车在", "在河", "河边")
    assert tokens("1953年的NFL") == ("1953", "年的", "nfl")
    assert tokens("किताब है") == ("किताब", "है")
    assert tokens("ＡＢ") == ("ab",)
    assert share_in("the mill", "A mill. The end") == 1.0
    assert share_in("...", "x") == 0.0
    assert sentences("One. Two? Three!") == ("One.", "Two?", "Three!")
    assert sentences("一。二？") == ("一。", "二？")
    assert sentences("هل؟ نعم۔ لا") == ("هل؟", "نعم۔", "لا")
    assert sentences("แม่น้ำ ภูเขา") == ("แม่น้ำ", "ภูเขา")
    assert closest_sentence("A dog ran. The cat slept. A dog sat.", "Where did the cat sleep?") == "The cat slept."


# -- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_of_a_small_set() -> None:
    rows = [
        Item("The mill was built by Ada in 1066.", "Who?", ("Ada", "Bo Li", "1066", "nobody at all")),
        Item("The mill was built by Ada in 1066.", "Who? ", ("x", "X.", "yy", "zzz")),
    ]
    data = ParallelMCQ("two", ("en",), ("a", "b"), {"en": tuple(rows)}, (0, 3), ("p", "p"), "test")
    assert set_statistics(data) == {
        "n_questions": 2,
        "n_groups": 1,
        "n_choices": {"4": 2},
        "gold_places": {"A": 1, "B": 0, "C": 0, "D": 1},
    }
    by = language_statistics(data, "en")
    assert by["duplicates"] == {"options": ["b"], "questions": ["a", "b"]}
    numbers = replace(data, items={"en": tuple(replace(row, choices=("2", "-2", ".2", "2%")) for row in rows)})
    assert language_statistics(numbers, "en")["duplicates"]["options"] == []
    assert by["length"]["gold"]["p50"] == 3.0
    assert by["length"]["gold_longest"] == 0.5
    assert by["length"]["gold_shortest"] == 0.5
    assert by["length"]["ratio"] == pytest.approx(math.sqrt(3 / (5 * 4 * 13) ** (1 / 3) * 3 / (1 * 2 * 2) ** (1 / 3)))
    assert by["kinds"]["gold"] == {"number": 0.0, "date": 0.0, "name": 0.5, "phrase": 0.5}
    assert by["in_passage"]["gold"] == 0.5


# -- the report -------------------------------------------------------------------------------------------------------


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
    page = markdown(report, figure="artefacts.png")
    assert "&lt;b&gt;set&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "![Share of questions each rule answers](artefacts.png)" in page
    lines = [line for line in page.splitlines() if line.startswith("| longest")]
    assert len(lines) == 2 + 3  # the two tables of rules, and a line a test
    assert lines[0].count("\\*") == 3
    tables = [part for part in page.split("\n\n") if part.startswith("|")]
    assert len(tables) == 5
    for table in tables:  # as many cells in each line
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "(chance)" in text(report)
    assert "*: not chance" in text(report)
    assert escape("a\nb|c`") == "a b\\|c\\`"


def test_bad_settings_are_refused() -> None:
    data = plain(10)
    for settings_ in ({"level": 0.0}, {"level": 1.0}, {"n_permutations": 10}, {"limit": 0}):
        with pytest.raises(CrossinError, match="permutations are 99 or more"):
            analyse(data, **settings_)


# -- real sets --------------------------------------------------------------------------------------------------------


def test_the_packaged_set_gives_nothing_away() -> None:
    report = analyse(load_parallel("crossin_mini"), n_permutations=999)
    assert [test for test in report.flagged if not test.reads_passage] == []
    assert set(report.data["gold_places"].values()) == {8}


def test_the_spans_give_nothing_away_and_are_read_shallowly(shared: object) -> None:
    from crossin_metrics.sets.spans import cross_xquad_spans

    data, _ = cross_xquad_spans(languages=["en", "zh"], data_dir=f"{shared}/data")
    report = analyse(data, n_permutations=1999)
    assert {test.rule for test in report.flagged} == {"passage_sentence"}
    assert one(report, "passage_sentence", "en") == pytest.approx(0.59, abs=0.005)
    assert report.languages["en"]["in_passage"]["gold"] == 1.0
