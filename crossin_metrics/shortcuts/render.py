"""The report for people: text for a terminal, Markdown for a page or a data set card, a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from crossin_metrics.sets.answer_kinds import KINDS
from crossin_metrics.shortcuts.report import ALL, Report, Tested
from crossin_metrics.text_tables import align, markdown_table, md, percent

_SHOWN_IDS = 10
_LEGEND = (
    "In percent. *: not chance, by Holm's correction over all {n} tests at level {level:g} (exact and two-sided; of "
    "learned rules a permutation test, one-sided: on well-balanced places the learned place is below chance). "
    "{every}: the languages together, tested with their agreement. Rules marked + read the passage: what they find "
    "is shallow reading, not given away by the options."
)


def verdict(report: Report) -> str:
    """The findings in a sentence or two."""
    given_away = [test for test in report.flagged if not test.reads_passage]
    shallow = [test for test in report.flagged if test.reads_passage]
    out = [
        f"No rule without the passage differs from chance ({len(report.tests)} tests)."
        if not given_away
        else f"Not explained by chance: {_listed(given_away)}."
    ]
    if shallow:
        out.append(f"Shallow reading of the passage: {_listed(shallow)}.")
    return " ".join(out)


def text(report: Report) -> str:
    """The report for a terminal."""
    blocks = [_head(report), align(_guessers(report))]
    if report.agreement:
        blocks.append("agreement of the languages\n" + align(_agreement(report)))
    blocks.append("options\n" + align(_options(report)))
    blocks.append("\n".join([*_gold(report), *_doubles(report), *report.notes]))
    blocks.append(_legend(report) + "\n" + verdict(report))
    return "\n\n".join(blocks)


def markdown(report: Report, *, figure: str | None = None, level: int = 1) -> str:
    """The report as Markdown.

    Args:
        report: what was found.
        figure: file name of the plot beside the page; None: no plot.
        level: of the first heading.
    """
    mark = "#" * level
    parts = [
        f"{mark} Shortcut baselines: {md(report.data['name'])}",
        md(_head(report)),
        md(verdict(report)),
        *([f"![Share of questions each rule answers]({figure})"] if figure else []),
        f"{mark}# What can be answered without understanding",
        _md_table(_guessers(report)),
        md(_legend(report)),
        _md_table([["rule", "picks"], *report.rules.items()], 2),
    ]
    if report.agreement:
        parts += [
            f"{mark}# The same questions in every language?",
            _md_table(_agreement(report)),
            "In percent; accuracy, consistency and AC3 as for a model. `everywhere`: solved in every language; "
            "`independent`: the same if languages were independent of each other; `anywhere`: solved in one.",
        ]
    parts += [f"{mark}# Options", _md_table(_options(report))]
    parts += ["\n".join(f"- {md(line)}" for line in [*_gold(report), *_doubles(report), *report.notes])]
    parts += [
        f"{mark}# Every test",
        _md_table(_tests(report), 2),
        "Rows right of rows asked, Wilson's 95% interval (of all languages together a normal one over questions), the "
        "p-value against chance, and Holm's corrected one.",
    ]
    return "\n\n".join(parts) + "\n"


def plot(report: Report) -> tuple[str, bytes]:
    """The share of questions that each rule answers, as SVG text and PNG bytes; the same on every machine.

    Needs matplotlib.
    """
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure as Canvas

    from crossin_metrics.report.draw.style import annotate, drawn

    columns, names = _columns(report), list(report.rules)
    values = np.full((len(names), len(columns)), np.nan)
    stars: set[tuple[int, int]] = set()
    for test in report.tests:
        line = names.index(test.rule)
        for place in [columns.index(test.language)] if test.language else range(len(columns)):
            values[line, place] = 100 * test.share
            if test.flag:
                stars.add((line, place))
    chance = 100 * next((test.chance for test in report.tests if test.language), 0.25)

    def canvas() -> Any:
        made = Canvas(figsize=(max(3.4, 2.2 + 0.5 * len(columns)), 1.1 + 0.26 * len(names)), layout="constrained")
        axes: Any = made.subplots()
        # Blue below chance, red above; the same colour means the same distance in every report.
        axes.imshow(values, cmap="RdBu_r", norm=TwoSlopeNorm(chance, 0, 100), aspect="auto")
        annotate(axes, values, lambda value: value > 75 or value < chance / 4, stars)
        axes.set_xticks(range(len(columns)), columns, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        made.suptitle(
            f"Right answers, percent\nchance {chance:.0f}; *: not chance", fontsize=9
        )  # as wide as the figure
        axes.tick_params(length=0)
        return made

    found = drawn("artefacts", canvas)
    assert found is not None  # there is always something to show
    return found


def _md_table(rows: Sequence[Sequence[str]], n_text: int = 1) -> str:
    return "\n".join(markdown_table(rows[0], rows[1:], n_text))


def _head(report: Report) -> str:
    data, settings = report.data, report.settings
    head = (
        f"{data['name']}: {data['n_questions']} questions, {data['n_groups']} passages or single questions, "
        f"{len(data['languages'])} language(s) ({', '.join(data['languages'])}); {data['source']}, {data['hash']}"
    )
    if settings["model"] is not None:
        head += f"; model {settings['model']} without the passage, {settings['n_asked']} questions"
    return head


def _legend(report: Report) -> str:
    return _LEGEND.format(n=len(report.tests), level=report.settings["level"], every=ALL)


def _columns(report: Report) -> list[str]:
    codes = list(report.data["languages"])
    return [*codes, ALL] if len(codes) > 1 else codes


def _guessers(report: Report) -> list[list[str]]:
    """Rule by rule, language by language: share with interval, star; chance first."""
    columns = _columns(report)
    wide = len(columns) <= 6
    chance = next((t.chance for t in report.tests if t.language), 0.0)
    rows = [["rule", *columns], ["(chance)", *([percent(chance)] * len(columns))]]
    for name in report.rules:
        by = {test.language: test for test in report.tests if test.rule == name}
        mark = "+" if next(iter(by.values())).reads_passage else ""
        if "" in by:  # a place is the same in every language
            cells = [_cell(by[""], wide=wide)] * len(columns)
        else:
            cells = [_cell(by[code], wide=wide) if code in by else "-" for code in columns]
        rows.append([name + mark, *cells])
    return rows


def _tests(report: Report) -> list[list[str]]:
    rows = [["rule", "language", "right", "of", "%", "95%", "chance", "p", "p (Holm)", ""]]
    for test in report.tests:
        shares = [percent(test.share), f"{percent(test.low)}-{percent(test.high)}", percent(test.chance)]
        p_values = [f"{test.p_value:.2g}", f"{test.p_holm:.2g}"]
        rows.append([test.rule, test.language, str(test.hits), str(test.n), *shares, *p_values, test.flag])
    return rows


def _cell(test: Tested, *, wide: bool) -> str:
    star = "*" if test.flag else " "
    interval = f" [{100 * test.low:.0f}-{100 * test.high:.0f}]" if wide else ""
    return f"{percent(test.share)}{interval}{star}"


def _agreement(report: Report) -> list[list[str]]:
    keys = ("acc", "consistency", "ac3", "everywhere", "independent", "anywhere")
    return [["rule", *keys], *([name, *(percent(by[k]) for k in keys)] for name, by in report.agreement.items())]


def _options(report: Report) -> list[list[str]]:
    """Statistics line by line, languages in columns."""
    found = report.languages.values()
    rows = [["", *report.languages]]
    for side, what in (("gold", "right"), ("distractors", "wrong")):
        lengths = [by["length"][side] for by in found]
        spans = [f"{one['p50']:.0f} ({one['p5']:.0f}-{one['p95']:.0f})" for one in lengths]
        rows.append([f"{what} options: characters, median (5%-95%)", *spans])
    ratios = [f"{by['length']['ratio']:.2f}" for by in found]
    rows.append(["length, right to wrong (geometric mean)", *ratios])
    for end in ("longest", "shortest"):
        rows.append([f"right one is the {end}, %", *(percent(by["length"][f"gold_{end}"]) for by in found)])
    for name in KINDS:
        rows.append([f"{name}, % of right / wrong", *(_both(by["kinds"], name) for by in found)])
    rows.append(["right one is the only of its kind, %", *(percent(by["kinds"]["gold_alone"]) for by in found)])
    if any(by["in_passage"] for by in found):
        rows.append(["word for word in the passage, % of right / wrong", *(_both(by["in_passage"]) for by in found)])
    return rows


def _both(shares: dict[str, Any], name: str | None = None) -> str:
    """A share of right and of wrong options."""
    both = [shares[side] if name is None else shares[side][name] for side in ("gold", "distractors")]
    return " / ".join(map(percent, both))


def _gold(report: Report) -> list[str]:
    places = ", ".join(f"{letter} {n}" for letter, n in report.data["gold_places"].items())
    return [f"right options by place: {places}"]


def _doubles(report: Report) -> list[str]:
    """Equal options and repeated questions, by language, with ids."""
    out = []
    for key, what in (("options", "questions with two equal options"), ("questions", "questions asked twice")):
        for code, by in report.languages.items():
            ids = by["duplicates"][key]
            if ids:
                more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
                out.append(f"{what}, {code}: {len(ids)} ({', '.join(ids[:_SHOWN_IDS])}{more})")
    return out or ["no equal options, no question asked twice on one passage"]


def _listed(tests: Iterable[Tested]) -> str:
    """`longest above chance (25.0%): en 80.2%, zh 79.0%; ...`"""
    by_side: dict[tuple[str, str], list[Tested]] = {}
    for test in tests:
        by_side.setdefault((test.rule, test.flag), []).append(test)
    parts = []
    for (rule, side), those in by_side.items():
        where = ", ".join(f"{test.language} {percent(test.share)}%".strip() for test in those)
        parts.append(f"{rule} {side} chance ({percent(those[0].chance)}%): {where}")
    return "; ".join(parts)
