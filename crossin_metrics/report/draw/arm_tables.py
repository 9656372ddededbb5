"""Tables of arms: scores over seeds, differences from the baseline, efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crossin_metrics.report.arms import ArmResult, Cost, Study
from crossin_metrics.report.draw.tables import Section, heading, label_cells
from crossin_metrics.report.labels import COSTS
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.scores.significance import ALPHA
from crossin_metrics.scores.training_seeds import QUESTIONS, ArmScore
from crossin_metrics.text_tables import DASH, Row, Table, csv_cell, csv_text, percent

ONE_RUN = "†"  # marks the seeds of an arm whose interval is over questions alone
DIFFERS = "*"  # marks a score that differs significantly from the baseline's
PLANNED = "‡"  # marks the comparison that was named before the runs
MINUS = "−"
_COST_TITLES = {
    "tokens": "Tokens",
    "seconds": "Seconds",
    "peak_memory_gb": "Peak memory, GB",
    "trained_parameters": "Trained parameters",
}
_ORDER = ("ac3", "acc", "consistency")  # of the tables of differences: the headline first


def legend(studies: Sequence[Study]) -> str:
    """What the tables of arms show, and what their intervals and p-values generalise to."""
    if not studies:
        return ""
    baseline = next((study.baseline for study in studies if study.baseline is not None), None)
    trained = any(arm.trained for study in studies for arm in study.arms)
    parts = ["In percent, ± half of the 95% interval over questions (over passages where questions share them)."]
    if trained:
        parts = [
            "In percent: mean over training seeds ± half of its 95% interval. Intervals and p-values are over "
            "questions and training seeds: they tell what this way to train would give with other seeds, on other "
            "questions of the kind (variance over resampled questions, or passages where questions share them, plus "
            "variance between seeds over their number; Student's t)."
        ]
    if trained and any(_over_questions(arm) for study in studies for arm in study.arms):
        parts.append(f"{ONE_RUN}: one run, its interval is over questions alone.")
    if any(study.pairs for study in studies):
        if baseline is not None:
            parts.append(f"{DIFFERS}: differs from {baseline} at the 5% level after Holm's correction.")
        planned = next((study for study in studies if study.planned is not None), None)
        if planned is not None and planned.planned is not None:
            parts.append(
                f"{PLANNED}: named before the runs, by {describe(planned.keys[0]).title}, tested alone at 5%; Holm's "
                "correction is over the other comparisons of that table."
            )
        parts.append(
            "Differences in points. Detectable: the true difference found with 80% power after Holm's correction "
            "(its first step, 5% over the number of comparisons). Holm: corrected over the comparisons of its table."
        )
        if trained:
            parts.append(
                "The last column answers another question, over questions alone: whether these very models differ, "
                "not the ways to train them; it is not corrected and decides nothing here."
            )
    return " ".join(parts)


def arm_section(study: Study) -> Section:
    """Scores, then differences by score."""
    metrics = study.metrics()
    columns = ("Arm", "Seeds", *(describe(metric).column for metric in metrics), *study.languages)
    different = significant(study)
    rows = []
    for arm in study.arms:
        cells = []
        for key in [*metrics, *(f"acc_{code}" for code in study.languages)]:
            one = arm.scores.get(key)
            mark = DIFFERS if (arm.name, key) in different and key in metrics else ""
            half = "" if one is None or math.isnan(one.low) else f" ± {100 * _half(one):.1f}"
            cells.append(DASH if one is None else f"{percent(one.mean)}{half}{mark}")
        rows.append(Row((arm.name, seeds_of(arm), *cells)))
    scores = Table(study_title(study), columns, tuple(rows), n_text=2)
    return Section((scores, *_differences(study)), study.signatures)


def significant(study: Study) -> set[tuple[str, str]]:
    """Arm and score of each significant difference from the baseline."""
    return {
        (pair.a, metric)
        for pair in study.pairs
        for metric, test in pair.tests.items()
        if pair.b == study.baseline and test.p_holm <= ALPHA
    }


def _half(one: ArmScore) -> float:
    """Half the interval, as it is before it is cut to [0, 1]."""
    return max(one.high - one.mean, one.mean - one.low)


def study_title(study: Study) -> str:
    """Benchmark, questions and set-up."""
    setup = "signatures mixed" if study.group.setup is None else study.group.setup.heading
    return f"{heading(study.group)}, {setup}"


def seeds_of(arm: ArmResult) -> str:
    """How many seeds there are, and which are missing."""
    if not arm.entries:
        return "no result"
    found = f"{len(arm.entries)}" + (f" {ONE_RUN}" if _over_questions(arm) else "")
    if not arm.missing:
        return found
    which = ", ".join(map(str, arm.missing))
    return f"{found} (no result: seed {which})"


def _over_questions(arm: ArmResult) -> bool:
    return bool(arm.scores) and arm.scores["acc"].covers == QUESTIONS


def _differences(study: Study) -> list[Table]:
    tables = []
    same = study.baseline is not None and all(pair.b == study.baseline for pair in study.pairs)
    for metric in study.metrics(_ORDER):
        rows = []
        for pair in study.pairs:
            name = pair.a if same else f"{pair.a} {MINUS} {pair.b}"
            if study.is_planned(pair, metric):
                name += f" {PLANNED}"
            if pair.prompts:
                name += f", on {', '.join(pair.prompts)}"
            test = pair.tests.get(metric)
            if test is None:
                if not pair.tests:
                    why = "no result" if pair.prompts is None else "no shared prompt"
                    rows.append(Row((name, why, *[DASH] * 5)))
                continue
            interval = DASH if math.isnan(test.low) else f"[{points(test.low)}, {points(test.high)}]"
            least = DASH if math.isnan(test.detectable) else f"{100 * test.detectable:.1f}"
            p_values = [p_text(value) for value in (test.p_value, test.p_holm, test.p_questions)]
            rows.append(Row((name, points(test.difference), interval, least, *p_values)))
        if any(metric in pair.tests for pair in study.pairs):
            against = f", difference from {study.baseline}" if same else ", differences"
            names = ("Points", "95% interval", "Detectable", "p", "p Holm", "p, questions only")
            tables.append(
                Table(f"{describe(metric).column}{against}", ("Arm" if same else "Arms", *names), tuple(rows))
            )
    return tables


def points(value: float) -> str:
    """A difference of shares in points, with its sign."""
    text = f"{100 * value:+.1f}"
    return text.replace("-", MINUS).replace("+0.0", "0.0").replace(f"{MINUS}0.0", "0.0")


def p_text(p: float) -> str:
    """A p-value with three decimals; a dash where there is none."""
    if math.isnan(p):
        return DASH
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def cost_section(costs: Sequence[Cost]) -> Section:
    """Efficiency: what training an arm cost, mean over its runs."""
    columns = [column for column in COSTS if any(column in cost.means for cost in costs)]
    rows = [
        Row((cost.name, str(cost.n_runs), *(_amount(cost.means.get(column), column) for column in columns)))
        for cost in costs
    ]
    titles = tuple(_COST_TITLES[column] for column in columns)
    table = Table("Efficiency: mean over an arm's runs", ("Arm", "Runs", *titles), tuple(rows), n_text=2)
    return Section((table,), {})


def _amount(value: float | None, column: str) -> str:
    if value is None:
        return DASH
    return f"{value:.2f}" if column == "peak_memory_gb" else f"{value:,.0f}"


def arms_csv(studies: Sequence[Study]) -> str:
    """Every arm with every score, as shares: mean, sd over seeds, standard error, interval, the seeds' own scores."""
    keys = list(dict.fromkeys(key for study in studies for arm in study.arms for key in arm.scores))
    head = ["benchmark", "formulation", "arm", "base", "system", "formulation_of_data", "n_samples", "translation"]
    head += ["tag", "seeds", "missing_seeds", "covers"]
    for key in keys:
        head += [f"{key}_{what}" for what in ("mean", "sd", "se", "low", "high", "by_seed")]
    rows: list[list[object]] = [[*head, "signature"]]
    for study in studies:
        for arm in study.arms:
            found = arm.scores.get("acc")
            row: list[object] = [study.group.benchmark, _formulation(study), arm.name, *label_cells(arm.label)]
            row += [_joined(arm.seeds), _joined(arm.missing), "no result" if found is None else found.covers]
            for key in keys:
                one = arm.scores.get(key)
                if one is None:
                    row += [None] * 6
                else:
                    row += [one.mean, one.sd, one.standard_error, one.low, one.high, _joined(one.by_seed)]
            rows.append([*row, " ".join(dict.fromkeys(entry.signature for entry in arm.entries))])
    return csv_text(rows)


