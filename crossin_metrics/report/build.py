"""From result folders to the files of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.report.arms import DEFAULT_RESAMPLES as ARM_RESAMPLES
from crossin_metrics.report.arms import averaged, make_studies, missing_runs
from crossin_metrics.report.arms import costs as arm_costs
from crossin_metrics.report.browser import MAX_BYTES, MAX_QUESTIONS, question_sets, read_question_texts
from crossin_metrics.report.collect import collect
from crossin_metrics.report.diagnosis import RULES, Finding, diagnose
from crossin_metrics.report.draw.arm_tables import (
    arm_section,
    arms_csv,
    comparisons_csv,
    cost_section,
    costs_csv,
    legend,
)
from crossin_metrics.report.draw.page import Content, render
from crossin_metrics.report.draw.tables import (
    LEGEND,
    build_tables,
    latex,
    markdown,
    prompts_csv,
    scores_csv,
    text_of_findings,
)
from crossin_metrics.report.entries import Entry, group_entries, make_entries, rank_and_test
from crossin_metrics.report.labels import Labels, read_labels
from crossin_metrics.report.published import read_published
from crossin_metrics.scores.significance import TEST_RESAMPLES


@dataclass(frozen=True)
class Options:
    """What a report is made with; see `crossin report --help`."""

    languages: Sequence[str] | None = None
    labels: Path | None = None
    baseline: str | None = None
    compare: Sequence[str] = ()
    published: Sequence[str] = ()
    questions: Sequence[str] = ()
    mix: bool = False
    title: str = "Cross-lingual consistency"
    n_resamples: int = TEST_RESAMPLES
    seed: int = 0
    max_questions: int = MAX_QUESTIONS
    max_bytes: int = MAX_BYTES
    plots: bool = True


@dataclass
class Report:
    """The files (relative path -> content), and what to tell the user."""

    files: dict[str, str | bytes]
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def build_report(
    paths: Sequence[str | Path], options: Options, *, progress: Callable[[str], None] | None = None
) -> Report:
    """Make the whole report in memory.

    Raises:
        CrossinError: nothing can be read of the results; a labels, published or questions file is broken; matplotlib
            is missing and plots are wanted.
    """
    if options.plots:
        _need_matplotlib()
    # Small files that a user wrote first: their mistakes are said before long logs are read.
    labels = Labels() if options.labels is None else read_labels(options.labels)
    published = [entry for given in options.published for entry in read_published(given)]
    texts = read_question_texts(options.questions)
    found = collect(paths, options.languages, labels=labels, progress=progress)
    entries = make_entries(found.runs, found.stated, labels)
    groups = group_entries([*entries, *published], mix=options.mix)
    rank_and_test(groups, n_resamples=options.n_resamples, seed=options.seed, progress=progress)
    studies, notes_of_arms = make_studies(
        groups,
        labels,
        baseline=options.baseline,
        compare=options.compare,
        n_resamples=min(options.n_resamples, ARM_RESAMPLES),
        seed=options.seed,
        progress=progress,
    )
    ordered: list[Entry] = [entry for group in groups for entry in group.entries]
    findings: dict[int, Sequence[Finding]] = {}
    for number, entry in enumerate(ordered):
        if progress is not None and number % 20 == 0:
            progress(f"diagnosis: {number} of {len(ordered)}")
        if entry.runs:
            findings[number] = diagnose(entry)
    notes = [*found.notes, *notes_of_arms]
    missing = missing_runs(labels)
    if missing:
        notes.append(f"missing: {'; '.join(missing)}")
    elif unused := labels.unused():
        notes.append(f"labels that no run matched: {', '.join(unused)}")
    costs = arm_costs(labels)
    arms = [arm_section(study) for study in studies]
    efficiency = cost_section(costs)
    if efficiency is not None:
        arms.append(efficiency)
    tables = build_tables(groups)
    files: dict[str, str | bytes] = {
        "tables.md": markdown("Accuracy, consistency and AC3", LEGEND, tables),
        "tables.tex": latex(LEGEND, tables),
        "scores.csv": scores_csv(groups),
        "prompts.csv": prompts_csv(groups),
        "diagnosis.md": text_of_findings([(ordered[n], one) for n, one in findings.items()], RULES, found.problems),
    }
    if arms:
        files["arms.md"] = markdown("Arms", legend(studies), arms, missing)
        files["arms.tex"] = latex(legend(studies), arms)
        files["arms.csv"] = arms_csv(studies)
        if any(study.pairs for study in studies):
            files["comparisons.csv"] = comparisons_csv(studies)
        if efficiency is not None:
            files["efficiency.csv"] = costs_csv(costs)
    figures = []
    if options.plots:
        from crossin_metrics.report.draw.arm_plots import draw_arms
        from crossin_metrics.report.draw.plots import draw_all

        if progress is not None:
            progress("plots")
        for figure, png in chain(draw_arms(studies), draw_all(groups, averaged(groups, studies) if studies else None)):
            files[f"figures/{figure.name}.svg"] = figure.svg
            files[f"figures/{figure.name}.png"] = png
            figures.append(figure)
    sets = question_sets(ordered, texts, max_questions=options.max_questions, max_bytes=options.max_bytes)
    if any(one.text_left_out for one in sets):
        notes.append(
            f"the page holds {options.max_bytes / 1e6:g} MB of texts at most; some questions stand without theirs"
        )
    content = Content(
        title=options.title,
        groups=groups,
        entries=ordered,
        tables=tables,
        findings=findings,
        figures=figures,
        question_sets=sets,
        problems=found.problems,
        notes=notes,
        mixed=options.mix,
        n_resamples=options.n_resamples,
        arms=arms,
        arms_legend=legend(studies),
        missing=missing,
    )
    files["index.html"] = render(content)
    return Report(files, found.problems, notes)


def _need_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CrossinError("plots need matplotlib: pip install 'crossin[report]', or leave them out with --no-plots")
