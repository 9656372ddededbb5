"""Tables in the shape of the paper's Table 3 (arXiv 2404.11932), as Markdown, LaTeX and CSV.

Rows are models by base model, columns accuracy, consistency and AC3 of each benchmark, in percent. One table a set-up:
scores that may not be ranked together stand in different tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossin_metrics.report.diagnosis import Finding, Rule
from crossin_metrics.report.draw.grid import NOT_SIGNIFICANT, OTHER_PROMPTS, UNTESTED, csv_text, md, tex
from crossin_metrics.report.entries import Entry, Group
from crossin_metrics.runs.signature import in_words
from crossin_metrics.scores.catalogue import MAIN_SCORES, SCORES

LEGEND = (
    f"In percent. **Bold**: best of its column. {NOT_SIGNIFICANT}: not significantly different from the best "
    "(two-sided paired bootstrap over questions, 5% level after Holm's correction over the column). "
    f"{UNTESTED}: shares no question and prompt with the best, untested. {OTHER_PROMPTS}: asked with other prompts "
    "than most rows. Means over prompts; AC3 is the harmonic mean of the two means. Rows marked published or stated "
    "come without samples and are not ranked."
)


@dataclass(frozen=True)
class Row:
    """One model's row: an entry, or None, for each group."""

    base: str
    system: str
    kind: str
    entries: tuple[Entry | None, ...]
    other_prompts: bool


@dataclass(frozen=True)
class Table:
    """One set-up's table."""

    title: str
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]


def build_tables(groups: Sequence[Group]) -> list[Table]:
    """One table a set-up, published rows below their benchmarks; those of no other table in one of their own."""
    by_setup: dict[str, list[Group]] = {}
    for group in groups:
        if group.setup is not None or group.mixed:
            title = "signatures mixed" if group.setup is None else in_words(group.setup)
            by_setup.setdefault(title, []).append(group)
    guests = [group for group in groups if group.setup is None and not group.mixed]
    tables = [_table(title, members, guests) for title, members in by_setup.items()]
    shown = {group.benchmark for members in by_setup.values() for group in members}
    rest = [group for group in guests if group.benchmark not in shown]
    if rest:
        by_benchmark: dict[str, Group] = {}
        for group in rest:
            by_benchmark.setdefault(group.benchmark, Group(group.benchmark, None, [])).entries.extend(group.entries)
        tables.append(_table("published or stated only", list(by_benchmark.values()), []))
    return tables


def _table(title: str, groups: list[Group], guests: list[Group]) -> Table:
    rows: dict[tuple[str, str, str], list[Entry | None]] = {}
    for column, group in enumerate(groups):
        for entry in [
            *group.entries,
            *(e for guest in guests if guest.benchmark == group.benchmark for e in guest.entries),
        ]:
            key = (entry.kind, entry.label.base, _system(entry))
            copy = 1
            while rows.setdefault(key, [None] * len(groups))[column] is not None:
                copy += 1  # several set-ups of one model, where signatures are mixed
                key = (entry.kind, entry.label.base, f"{_system(entry)} [{entry.formulation}, {copy}]")
            rows[key][column] = entry
    usual = _usual_prompts([entry for cells in rows.values() for entry in cells if entry is not None and entry.runs])
    order = {"measured": 0, "stated": 1, "published": 2}
    ordered = sorted(rows.items(), key=lambda item: (order[item[0][0]], item[0][1] == "", item[0][1:]))
    if any(kind == "measured" for (kind, _, _), _ in ordered):
        ordered = [item for item in ordered if item[0][0] != "published"] + [
            item for item in rows.items() if item[0][0] == "published"
        ]
    else:
        ordered = list(rows.items())
    return Table(
        title,
        tuple(groups),
        tuple(
            Row(base, system, kind, tuple(cells), any(e is not None and e.runs and e.prompts != usual for e in cells))
            for (kind, base, system), cells in ordered
        ),
    )


def _system(entry: Entry) -> str:
    if entry.label.system and entry.label.seed is None:
        return entry.label.system
    return entry.model


def _usual_prompts(entries: Sequence[Entry]) -> tuple[str, ...]:
    prompts = [entry.prompts for entry in entries]
    return max(prompts, key=lambda one: (prompts.count(one), len(one))) if prompts else ()


