"""Tables in the shape of the paper's Table 3 (arXiv 2404.11932), and the files that tables are written to.

Rows are models, put together by base model; columns are accuracy, consistency and AC3 of each benchmark, in percent.
There is one table for each set-up: scores that may not be ranked together are in different tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crossin_metrics.answers.reading import RULES as READ_BY
from crossin_metrics.report.diagnosis import Finding, Rule
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.report.labels import Label
from crossin_metrics.report.standing import no_better_than
from crossin_metrics.runs.readings import reading_rows, written_in
from crossin_metrics.scores.catalogue import MAIN_SCORES, SCORES
from crossin_metrics.scores.readings import rule_counts
from crossin_metrics.text_tables import (
    LATEX_NEEDS,
    NOT_SIGNIFICANT,
    UNTESTED,
    Cell,
    Row,
    Table,
    csv_text,
    latex_table,
    markdown_lines,
    md,
    md_code,
    percent,
)

OTHER_PROMPTS = "‡"  # marks a model that was evaluated with other prompts than most rows
SIGNS = {"same": NOT_SIGNIFICANT, "untested": UNTESTED}
LEGEND = (
    "In percent. Bold: best of its column, unless it does no better than one letter. "
    f"{NOT_SIGNIFICANT}: not significantly different from the best "
    "(5% level; joint bootstrap over questions, range of all systems, because the best is chosen by the same answers). "
    f"{UNTESTED}: shares no question and prompt with the best, untested. {OTHER_PROMPTS}: evaluated with other prompts "
    "than most rows. Means over prompts; AC3 is the harmonic mean of the two means. Rows marked published or stated "
    "come without samples and are not ranked."
)

_BASELINES = {"constant": "baseline: best constant letter", "random": "baseline: random answers"}


@dataclass(frozen=True)
class Section:
    """Tables that belong together, and each signature with the names of the rows that have it."""

    tables: tuple[Table, ...]
    signatures: dict[str, list[str]]


def build_tables(groups: Sequence[Group]) -> list[Section]:
    """One table for each set-up, with published rows below their benchmarks.

    Published rows of benchmarks that no run was made of are in a table of their own.
    """
    by_setup: dict[str, list[Group]] = {}
    for group in groups:
        if group.setup is not None or group.mixed:
            title = "signatures mixed" if group.setup is None else group.setup.heading
            by_setup.setdefault(title, []).append(group)
    guests = [group for group in groups if group.setup is None and not group.mixed]
    sections = [_section(title, members, guests) for title, members in by_setup.items()]
    shown = {group.benchmark for members in by_setup.values() for group in members}
    rest: dict[str, Group] = {}
    for group in guests:
        if group.benchmark not in shown:
            rest.setdefault(group.benchmark, Group(group.benchmark, None, [])).entries.extend(group.entries)
    return [*sections, _section("published or stated only", list(rest.values()), [])] if rest else sections


def _section(title: str, groups: Sequence[Group], guests: Sequence[Group]) -> Section:
    cells: dict[tuple[str, str, str], list[Entry | None]] = {}  # kind, base, system -> an entry for each group
    for column, group in enumerate(groups):
        others = [entry for guest in guests if guest.benchmark == group.benchmark for entry in guest.entries]
        for entry in [*group.entries, *others]:
            system = entry.label.system if entry.label.system and entry.label.seed is None else entry.model
            key, copy = (entry.kind, entry.label.base, system), 1
            while cells.setdefault(key, [None] * len(groups))[column] is not None:
                copy += 1  # several set-ups of one model, where signatures are mixed
                key = (entry.kind, entry.label.base, f"{system} [{entry.formulation}, {copy}]")
            cells[key][column] = entry
    usual = _usual_prompts([entry for row in cells.values() for entry in row if entry is not None and entry.runs])
    ordered = list(cells.items())
    if any(kind == "measured" for kind, _, _ in cells):
        ordered.sort(key=lambda item: _place(*item[0]))
    rows: list[Row] = []
    signatures: dict[str, list[str]] = {}
    for (kind, base, system), entries in ordered:
        other = any(entry is not None and entry.runs and entry.prompts != usual for entry in entries)
        name = f"{system}{f' {OTHER_PROMPTS}' if other else ''}{'' if kind == 'measured' else f' ({kind})'}"
        scores = [_cell(g, entry, metric) for g, entry in zip(groups, entries, strict=True) for metric in MAIN_SCORES]
        rows.append(Row((base, name, *scores), kind))
        for signature in dict.fromkeys(entry.signature for entry in entries if entry is not None):
            signatures.setdefault(signature, []).append(name)
    for baseline, name in _BASELINES.items():
        values = [percent(group.baselines.get(baseline, {}).get(metric)) for group in groups for metric in MAIN_SCORES]
        if any(group.baselines.get(baseline) for group in groups):
            rows.append(Row(("", name, *values), "baseline"))
    columns = ("Base", "Model", *[SCORES[metric].column for metric in MAIN_SCORES] * len(groups))
    headings = tuple((heading(group), len(MAIN_SCORES)) for group in groups)
    return Section((Table(title, columns, tuple(rows), 2, headings, blocks=True),), signatures)


def _place(kind: str, base: str, system: str) -> tuple[object, ...]:
    """Sort key of a row: measured and stated rows by base, published ones last and as in their file."""
    return (2,) if kind == "published" else (int(kind != "measured"), base == "", base, system)


def _usual_prompts(entries: Sequence[Entry]) -> tuple[str, ...]:
    prompts = [entry.prompts for entry in entries]
    return max(prompts, key=lambda one: (prompts.count(one), len(one))) if prompts else ()


def mark(group: Group, entry: Entry, metric: str) -> str:
    """ "best", "same" (not significantly different from the best), "untested" or "".

    An entry that does no better than one letter or chance is never "best".
    """
    if entry.rank is None or metric not in group.best:
        return ""
    if entry is group.best[metric] or entry.scores.get(metric) == group.best[metric].scores[metric]:
        return "" if no_better_than(group, entry) else "best"
    test = entry.tests.get(metric)
    if test is None:
        return "untested"
    return "" if test.significant else "same"


def _cell(group: Group, entry: Entry | None, metric: str) -> Cell:
    if entry is None or metric not in entry.scores:
        return Cell(percent(None))
    marked = mark(group, entry, metric)
    return Cell(percent(entry.scores[metric]), marked == "best", SIGNS.get(marked, ""))


def heading(group: Group) -> str:
    """A column group's heading: the benchmark, and its number of questions where it has measured rows.

    Where questions share passages, over which intervals are taken, their number too.
    """
    measured = [entry for entry in group.entries if entry.kind == "measured"]
    n = next((int(entry.scores["n_questions"]) for entry in measured if "n_questions" in entry.scores), None)
    if n is None:
        return group.benchmark
    units = next((entry.runs[0].questions().n_units for entry in measured if entry.runs), n)
    return f"{group.benchmark} (n = {n}{f' on {units} passages' if units < n else ''})"


def markdown(title: str, legend: str, sections: Sequence[Section], missing: Sequence[str] = ()) -> str:
    """All tables with their legend, what is missing, and the signatures of their rows."""
    parts = [f"# {md(title)}", "", *([md(legend), ""] if legend else [])]
    if missing:
        parts += ["Missing:", "", *(f"- {md(one)}" for one in missing), ""]
    for section in sections:
        for number, table in enumerate(section.tables):
            parts += [f"{'###' if number else '##'} {md(table.title)}", "", *markdown_lines(table), ""]
        if len(section.signatures) == 1:
            parts += [f"Signature of every row: {md_code(next(iter(section.signatures)))}", ""]
        elif section.signatures:
            lines = [f"- {md(', '.join(names))}: {md_code(text)}" for text, names in section.signatures.items()]
            parts += ["Signatures:", "", *lines, ""]
    return "\n".join(parts)


def latex(legend: str, sections: Sequence[Section]) -> str:
    """The same for `\\input`: the first caption of a section has the legend, its table the signatures as comments."""
    parts = [LATEX_NEEDS]
    for section in sections:
        comments = [f"{', '.join(names)}: {signature}" for signature, names in section.signatures.items()]
        for number, table in enumerate(section.tables):
            first = number == 0 and section.signatures
            parts += latex_table(table, f"{table.title}. {legend if first else ''}".strip(), comments if first else ())
    return "\n".join(parts)


def label_cells(label: Label) -> list[object]:
    """Base, system, arm, n_samples, translation and tag of a label."""
    translation = {None: None, True: "yes", False: "no"}[label.translation]
    return [label.base, label.system, label.arm, label.n_samples, translation, label.tag]


def scores_csv(groups: Sequence[Group]) -> str:
    """Every entry with every score, interval, p-value against the best and signature; shares, not percent."""
    keys = list(dict.fromkeys(key for group in groups for entry in group.entries for key in entry.scores))
    head = ["benchmark", "model", "base", "system", "arm", "n_samples", "translation", "tag", "seed", "kind"]
    head += ["formulation", "prompts", "rank"]
    for metric in MAIN_SCORES:
        head += [f"{metric}_low", f"{metric}_high", f"{metric}_minus_best", f"{metric}_p_vs_best"]
    rows: list[list[object]] = [[*head, *keys, "signature", "source"]]
    for entry in _entries(groups):
        row = [entry.benchmark, entry.model, *label_cells(entry.label), entry.label.seed, entry.kind]
        row += [entry.formulation, " ".join(entry.prompts), entry.rank]
        for metric in MAIN_SCORES:
            test = entry.tests.get(metric)
            row += entry.intervals.get(metric, (None, None))
            row += (None, None) if test is None else (test.difference, test.p_value)
        rows.append([*row, *(entry.scores.get(key) for key in keys), entry.signature, entry.source])
    return csv_text(rows)


def prompts_csv(groups: Sequence[Group]) -> str:
    """The headline scores of every single prompt."""
    rows: list[list[object]] = [["benchmark", "model", "kind", "formulation", "prompt", *MAIN_SCORES]]
    for entry in _entries(groups):
        what = [entry.benchmark, entry.model, entry.kind, entry.formulation]
        rows += [[*what, prompt, *map(scores.get, MAIN_SCORES)] for prompt, scores in entry.by_prompt.items()]
    return csv_text(rows)


def readings_csv(groups: Sequence[Group]) -> str:
    """How generated outputs were read, per run and language: rows by rule; "" if no run says."""
    rows: list[list[object]] = []
    for entry in _entries(groups):
        for run in entry.runs:
            scores = run.readings()
            by_language = rule_counts(run.rules, run.languages) if run.rules is not None else {}
            for column, (code, counts) in enumerate(by_language.items()):
                what = [entry.benchmark, entry.model, run.prompt, code]
                what += [f"{scores[f'{name}_{code}']:.0f}" for name in ("n_unanswered", "n_cut", "thought")]
                what += written_in(run, column) or ["", ""]
                rows += [[*what, rule, n_rows] for rule, n_rows in sorted(counts.items())]
    head: list[object] = ["benchmark", "model", "prompt", "language", "n_unanswered", "n_cut", "thought"]
    return csv_text([[*head, "thought_in", "answer_in", "rule", "rows"], *rows]) if rows else ""


READING_LEGEND = (
    "Of generated text, rows per language: unanswered, cut (the thought or the token budget ended before an answer), "
    "mean characters of thought, self-agreement (share of pairs of a row's repeats with one answer, where rows are "
    "repeated), and the rule that found the answer, the strongest first. The run with the most "
    f"unanswered rows comes first. Rules: {'; '.join(f'{rule} ({what})' for rule, what in READ_BY.items())}; none."
)


def reading_sections(groups: Sequence[Group]) -> list[Section]:
    """The same as tables, one for each run, the one with the most unanswered rows first."""
    found = []
    for entry in _entries(groups):
        for run in entry.runs:
            rows = reading_rows(run)
            if rows:
                title = " · ".join(filter(None, (entry.benchmark, entry.model, run.prompt)))
                table = Table(title, tuple(rows[0]), tuple(Row(tuple(row)) for row in rows[1:]), 1)
                found.append((-run.readings()["n_unanswered"], Section((table,), {})))
    return [section for _, section in sorted(found, key=lambda one: one[0])]


def _entries(groups: Sequence[Group]) -> Iterable[Entry]:
    return (entry for group in groups for entry in group.entries)


def text_of_findings(
    findings: Sequence[tuple[Entry, Sequence[Finding]]], rules: Sequence[Rule], problems: Sequence[tuple[str, str]]
) -> str:
    """The diagnosis as Markdown: findings by entry, the rules, problems of files."""
    parts = ["# Diagnosis", ""]
    for entry, found in findings:
        if found:
            parts += [f"## {md(entry.model)} on {md(entry.benchmark)} ({md(entry.formulation)})", ""]
            parts += [f"- **{one.rule}**: {md(one.text)}." for one in found]
            parts += ["", md_code(entry.signature), ""]
    parts += ["# Rules", "", *(f"- **{rule.name}**: {md(rule.condition)}." for rule in rules), ""]
    if problems:
        parts += ["# Problems with files", "", *(f"- {md(path)}: {md(text)}" for path, text in problems), ""]
    return "\n".join(parts)