def comparisons_csv(studies: Sequence[Study]) -> str:
    """Every declared comparison by every score, as shares, on the prompts that both arms have.

    What each p-value is over is in its column's name.
    `n_comparisons`: those that its p-value over questions and seeds is corrected over; empty where it has none.
    """
    head = ["benchmark", "formulation", "a", "b", "score", "mean_a", "mean_b", "difference", "degrees"]
    for over in ("questions_and_seeds", "questions"):
        head += [f"{what}_{over}" for what in ("se", "low", "high", "p", "p_holm")]
    rows: list[list[object]] = [[*head, "detectable", "n_comparisons"]]
    for study in studies:
        for pair in study.pairs:
            for key, test in pair.tests.items():
                row: list[object] = [study.group.benchmark, _formulation(study), pair.a, pair.b, key]
                row += [test.a, test.b, test.difference, test.degrees]
                row += [test.standard_error, test.low, test.high, test.p_value, test.p_holm]
                row += [test.standard_error_questions, test.low_questions, test.high_questions]
                row += [test.p_questions, test.p_questions_holm, test.detectable]
                rows.append([*row, None if math.isnan(test.p_value) else test.n_tests])
    return csv_text(rows)


def costs_csv(costs: Sequence[Cost]) -> str:
    """What an arm cost, mean over its runs."""
    return csv_text([["arm", "runs", *COSTS], *([c.name, c.n_runs, *map(c.means.get, COSTS)] for c in costs)])


def _formulation(study: Study) -> str:
    return "mixed" if study.group.setup is None else study.group.setup.answers


def _joined(values: Sequence[object]) -> str:
    return " ".join(str(csv_cell(value)) for value in values)