def mark(group: Group, entry: Entry, metric: str) -> str:
    """ "best", "same" (not significantly different from the best), "untested" or ""."""
    if entry.rank is None or metric not in group.best:
        return ""
    if entry is group.best[metric] or entry.scores.get(metric) == group.best[metric].scores[metric]:
        return "best"
    test = entry.tests.get(metric)
    if test is None:
        return "untested"
    return "" if test.significant else "same"


def cell(group: Group, entry: Entry | None, metric: str) -> tuple[str, str]:
    """A cell's text in percent, and its mark."""
    if entry is None or metric not in entry.scores:
        return "–", ""
    return f"{100 * entry.scores[metric]:.1f}", mark(group, entry, metric)


def heading(group: Group) -> str:
    """A column group's heading: benchmark and number of questions, where it has measured rows."""
    n = next((int(entry.scores["n_questions"]) for entry in group.entries if entry.runs), None)
    return group.benchmark if n is None else f"{group.benchmark} (n = {n})"


def baseline_rows(table: Table) -> list[tuple[str, list[str]]]:
    """Rows of the baselines: title and cells."""
    rows = []
    for name, title in (("constant", "baseline: best constant letter"), ("random", "baseline: random answers")):
        cells = []
        for group in table.groups:
            values = group.baselines.get(name, {})
            cells += [f"{100 * values[metric]:.1f}" if metric in values else "–" for metric in MAIN_SCORES]
        if any(text != "–" for text in cells):
            rows.append((title, cells))
    return rows


def markdown(tables: Sequence[Table]) -> str:
    """All tables, their legend and the signatures of their rows."""
    parts = ["# Accuracy, consistency and AC3", "", LEGEND, ""]
    for table in tables:
        parts += [f"## {md(table.title)}", ""]
        names = [f"{md(heading(group))} {SCORES[metric].column}" for group in table.groups for metric in MAIN_SCORES]
        parts.append("| " + " | ".join(["Base", "Model", *names]) + " |")
        parts.append("|" + "---|" * 2 + "---:|" * len(names))
        for row in table.rows:
            parts.append("| " + " | ".join([md(row.base), md(_name(row)), *_cells(table, row, _md_cell)]) + " |")
        parts += ["| " + " | ".join(["", f"*{title}*", *cells]) + " |" for title, cells in baseline_rows(table)]
        parts += ["", "Signatures:", ""]
        seen: dict[str, None] = {}
        for row in table.rows:
            for entry in row.entries:
                if entry is not None:
                    seen[f"- {md(_name(row))}: `{entry.signature.replace('`', '')}`"] = None
        parts += [*seen, ""]
    return "\n".join(parts)


def _name(row: Row) -> str:
    mark = f" {OTHER_PROMPTS}" if row.other_prompts else ""
    return f"{row.system}{mark}{'' if row.kind == 'measured' else f' ({row.kind})'}"


def _cells(table: Table, row: Row, show: object) -> list[str]:
    return [
        show(*cell(group, entry, metric))  # type: ignore[operator]
        for group, entry in zip(table.groups, row.entries, strict=True)
        for metric in MAIN_SCORES
    ]


def _md_cell(text: str, marked: str) -> str:
    suffix = {"same": f" {NOT_SIGNIFICANT}", "untested": f" {UNTESTED}"}.get(marked, "")
    return f"**{text}**" if marked == "best" else text + suffix


def _tex_cell(text: str, marked: str) -> str:
    suffix = {"same": "$^{\\approx}$", "untested": "$^{?}$"}.get(marked, "")
    return f"\\textbf{{{text}}}" if marked == "best" else tex(text) + suffix


