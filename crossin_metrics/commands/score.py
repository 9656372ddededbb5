"""`crossin score FILE...`: scores of prediction tables and harness sample logs, as plain text or as JSON."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crossin_metrics.commands.arguments import add_reading_arguments, count, names, progress, resamples, warn
from crossin_metrics.text_tables import align, number, show, terminal

if TYPE_CHECKING:
    from crossin_metrics.commands.score_causes import AskedAgain
    from crossin_metrics.runs.run import Run
    from crossin_metrics.runs.scored import Scored

_CAUSES = ("only_correct", "excess_consistency", "wrong_agreement")
_WIDEST_MATRIX = 16  # languages whose pair matrix still fits a terminal

_EPILOG = """\
FILE may be (recognised by its content):
  a prediction table      columns id, language, answer, gold (+ model, mode, prompt, logprobs ...): JSON Lines,
                          .gz, CSV, Parquet; answer and gold are option indices from 0; an empty answer counts as none
  a harness sample log    samples_<task>_<time>.jsonl of `lm_eval --log_samples`: crossin's tasks, and belebele,
                          global_mmlu(_full), mmlu_prox(_lite), mmmlu, m_mmlu, arc_<xx>, xcopa, xstorycloze, paws:
                          give the files of all languages; they are joined by question
  a SeaEval log           <model>/<set>/<mode>_p<N>.json, of its parallel sets: answers are parsed from the text
  a folder                every samples_*.jsonl and every SeaEval log below it

examples:
  crossin score predictions.jsonl.gz
  crossin score predictions.csv --languages en,zh,vi --json > scores.json
  crossin score out/my_model/samples_belebele_*.jsonl
  crossin score out/                                      (one row a model and task)
  crossin score out/ --suspects                           (questions that most models fail in one language only)
  crossin score samples_copa_*.jsonl --id-field doc.idx --language-from '^copa_([a-z]{2})$'

