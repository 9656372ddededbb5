"""How `crossin compare` lays out a comparison for a person: aligned plain text and its conclusions in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossin_metrics.scores.catalogue import describe
from crossin_metrics.text_tables import align, number

if TYPE_CHECKING:
    from crossin_metrics.runs.comparison import Joined, Match
    from crossin_metrics.scores.causes.unequal_change import UnequalChange
    from crossin_metrics.scores.significance import Tested


def comparison_text(
    matches: Sequence[Match],
    joined: Sequence[Joined],
    tested: Sequence[dict[str, Tested]],
    *,
    alpha: float,
    n_resamples: int,
    seed: int,
) -> str:
    """The whole comparison: systems, benchmarks, tables of scores, conclusions."""
    blocks = [_systems(matches)]
    keys = dict.fromkeys(key for scores in tested for key in scores)
    for match, pair, scores in zip(matches, joined, tested, strict=True):
        undefined = ", ".join(key for key in keys if key not in scores)
        facts = [*_facts(match, pair), *([f"undefined: {undefined}"] if undefined else [])]
        blocks.append("\n".join([match.benchmark, *facts, _table(scores, alpha)]))
    words = [
        sentence(match.benchmark, key, one, len(pair.ids), alpha)
        for match, pair, scores in zip(matches, joined, tested, strict=True)
        for key, one in scores.items()
    ]
    if len(matches) > 1:
        words += tallies(tested)
    blocks.append("\n".join(["conclusions", *words]))
    blocks.append(
        f"{n_resamples} resamples of the questions, seed {seed}; decided by approximate randomisation at level "
        f"{alpha:g},\nHolm-corrected for each score over the benchmarks that have it ({len(matches)} in all)"
    )
    return "\n\n".join(blocks)


def by_language_text(
    matches: Sequence[Match],
    joined: Sequence[Joined],
    found: Sequence[Sequence[UnequalChange]],
    *,
    alpha: float,
    n_resamples: int,
    seed: int,
) -> str:
    """Where the change from B to A differs by language: systems, a table for each benchmark, conclusions."""
    blocks, words = [_systems(matches)], []
    for match, pair, changes in zip(matches, joined, found, strict=True):
        rows = [["", "A", "B", "A-B", "against", "unequal", f"{100 * (1 - alpha):g}% interval", "p"]]
        for one in changes:
            cells = [number(one.a), number(one.b), f"{one.change:+.4f}", one.against, f"{one.unequal:+.4f}"]
            p = p_value(one.p_value) + ("*" if one.significant else " ")
            rows.append([one.name, *cells, f"[{one.low:+.4f}, {one.high:+.4f}]", p])
        blocks.append("\n".join([match.benchmark, *_facts(match, pair), align(rows)]))
        counted = [one for one in changes if one.significant]
        words += [_unequal_sentence(match.benchmark, one) for one in counted]
        if not counted:
            words.append(f"{match.benchmark}: no language or pair is shown to change more or less than the others")
    blocks.append("\n".join(["conclusions", *words]))
    blocks.append(
        "languages: accuracy; pairs: consistency; unequal: A-B minus A-B of what it is against. Counted in points: a\n"
        "language near chance has few to lose\n"
        f"{n_resamples} random signs, seed {seed}; p-values and intervals hold for all rows of a table together (level "
        f"{alpha:g})"
    )
    return "\n\n".join(blocks)


def _unequal_sentence(benchmark: str, one: UnequalChange) -> str:
    what = f"consistency of {one.name.replace(' ', ' and ')}" if " " in one.name else f"accuracy in {one.name}"
    moved = "falls" if one.change < 0 else "rises" if one.change > 0 else "stays"
    how = "worse" if one.unequal < 0 else "better"
    return (
        f"{benchmark}: {what} {moved} from B to A by {abs(one.change):.4f}, {abs(one.unequal):.4f} {how} than "
        f"{one.against} (p {p_value(one.p_value)})"
    )


def _systems(matches: Sequence[Match]) -> str:
    lines = []
    for side, runs in (("A", [m.a for m in matches]), ("B", [m.b for m in matches])):
        models = dict.fromkeys(run.model or str(run.source_files[0]) for run in runs)
        lines.append(f"{side}  {', '.join(models)}")
    return "\n".join(lines)


def _facts(match: Match, pair: Joined) -> list[str]:
    lines = [f"{len(pair.ids)} questions in {_count(len(pair.languages), 'language')} ({', '.join(pair.languages)})"]
    left_out = [
        f"{count} {what}"
        for count, what in (
            (pair.only_a, "questions only in A"),
            (pair.only_b, "questions only in B"),
            (match.a.n_incomplete, "incomplete in A"),
            (match.b.n_incomplete, "incomplete in B"),
        )
        if count
    ]
    left_out += [
        f"{', '.join(codes)} only in {side}"
        for side, codes in (("A", pair.languages_only_a), ("B", pair.languages_only_b))
        if codes
    ]
    if left_out:
        lines.append(f"left out: {'; '.join(left_out)}")
    lines += [
        f"allowed to differ: {name}, {a or 'not set'} in A, {b or 'not set'} in B"
        for name, (a, b) in match.differing.items()
    ]
    return lines


def _table(scores: dict[str, Tested], alpha: float) -> str:
    rows = [
        ["score", "A", "B", "A-B", f"{100 * (1 - alpha):g}% interval", "p bootstrap", "p rand.", "p Holm", "detectable"]
    ]
    for key, one in scores.items():
        rows.append(
            [
                key,
                number(one.a),
                number(one.b),
                f"{one.difference:+.4f}",
                f"[{one.low:+.4f}, {one.high:+.4f}]" if one.standard_error > 0.0 else "-",  # no resample differs
                p_value(one.p_bootstrap),
                p_value(one.p_randomization),
                p_value(one.p_randomization_holm) + ("*" if one.significant else " "),
                number(one.detectable),
            ]
        )
    return align(rows)


def p_value(value: float) -> str:
    """Four decimals; smaller ones as a bound."""
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def sentence(benchmark: str, key: str, one: Tested, n_questions: int, alpha: float) -> str:
    """What one row of the table says."""
    start, p = f"{benchmark}: ", _p(one.p_randomization_holm)
    if one.significant:
        higher = "A" if one.difference > 0 else "B"
        ends = sorted((abs(one.low), abs(one.high)))
        interval = f"interval {ends[0]:.4f} to {ends[1]:.4f}, "
        if not one.standard_error > 0.0:
            interval = "the same gap in every resample, "
        elif one.low <= 0.0 <= one.high:
            interval = f"though the interval, {one.low:+.4f} to {one.high:+.4f}, holds 0; "
        text = f"{higher} is higher in {key}, by {abs(one.difference):.4f} ({interval}{p})"
        if describe(key).only_if_right or describe(key).higher_is_better is None:
            text += "; more of it is better only where the answers are right"
        return start + text
    if one.difference == 0.0 and one.standard_error == 0.0:
        return start + f"A and B do not differ in {key}: the same on every question"
    text = f"no difference in {key} is shown ({p})"
    if one.p_randomization <= alpha:
        text += f"; by itself {_p(one.p_randomization)}, not significant after Holm correction"
    if not math.isfinite(one.detectable):
        return start + text + f"; {_count(n_questions, 'question')} cannot show one"
    return start + text + f"; {n_questions} questions reliably show differences of {one.detectable:.4f} and more"


def tallies(tested: Sequence[dict[str, Tested]]) -> list[str]:
    """One line per score: on how many benchmarks A, B or neither is higher."""
    lines = []
    for key in dict.fromkeys(key for scores in tested for key in scores):
        found = [scores[key] for scores in tested if key in scores]
        a, b = (sum(one.significant and sign * one.difference > 0 for one in found) for sign in (1, -1))
        lines.append(f"all {len(found)}: {key} is higher for A on {a}, for B on {b}, undecided on {len(found) - a - b}")
    return lines


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _p(value: float) -> str:
    shown = p_value(value)
    return f"p {shown[0]} {shown[1:]}" if shown.startswith("<") else f"p = {shown}"