def latex(tables: Sequence[Table]) -> str:
    """All tables for `\\input`; the packages booktabs and graphicx are needed."""
    legend = LEGEND.replace("**Bold**", "Bold").replace("%", "\\%")
    legend = legend.replace(NOT_SIGNIFICANT, "$\\approx$").replace(OTHER_PROMPTS, "$\\ddagger$")
    parts = ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}."]
    for table in tables:
        width = len(MAIN_SCORES)
        parts += [
            "\\begin{table*}[t]",
            "\\centering",
            "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%",
        ]
        parts.append(f"\\begin{{tabular}}{{ll{'rrr' * len(table.groups)}}}\n\\toprule")
        tops = [f"\\multicolumn{{{width}}}{{c}}{{{tex(heading(group))}}}" for group in table.groups]
        parts.append(" & ".join(["", "", *tops]) + " \\\\")
        parts.append("".join(f"\\cmidrule(lr){{{3 + width * i}-{2 + width * (i + 1)}}}" for i in range(len(tops))))
        parts.append(
            " & ".join(["Base", "Model", *[SCORES[m].column for m in MAIN_SCORES] * len(tops)]) + " \\\\\n\\midrule"
        )
        last: tuple[str, str] | None = None
        for row in table.rows:
            if last is not None and last != (row.kind, row.base):
                parts.append("\\midrule")
            base = tex(row.base) if last != (row.kind, row.base) else ""
            last = (row.kind, row.base)
            parts.append(" & ".join([base, tex(_name(row)), *_cells(table, row, _tex_cell)]) + " \\\\")
        baselines = baseline_rows(table)
        if baselines:
            parts.append("\\midrule")
        parts += [" & ".join(["", f"\\emph{{{title}}}", *map(tex, cells)]) + " \\\\" for title, cells in baselines]
        signatures = dict.fromkeys(
            f"% {' '.join(_name(row).split())}: {' '.join(entry.signature.split())}"
            for row in table.rows
            for entry in row.entries
            if entry is not None
        )
        parts += [
            "\\bottomrule",
            "\\end{tabular}}",
            f"\\caption{{{tex(table.title)}. {legend}}}",
            "\\end{table*}",
            *signatures,
            "",
        ]
    return "\n".join(parts)


def scores_csv(groups: Sequence[Group]) -> str:
    """Every entry with every score, interval, corrected p-value and signature; shares, not percent."""
    keys = list(dict.fromkeys(key for group in groups for entry in group.entries for key in entry.scores))
    head = ["benchmark", "model", "base", "system", "arm", "n_samples", "translation", "tag", "seed", "kind"]
    head += ["formulation", "prompts", "rank"]
    for metric in MAIN_SCORES:
        head += [f"{metric}_low", f"{metric}_high", f"{metric}_minus_best", f"{metric}_p_vs_best"]
    rows: list[list[object]] = [[*head, *keys, "signature", "source"]]
    for group in groups:
        for entry in group.entries:
            label = entry.label
            said = {None: "", True: "yes", False: "no"}[label.translation]
            row: list[object] = [entry.benchmark, entry.model, label.base, label.system, label.arm]
            row += ["" if label.n_samples is None else label.n_samples, said, label.tag]
            row += ["" if label.seed is None else label.seed, entry.kind, entry.formulation]
            row += [" ".join(entry.prompts), "" if entry.rank is None else entry.rank]
            for metric in MAIN_SCORES:
                low, high = entry.intervals.get(metric, ("", ""))
                test = entry.tests.get(metric)
                row += [low, high, *(("", "") if test is None else (test.difference, test.p_value))]
            row += [entry.scores.get(key, "") for key in keys]
            rows.append([*row, entry.signature, entry.source])
    return csv_text(rows)


def prompts_csv(groups: Sequence[Group]) -> str:
    """The headline scores of every single prompt."""
    rows: list[list[object]] = [["benchmark", "model", "kind", "formulation", "prompt", *MAIN_SCORES]]
    for group in groups:
        for entry in group.entries:
            for prompt, scores in entry.by_prompt.items():
                values = [scores.get(metric, "") for metric in MAIN_SCORES]
                rows.append([entry.benchmark, entry.model, entry.kind, entry.formulation, prompt, *values])
    return csv_text(rows)


def text_of_findings(
    findings: Sequence[tuple[Entry, Sequence[Finding]]], rules: Sequence[Rule], problems: Sequence[tuple[str, str]]
) -> str:
    """The diagnosis as Markdown: findings by entry, the rules, remarks on files."""
    parts = ["# Diagnosis", ""]
    for entry, found in findings:
        if found:
            parts += [f"## {md(entry.model)} on {md(entry.benchmark)} ({md(entry.formulation)})", ""]
            parts += [f"- **{one.rule}**: {md(one.text)}." for one in found]
            parts += ["", f"`{entry.signature.replace('`', '')}`", ""]
    parts += ["# Rules", "", *(f"- **{rule.name}**: {md(rule.condition)}." for rule in rules), ""]
    if problems:
        parts += ["# Remarks on files", "", *(f"- {md(path)}: {md(text)}" for path, text in problems), ""]
    return "\n".join(parts)