Runs that differ in prompt or order of options only are the same rows asked again: they show how steady the model is
within a language. Questions that some language lacks are left out, with a
warning. Exit code: 0 done, 2 a mistake in the input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="prediction tables, sample logs, or folders of these logs"
    )
    parser.add_argument("--languages", metavar="L,L", help="codes or names to score, comma-separated (default: all)")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object alone: scores, or {run: scores} of many runs"
    )
    parser.add_argument("--full", action="store_true", help="print every score of every run, not the headline ones")
    parser.add_argument(
        "--by",
        choices=("group",),
        help="one row for each group of questions (subject, relation, passage), those where languages part most first",
    )
    parser.add_argument(
        "--suspects",
        action="store_true",
        help="list the questions that most of several models fail in one language only: often a translation's defect",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="write the output to FILE as well, whole or not at all"
    )
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=resamples,
        default=1000,
        help="resamples of the questions for standard errors; 0: none",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=count,
        default=0,
        help="seed of the bootstrap and of --unanswered random (default: 0)",
    )
    parser.add_argument(
        "--read-again",
        action="store_true",
        help="read the answers of generation tasks out of the logged texts anew, old logs' and other tasks' too",
    )
    add_reading_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, score and print; returns the exit code."""
    from crossin_metrics.commands.score_causes import AskedAgain, suspect_text
    from crossin_metrics.runs.log_fields import LogFields
    from crossin_metrics.runs.run import read_predictions
    from crossin_metrics.runs.scored import flat_scores, score_run
    from crossin_metrics.scores.ties import tie_note
    from crossin_metrics.scores.uncertainty import few_note

    fields = LogFields(args.id_field, args.language_from, args.gold_field)
    fields.pattern()  # reports a bad expression before long files are read
    with progress() as bar:
        runs = read_predictions(
            args.files,
            names(args.languages, "--languages"),
            fields=fields,
            skip_mismatched=args.skip_mismatched,
            unanswered=args.unanswered,
            seed=args.seed,
            read_again=args.read_again,
            warn=warn,
            progress=bar,
        )
    for scored in runs:
        for note in scored.notes:
            warn(note)
        if said := tie_note(scored.questions().ties, scored.answers.size):
            warn(f"run {scored.name}: {said}")
        if len(scored.languages) == 1:
            warn(f"run {scored.name}: only {scored.languages[0]}, so there is no consistency")
        if args.bootstrap and (said := few_note(scored.questions())):
            warn(f"run {scored.name}: {said}")
    if args.suspects:
        return _print(suspect_text(runs, as_json=args.json), args.out)
    groups: list[tuple[str, str]] = []  # run, group
    if args.by is not None:
        parts = {(one.name, group): part for one in runs for group, part in one.by_group().items()}
        groups, runs = list(parts), [replace(part, name="|".join(pair)) for pair, part in parts.items()]
    results = [score_run(scored, args.bootstrap, args.seed, pairs=args.full) for scored in runs]
    again = AskedAgain([] if args.by is not None else runs, args.bootstrap, args.seed)
    if args.by is None and (args.json or args.full or len(runs) == 1):
        results = [_with_causes(scored, result, again, args) for scored, result in zip(runs, results, strict=True)]
    if args.json:
        flat = [flat_scores(*result) for result in results]
        named = dict(zip((scored.name for scored in runs), flat, strict=True))
        text = json.dumps(flat[0] if len(runs) == 1 else named, indent=1, ensure_ascii=False, allow_nan=False)
    elif args.by is not None:
        tables: dict[str, dict[str, Scored]] = {}
        for (name, group), result in zip(groups, results, strict=True):
            tables.setdefault(name, {})[group] = result
        text = "\n\n".join(f"{name}\n{_groups(found)}" for name, found in tables.items())
    elif len(runs) == 1 or args.full:
        text = "\n\n".join(
            _one_run(scored, *result, full=args.full) for scored, result in zip(runs, results, strict=True)
        )
    else:
        text = _many_runs(runs, results)
    if again.groups and not args.json:
        text = f"{text}\n\n{again.text(full=args.full)}"
    return _print(text, args.out)


def _print(text: str, out: Path | None) -> int:
    if out is not None:
        from crossin_metrics.files import write_text

        write_text(out, terminal(text) + "\n")
    show(text)
    return 0


def _with_causes(run: Run, result: Scored, again: AskedAgain, args: argparse.Namespace) -> Scored:
    """The scores, with what consistency is made of."""
    from crossin_metrics.scores.causes.excess import beyond_accuracy
    from crossin_metrics.scores.uncertainty import score_intervals, standard_errors

    scores, errors, intervals = dict(result.scores), dict(result.errors), dict(result.intervals)
    for found in (beyond_accuracy(run.questions(), n_resamples=args.bootstrap or 2, seed=args.seed), again.floor(run)):
        if found is None:
            continue
        scores |= found.estimate
        if args.bootstrap:
            known = {key for key in found.estimate if not key.startswith("baseline")}
            errors |= {key: value for key, value in standard_errors(found).items() if key in known}
            intervals |= {key: ends for key, ends in score_intervals(found).items() if key in known}
    return result._replace(scores=scores | again.disagreements(run), errors=errors, intervals=intervals)


def _interval(value: float, error: float, ends: tuple[float, float] | None) -> str:
    """The 95% interval; "at least" and "at most" where all or nothing was right; `*` where nothing varies."""
    if ends is None or math.isnan(ends[0]):
        return ""
    mark = " *" if error == 0.0 else ""
    if value in (0.0, 1.0) and error == 0.0:
        return (f"at least {number(ends[0], 3)}" if value else f"at most {number(ends[1], 3)}") + mark
    return f"[{number(ends[0], 3)}, {number(ends[1], 3)}]{mark}"


def _one_run(
    run: Run,
    scores: Mapping[str, float],
    errors: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    *,
    full: bool = False,
) -> str:
    """Everything about one run: headline scores, languages, pairs; all keys with `full`."""
    from crossin_metrics.runs.signature import signature_of
    from crossin_metrics.scores.catalogue import HEADLINE, describe
    from crossin_metrics.scores.uncertainty import ROUGH, ROUGH_CAUSES, ROUGH_SAID, unit_of

    codes, questions = run.languages, run.questions()
    signature = signature_of(run) if run.settings.get("signature") else ""
    blocks = ["\n".join([run.name, *([f"signature {signature}"] if signature else []), _counts(run, scores)])]
    keys = [key for key in (*HEADLINE, *_CAUSES) if key in scores]
    few = questions.n_units < ROUGH_CAUSES
    rough = [key for key in intervals if key in ROUGH or (few and describe(key).kind == "cause")]
    if full:
        shown_below = {*keys, *(key for key in scores if key.startswith("disagree"))}
        keys += [key for key in scores if key not in shown_below and describe(key).kind != "count"]
    table = [["score", "value", *(["SE", "95% interval"] if errors else [])]]
    for key in keys:
        cells = [number(errors.get(key)), _interval(scores[key], errors.get(key, math.nan), intervals.get(key))]
        cells[1] += " ~" if key in rough else ""
        table.append([key, number(scores[key]), *(cells if errors else [])])
    blocks.append(align(table))
    if any(row[-1].endswith("*") for row in table):
        units = f"{questions.n_units} {unit_of(questions)}"
        blocks.append(f"* no resample differs (SE 0): the interval is Wilson's for {units}")
    if rough:
        blocks.append(f"~ {ROUGH_SAID}")
    blocks.append(align(_language_rows(codes, scores, errors)))
    if run.rules is not None:
        from crossin_metrics.runs.readings import reading_rows

        blocks.append("how answers were read (rows by rule)\n" + align(reading_rows(run)))
    if 1 < len(codes) <= _WIDEST_MATRIX:
        blocks.append("consistency of language pairs\n" + align(_pair_matrix(codes, scores)))
    elif len(codes) > _WIDEST_MATRIX:
        blocks.append(_extreme_pairs(codes, scores))
    if "disagree" in scores:
        from crossin_metrics.commands.score_causes import reason_table

        blocks.append(reason_table(codes, scores, full=full))
    return "\n\n".join(blocks)


def _counts(run: Run, scores: Mapping[str, float]) -> str:
    n_languages, n_questions = len(run.languages), int(scores["n_questions"])
    listed = f" ({', '.join(run.languages)})" if n_languages <= _WIDEST_MATRIX else ""
    units = run.questions().n_units
    passages = f" on {units} passages, over which errors and intervals are taken," if units < n_questions else ""
    parts = [
        f"{n_questions} questions{passages} in {n_languages} languages{listed}",
        f"{int(scores['n_unanswered'])} of {n_questions * n_languages} rows unanswered",
    ]
    if "n_tied" in scores:
        parts.insert(2, f"{int(scores['n_tied'])} tied")
    if run.n_incomplete:
        parts.append(f"{run.n_incomplete} incomplete questions left out")
    return "; ".join(parts)


def _language_rows(codes: Sequence[str], scores: Mapping[str, float], errors: Mapping[str, float]) -> list[list[str]]:
    """Per language: accuracy, its mean consistency with the other languages, transfer from English."""
    several, transfer = len(codes) > 1, any(f"transfer_{code}" in scores for code in codes)
    head = ["language", "acc", *(["SE"] if errors else []), *(["consistency"] if several else [])]
    rows = [head + (["transfer"] if transfer else [])]
    for code in codes:
        row = [code, number(scores[f"acc_{code}"])]
        if errors:
            row.append(number(errors.get(f"acc_{code}")))
        if several:
            others = [_pair_score(scores, code, other) for other in codes if other != code]
            row.append(number(sum(others) / len(others)))
        if transfer:
            row.append(number(scores.get(f"transfer_{code}")))
        rows.append(row)
    return rows


def _pair_score(scores: Mapping[str, float], a: str, b: str) -> float:
    """consistency_<a>_<b>, whose languages are in alphabetical order."""
    first, second = sorted((a, b))
    return scores[f"consistency_{first}_{second}"]


def _pair_matrix(codes: Sequence[str], scores: Mapping[str, float]) -> list[list[str]]:
    rows = [["", *codes[:-1]]]
    for i, code in enumerate(codes[1:], 1):
        rows.append([code, *(number(_pair_score(scores, code, other), 3) for other in codes[:i])])
    return rows


def _extreme_pairs(codes: Sequence[str], scores: Mapping[str, float], n: int = 5) -> str:
    pairs = [(_pair_score(scores, a, b), a, b) for i, a in enumerate(codes) for b in codes[i + 1 :]]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [["most consistent pairs", ""], *([f"{a} {b}", number(value)] for value, a, b in pairs[:n])]
    rows += [["least consistent pairs", ""], *([f"{a} {b}", number(value)] for value, a, b in pairs[-n:])]
    return align(rows) + f"\n(all {len(pairs)} pairs: --full or --json)"


def _groups(results: Mapping[str, Scored]) -> str:
    """One row per group of questions with 95% intervals, the least consistent first."""
    columns = ("consistency", "acc", "ac3")
    rows = [["group", *(name for column in columns for name in (column, "95%")), "n"]]
    for group, (scores, errors, intervals) in sorted(
        results.items(), key=lambda item: (item[1].scores.get("consistency", 0.0), item[0])
    ):
        cells = []
        for name in columns:
            value = scores.get(name)
            shown = "" if value is None else _interval(value, errors.get(name, math.nan), intervals.get(name))
            cells += [number(value), shown]
        rows.append([group, *cells, str(int(scores["n_questions"]))])
    return align(rows)


def _many_runs(runs: Sequence[Run], results: Sequence[Scored]) -> str:
    """One row per run, the best AC3 of each task first; the standard error in brackets."""
    columns = ("acc", "consistency", "ac3", "fleiss_kappa", "baseline_constant_ac3", "baseline_random_ac3")
    rows = [
        [
            "run",
            *(re.sub("^baseline_(constant|random)_ac3$", r"ac3:\1", name) for name in columns),
            "langs",
            "n",
            "unanswered",
        ]
    ]
    for run, (scores, errors, _) in sorted(zip(runs, results, strict=True), key=lambda pair: _order(*pair)):
        cells = []
        for name in columns:
            shown = number(scores.get(name))
            error = None if name.startswith("baseline") else errors.get(name)
            if error is not None and shown != "-" and not math.isnan(error):
                shown += f" ({error:.3f})" if error else " (*)"  # SE 0: no resample differs
            cells.append(shown)
        counts = [str(len(run.languages)), str(int(scores["n_questions"])), str(int(scores["n_unanswered"]))]
        rows.append([run.name, *cells, *counts])
    flat = any("(*)" in cell for row in rows for cell in row)
    return align(rows) + ("\n\n* SE 0: no resample differs; score the run alone for its interval" if flat else "")


def _order(run: Run, result: Scored) -> tuple[str, float]:
    """Task by task; within one, undefined scores last."""
    value = result[0].get("ac3", math.nan)
    return str(run.task), -value if math.isfinite(value) else math.inf
