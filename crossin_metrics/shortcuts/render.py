"""An artefact report for people: aligned text for a terminal, Markdown for a page or a dataset card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crossin_metrics.shortcuts.report import ALL, Report, Tested
from crossin_metrics.shortcuts.texts import KINDS

_SHOWN_IDS = 10
_LEGEND = (
    "In percent. `*`: not chance, by Holm's correction over all {n} tests at level {level:g} (exact and two-sided; of "
    "learned rules a permutation test, one-sided: on well-balanced places the learned place is below chance). "
    "`{every}`: the languages together, tested with their agreement. Rules marked + read the passage: what they find "
    "is shallow reading, not given away by the options."
)


def verdict(report: Report) -> str:
    """The findings in a sentence or two."""
    given_away = _by_rule(test for test in report.flagged if not test.reads_passage)
    shallow = _by_rule(test for test in report.flagged if test.reads_passage)
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
    from crossin_metrics.text_tables import align

    blocks = [_head(report)]
    blocks.append(align(_guessers(report)))
    if report.agreement:
        blocks.append("agreement of the languages\n" + align(_agreement(report)))
    blocks.append("options\n" + align(_options(report), left=1))
    blocks.append("\n".join([*_gold(report), *_doubles(report), *report.notes]))
    blocks.append(_legend(report).replace("`", "") + "\n" + verdict(report))
    return "\n\n".join(blocks)


def markdown(report: Report, *, figure: str | None = None, level: int = 1) -> str:
    """The report as Markdown.

    Args:
        report: what was found.
        figure: file name of the plot beside the page; None: no plot.
        level: of the first heading.
    """
    mark = "#" * level
    rules = [[f"`{name}`", says] for name, says in report.rules.items()]
    parts = [
        f"{mark} Artefacts: {escape(report.data['name'])}",
        escape(_head(report)),
        verdict(report),
        *([f"![Share of questions each rule answers]({figure})"] if figure else []),
        f"{mark}# Who finds the answer without understanding",
        _table(_guessers(report)),
        _legend(report),
        _table([["rule", "picks"], *rules], left=2),
    ]
    if report.agreement:
        parts += [
            f"{mark}# The same questions in every language?",
            _table(_agreement(report)),
            "In percent; accuracy, consistency and AC3 as for a model. `everywhere`: solved in every language; "
            "`independent`: what that were if languages had nothing to do with each other; `anywhere`: solved in one.",
        ]
    parts += [f"{mark}# Options", _table(_options(report))]
    parts += ["\n".join(f"- {escape(line)}" for line in [*_gold(report), *_doubles(report), *report.notes])]
    parts += [
        f"{mark}# Every test",
        _table(_tests(report), left=2),
        "Rows right of rows asked, Wilson's 95% interval (of all languages together a normal one over questions), the "
        "p-value against chance, and Holm's corrected one.",
    ]
    return "\n\n".join(parts) + "\n"


def escape(value: str) -> str:
    """Text of a data set (names, ids) that Markdown and HTML show as it is, on one line."""
    value = " ".join(value.split())
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        value = value.replace(sign, instead)
    return "".join(f"\\{c}" if c in "\\`*[]|" else c for c in value)


def _head(report: Report) -> str:
    data, settings = report.data, report.settings
    said = (
        f"{data['name']}: {data['n_questions']} questions, {data['n_groups']} passages or single questions, "
        f"{len(data['languages'])} language(s) ({', '.join(data['languages'])}); {data['source']}, {data['hash']}"
    )
    if settings["model"] is not None:
        said += f"; model {settings['model']} without the passage, {settings['n_asked']} questions"
    return said


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
    rows = [["rule", *columns], ["(chance)", *([_percent(chance)] * len(columns))]]
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
        shares = [_percent(test.share), f"{_percent(test.low)}-{_percent(test.high)}", _percent(test.chance)]
        p_values = [f"{test.p_value:.2g}", f"{test.p_holm:.2g}"]
        rows.append([test.rule, test.language, str(test.hits), str(test.n), *shares, *p_values, test.flag])
    return rows


def _cell(test: Tested, *, wide: bool) -> str:
    star = "*" if test.flag else " "
    interval = f" [{100 * test.low:.0f}-{100 * test.high:.0f}]" if wide else ""
    return f"{_percent(test.share)}{interval}{star}"


def _agreement(report: Report) -> list[list[str]]:
    keys = ("acc", "consistency", "ac3", "everywhere", "independent", "anywhere")
    return [["rule", *keys], *([name, *(_percent(by[k]) for k in keys)] for name, by in report.agreement.items())]


def _options(report: Report) -> list[list[str]]:
    """Statistics line by line, languages in columns."""
    found = report.languages
    rows = [["", *found]]

    def add(name: str, values: Sequence[str]) -> None:
        rows.append([name, *values])

    for side, what in (("gold", "right"), ("distractors", "wrong")):
        lengths = [by["length"][side] for by in found.values()]
        add(
            f"{what} options: characters, median (5%-95%)",
            [f"{one['p50']:.0f} ({one['p5']:.0f}-{one['p95']:.0f})" for one in lengths],
        )
    add("length, right to wrong (geometric mean)", [f"{by['length']['ratio']:.2f}" for by in found.values()])
    for end in ("longest", "shortest"):
        add(f"right one is the {end}, %", [_percent(by["length"][f"gold_{end}"]) for by in found.values()])
    for name in KINDS:
        shares = [(by["kinds"]["gold"][name], by["kinds"]["distractors"][name]) for by in found.values()]
        add(f"{name}, % of right / wrong", [f"{_percent(a)} / {_percent(b)}" for a, b in shares])
    add("right one is the only of its kind, %", [_percent(by["kinds"]["gold_alone"]) for by in found.values()])
    if any(by["in_passage"] for by in found.values()):
        shares = [(by["in_passage"]["gold"], by["in_passage"]["distractors"]) for by in found.values()]
        add("word for word in the passage, % of right / wrong", [f"{_percent(a)} / {_percent(b)}" for a, b in shares])
    return rows


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


def _by_rule(tests: Iterable[Tested]) -> dict[str, list[Tested]]:
    out: dict[str, list[Tested]] = {}
    for test in tests:
        out.setdefault(test.rule, []).append(test)
    return out


def _listed(found: dict[str, list[Tested]]) -> str:
    """`longest above chance (25.0%): en 80.2%, zh 79.0%; ...`"""
    parts = []
    for name, tests in found.items():
        for side in ("above", "below"):
            those = [test for test in tests if test.flag == side]
            if those:
                where = ", ".join(f"{test.language} {_percent(test.share)}%".strip() for test in those)
                parts.append(f"{name} {side} chance ({_percent(those[0].chance)}%): {where}")
    return "; ".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    width = len(rows[0])
    rule = ["---" if i < left else "---:" for i in range(width)]
    cells = [[cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [cells[0], rule, *cells[1:]])
