"""From result folders to the files of a report, and these into its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from crossin_metrics import __version__
from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_folder, check_replaceable
from crossin_metrics.report.arms import DEFAULT_RESAMPLES as ARM_RESAMPLES
from crossin_metrics.report.arms import averaged, costs, make_studies, missing_runs
from crossin_metrics.report.browser import MAX_BYTES, MAX_QUESTIONS, question_sets, read_question_texts
from crossin_metrics.report.collect import MARKER, collect
from crossin_metrics.report.diagnosis import RULES, diagnose
from crossin_metrics.report.draw import arm_tables, group_tables, tables
from crossin_metrics.report.draw.page import Content, render
from crossin_metrics.report.entries import few_questions, group_entries, make_entries, rank_and_test
from crossin_metrics.report.labels import Labels, read_labels
from crossin_metrics.report.published import read_published
from crossin_metrics.report.standing import sentences
from crossin_metrics.scores.catalogue import check_keys
from crossin_metrics.scores.significance import TEST_RESAMPLES

GROUP_RESAMPLES = 1000  # for intervals, as in `crossin score --by group`


@dataclass(frozen=True)
class Options:
    """Options of a report; see `crossin report --help`."""

    languages: Sequence[str] | None = None
    labels: Path | None = None
    baseline: str | None = None
    compare: Sequence[str] = ()
    keys: Sequence[str] = ()
    planned: str | None = None
    planned_in: str | None = None
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
    """The files (relative path -> content), and problems and notes for the user."""

    files: dict[str, str | bytes]
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def build_report(
    paths: Sequence[str | Path], options: Options, *, progress: Callable[[str], None] | None = None
) -> Report:
    """Make the whole report in memory; plots need matplotlib.

    Raises:
        CrossinError: none of the results can be read; a labels, published or questions file is broken.
    """
    say = progress or (lambda _: None)
    # Small files that a user wrote come first, so that mistakes in them are reported before long logs are read.
    labels = Labels() if options.labels is None else read_labels(options.labels)
    check_keys(options.keys)
    if options.keys and not (labels.seeded or options.baseline or options.compare):
        raise CrossinError("--keys are scores to compare arms by: say --baseline ARM or --compare ARM=ARM, too")
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
        keys=options.keys,
        planned=options.planned,
        planned_in=options.planned_in,
        n_resamples=min(options.n_resamples, ARM_RESAMPLES),
        seed=options.seed,
        progress=progress,
    )
    ordered = [entry for group in groups for entry in group.entries]
    say("diagnosis")
    findings = {number: diagnose(entry) for number, entry in enumerate(ordered) if entry.runs}
    notes = few_questions(groups) + notes_of_arms
    missing = missing_runs(labels)
    if missing:
        notes.append(f"missing: {'; '.join(missing)}")
    elif unused := labels.unused():
        notes.append(f"labels that no run matched: {', '.join(unused)}")
    arms = [arm_tables.arm_section(study) for study in studies]
    arm_costs = costs(labels)
    if arm_costs:
        arms.append(arm_tables.cost_section(arm_costs))
    legend = arm_tables.legend(studies)
    sections = tables.build_tables(groups)
    files: dict[str, str | bytes] = {
        "tables.md": tables.markdown("Accuracy, consistency and AC3", tables.LEGEND, sections),
        "tables.tex": tables.latex(tables.LEGEND, sections),
        "scores.csv": tables.scores_csv(groups),
        "prompts.csv": tables.prompts_csv(groups),
        "diagnosis.md": tables.text_of_findings(
            [(ordered[number], one) for number, one in findings.items()], RULES, found.problems
        ),
    }
    if readings := tables.readings_csv(groups):
        files["readings.csv"] = readings
    say("groups of questions")
    by_group = [group_tables.by_group(group, n_resamples=GROUP_RESAMPLES, seed=options.seed) for group in groups]
    if all_groups := group_tables.groups_csv(by_group):
        files["groups.csv"] = all_groups
    if arms:
        files["arms.md"] = tables.markdown("Arms", legend, arms, missing)
        files["arms.tex"] = tables.latex(legend, arms)
        files["arms.csv"] = arm_tables.arms_csv(studies)
    if any(study.pairs for study in studies):
        files["comparisons.csv"] = arm_tables.comparisons_csv(studies)
    if arm_costs:
        files["efficiency.csv"] = arm_tables.costs_csv(arm_costs)
    folded = averaged(groups, studies) if studies else groups
    figures = []
    if options.plots:
        from crossin_metrics.report.draw.arm_plots import draw_arms
        from crossin_metrics.report.draw.plots import draw_all

        say("plots")
        for figure, png in chain(draw_arms(studies), draw_all(groups, folded if studies else None)):
            say(f"plots: {figure.name}")
            files[f"figures/{figure.name}.svg"] = figure.svg
            files[f"figures/{figure.name}.png"] = png
            figures.append(figure)
    sets = question_sets(ordered, texts, max_questions=options.max_questions, max_bytes=options.max_bytes)
    if any(one.n_left_out for one in sets):
        notes.append(f"the page holds {options.max_bytes / 1e6:g} MB of texts at most; some questions have no texts")
    content = Content(
        title=options.title,
        groups=groups,
        folded=folded,
        answers=sentences(folded, studies),
        entries=ordered,
        tables=tables.build_tables(folded) if studies else sections,
        readings=tables.reading_sections(groups),
        findings=findings,
        figures=figures,
        question_sets=sets,
        problems=found.problems,
        notes=notes,
        mixed=options.mix,
        n_resamples=options.n_resamples,
        arms=arms,
        arms_legend=legend,
        missing=missing,
        by_group=group_tables.group_sections(groups, by_group),
    )
    say("page")
    files["index.html"] = render(content)
    return Report(files, found.problems, notes)


def check_target(out: Path) -> None:
    """Refuse a folder that holds anything but a report.

    Raises:
        CrossinError: the path is a file or a link, or a folder that holds other files.
    """

    def files() -> list[str]:
        return list(json.loads((out / MARKER).read_text(encoding="utf-8"))["files"])

    check_replaceable(out, MARKER, "report of crossin", files, "--out")


def write_report(out: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write all files (relative path -> text or bytes) as a folder, whole or not at all.

    Raises:
        CrossinError: the target is refused (see :func:`check_target`) or cannot be written.
    """
    check_target(out)
    marker = json.dumps({"crossin": __version__, "files": sorted(contents)}, indent=1) + "\n"
    with atomic_folder(out) as folder:
        for name, content in {**contents, MARKER: marker}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
