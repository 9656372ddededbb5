"""Tables of arms: scores over seeds, differences from the baseline, efficiency; as Markdown, LaTeX, CSV and grids."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from crossin_metrics.report.arms import ArmResult, Cost, Pair, Study
from crossin_metrics.report.draw.grid import Grid, md, md_rows, tex
from crossin_metrics.report.draw.tables import heading
from crossin_metrics.report.entries import ALPHA
from crossin_metrics.report.labels import COSTS
from crossin_metrics.runs.signature import in_words
from crossin_metrics.scores.catalogue import MAIN_SCORES, SCORES
from crossin_metrics.scores.training_seeds import QUESTIONS, ArmScore

ONE_RUN = "†"  # behind the seeds of an arm whose interval is over questions alone
DIFFERS = "*"  # behind a score that differs from the baseline's
MINUS = "−"
DASH = "–"
_COST_TITLES = {
    "tokens": "Tokens",
    "seconds": "Seconds",
    "peak_memory_gb": "Peak memory, GB",
    "trained_parameters": "Trained parameters",
}
_ORDER = ("ac3", "acc", "consistency")  # of the tables of differences: the headline first


def legend(studies: Sequence[Study]) -> str:
    """What the tables of arms show, in words; what their intervals and p-values generalise to."""
    baseline = next((study.baseline for study in studies if study.baseline is not None), None)
    trained = any(arm.trained for study in studies for arm in study.arms)
    parts = ["In percent, ± half of the 95% interval over questions."]
    if trained:
        parts = [
            "In percent: mean over training seeds ± half of its 95% interval. Intervals and p-values are over "
            "questions and training seeds: they tell what this way to train would give with other seeds, on other "
            "questions of the kind (variance over resampled questions plus variance between seeds over their number; "
            "Student's t)."
        ]
    if trained and any(_over_questions(arm) for study in studies for arm in study.arms):
        parts.append(f"{ONE_RUN}: one run, its interval is over questions alone.")
    if any(study.pairs for study in studies):
        if baseline is not None:
            parts.append(f"{DIFFERS}: differs from {baseline} at the 5% level, p Holm.")
        parts.append(
            "Differences in points. Detectable: the true difference that one such test finds with 80% power. Holm: "
            "corrected over the comparisons of its table."
            + (
                " The last column answers another question, over questions alone: whether these very models differ, "
                "not the ways to train them; it is not corrected and decides nothing here."
            )
            * trained
        )
    return " ".join(parts)


def arm_grids(study: Study) -> list[Grid]:
    """Scores, then differences by score."""
    metrics = [metric for metric in MAIN_SCORES if any(metric in arm.scores for arm in study.arms)]
    columns = ("Arm", "Seeds", *(SCORES[metric].column for metric in metrics), *study.languages)
    keys = [*metrics, *(f"acc_{code}" for code in study.languages)]
    different = {
        (pair.a, metric)
        for pair in study.pairs
        for metric, test in pair.tests.items()
        if pair.b == study.baseline and test.p_holm < ALPHA
    }
    rows = []
    for arm in study.arms:
        cells = []
        for key in keys:
            one = arm.scores.get(key)
            mark = DIFFERS if key in metrics and (arm.name, key) in different else ""
            half = "" if one is None or math.isnan(one.low) else f" ± {100 * _half(one):.1f}"
            cells.append(DASH if one is None else f"{100 * one.mean:.1f}{half}{mark}")
        rows.append((arm.name, seeds_of(arm), *cells))
    return [Grid(study_title(study), columns, tuple(rows), n_text=2), *_differences(study)]


def _half(one: ArmScore) -> float:
    """Half the interval, as it is before it is cut to [0, 1]."""
    return max(one.high - one.mean, one.mean - one.low)


def study_title(study: Study) -> str:
    """Benchmark, questions and set-up."""
    setup = "signatures mixed" if study.group.setup is None else in_words(study.group.setup)
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


def _differences(study: Study) -> list[Grid]:
    grids = []
    same = study.baseline is not None and all(pair.b == study.baseline for pair in study.pairs)
    for metric in _ORDER:
        rows = []
        for pair in study.pairs:
            name = pair.a if same else f"{pair.a} {MINUS} {pair.b}"
            test = pair.tests.get(metric)
            if test is None:
                if not pair.tests:
                    rows.append((name, "no result", *[DASH] * 5))
                continue
            interval = DASH if math.isnan(test.low) else f"[{points(test.low)}, {points(test.high)}]"
            least = DASH if math.isnan(test.detectable) else f"{100 * test.detectable:.1f}"
            p_values = [p_text(value) for value in (test.p_value, test.p_holm, test.p_questions)]
            rows.append((name, points(test.difference), interval, least, *p_values))
        if any(row[1] != "no result" for row in rows):
            against = f", difference from {study.baseline}" if same else ", differences"
            columns = (
                "Arm" if same else "Arms",
                "Points",
                "95% interval",
                "Detectable",
                "p",
                "p Holm",
                "p, questions only",
            )
            grids.append(Grid(f"{SCORES[metric].column}{against}", columns, tuple(rows)))
    return grids


def points(value: float) -> str:
    """A difference of shares in points, with its sign."""
    text = f"{100 * value:+.1f}"
    return text.replace("-", MINUS).replace("+0.0", "0.0").replace(f"{MINUS}0.0", "0.0")


def p_text(p: float) -> str:
    """A p-value with three decimals; a dash where there is none."""
    if math.isnan(p):
        return DASH
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def cost_grid(costs: Sequence[Cost]) -> Grid | None:
    """Efficiency: what training an arm cost, mean over its runs."""
    columns = [column for column in COSTS if any(column in cost.means for cost in costs)]
    if not columns:
        return None
    rows = [
        (cost.name, str(cost.n_runs), *(_amount(cost.means.get(column), column) for column in columns))
        for cost in costs
    ]
    titles = tuple(_COST_TITLES[column] for column in columns)
    return Grid("Efficiency: mean over an arm's runs", ("Arm", "Runs", *titles), tuple(rows), n_text=2)


def _amount(value: float | None, column: str) -> str:
    if value is None:
        return DASH
    return f"{value:.2f}" if column == "peak_memory_gb" else f"{value:,.0f}"


def arms_markdown(studies: Sequence[Study], efficiency: Grid | None, missing: Sequence[str]) -> str:
    """All grids, their legend, what is missing, and the signatures."""
    parts = ["# Arms", "", md(legend(studies)), ""]
    if missing:
        parts += ["Missing:", "", *(f"- {md(one)}" for one in missing), ""]
    for study in studies:
        for number, grid in enumerate(arm_grids(study)):
            parts += [f"{'##' if number == 0 else '###'} {md(grid.title)}", "", *md_rows(grid), ""]
        parts += [*_md_signatures(study), ""]
    if efficiency is not None:
        parts += [f"## {md(efficiency.title)}", "", *md_rows(efficiency), ""]
    return "\n".join(parts)


def _md_signatures(study: Study) -> list[str]:
    signatures = {signature.replace("`", ""): names for signature, names in study.signatures.items()}
    if len(signatures) == 1:
        return [f"Signature of every row: `{next(iter(signatures))}`"]
    return ["Signatures:", "", *(f"- {md(', '.join(n))}: `{s}`" for s, n in signatures.items())]


def arms_latex(studies: Sequence[Study], efficiency: Grid | None) -> str:
    """The same for `\\input`; the packages booktabs and graphicx are needed."""
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}."]
    grids: list[tuple[Grid, Study | None]] = [(grid, study) for study in studies for grid in arm_grids(study)]
    grids += [] if efficiency is None else [(efficiency, None)]
    for grid, study in grids:
        first = study is not None and grid.n_text == 2
        caption = tex(f"{grid.title}. {legend(studies)}" if first else f"{grid.title}.")
        aligned = "l" * grid.n_text + "r" * (len(grid.columns) - grid.n_text)
        parts += [
            "\\begin{table*}[t]",
            "\\centering",
            "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%",
            f"\\begin{{tabular}}{{{aligned}}}\n\\toprule",
            " & ".join(map(tex, grid.columns)) + " \\\\\n\\midrule",
            *(" & ".join(map(tex, row)) + " \\\\" for row in grid.rows),
            "\\bottomrule",
            "\\end{tabular}}",
            f"\\caption{{{caption}}}",
            "\\end{table*}",
        ]
        if first and study is not None:
            parts += [f"% {', '.join(n)}: {' '.join(s.split())}" for s, n in study.signatures.items()]
        parts.append("")
    return "\n".join(parts)


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
            label, found = arm.label, arm.scores.get("acc")
            said = {None: "", True: "yes", False: "no"}[label.translation]
            row: list[object] = [
                study.group.benchmark,
                _formulation(study),
                arm.name,
                label.base,
                label.system,
                label.arm,
            ]
            row += ["" if label.n_samples is None else label.n_samples, said, label.tag]
            row += [_joined(arm.seeds), _joined(arm.missing), "no result" if found is None else found.covers]
            for key in keys:
                one = arm.scores.get(key)
                if one is None:
                    row += [""] * 6
                    continue
                row += [_number(x) for x in (one.mean, one.sd, one.standard_error, one.low, one.high)]
                row.append(_joined(one.by_seed))
            rows.append([*row, " ".join(dict.fromkeys(entry.signature for entry in arm.entries))])
    return _csv(rows)


def comparisons_csv(studies: Sequence[Study]) -> str:
    """Every declared comparison by every score, as shares; what each p-value is over is in its name."""
    head = ["benchmark", "formulation", "a", "b", "score", "mean_a", "mean_b", "difference", "degrees"]
    for over in ("questions_and_seeds", "questions"):
        head += [f"{what}_{over}" for what in ("se", "low", "high", "p", "p_holm")]
    rows: list[list[object]] = [[*head, "detectable", "n_comparisons"]]
    for study in studies:
        for pair in study.pairs:
            rows += _comparison_rows(study, pair)
    return _csv(rows)


def _comparison_rows(study: Study, pair: Pair) -> list[list[object]]:
    rows: list[list[object]] = []
    for key, test in pair.tests.items():
        values = [test.a, test.b, test.difference, test.degrees]
        values += [test.standard_error, test.low, test.high, test.p_value, test.p_holm]
        values += [test.standard_error_questions, test.low_questions, test.high_questions]
        values += [test.p_questions, test.p_questions_holm, test.detectable]
        tested = sum(key in other.tests for other in study.pairs)
        rows.append([study.group.benchmark, _formulation(study), pair.a, pair.b, key, *map(_number, values), tested])
    return rows


def costs_csv(costs: Sequence[Cost]) -> str:
    """What an arm cost, mean over its runs."""
    rows: list[list[object]] = [["arm", "runs", *COSTS]]
    rows += [[cost.name, cost.n_runs, *(cost.means.get(column, "") for column in COSTS)] for cost in costs]
    return _csv(rows)


def _formulation(study: Study) -> str:
    return "mixed" if study.group.setup is None else study.group.setup.answers


def _joined(values: Sequence[object]) -> str:
    return " ".join("" if value is None else str(value) for value in values)


def _number(value: float) -> object:
    return "" if math.isnan(value) else value


def _csv(rows: list[list[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
