"""`crossin compare A B`: is system A better than system B, question by question, with tests and intervals."""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from crossin_metrics.commands.arguments import add_reading_arguments, at_least, count, names, progress, warn
from crossin_metrics.text_tables import show

if TYPE_CHECKING:
    from crossin_metrics.runs.comparison import Joined, Match
    from crossin_metrics.runs.log_fields import LogFields
    from crossin_metrics.runs.run import Run
    from crossin_metrics.scores.significance import Tested

_EPILOG = """\
A and B are what `crossin score` reads: prediction tables, sample logs, or folders of the harness's output. Runs are
matched by task, mode, prompt and filter, and joined on the question's id over the languages both have. Runs whose
signatures differ in what matters (data, answers, prompt, shots, chat template ...) are refused, unless --allow.

what is reported
  A-B          the difference, with the percentile interval of the paired bootstrap over questions
  p bootstrap  paired bootstrap, shifted to the null hypothesis (Berg-Kirkpatrick et al. 2012)
  p rand.      approximate randomisation: answers to a question exchanged between A and B (Noreen 1989)
  p Holm       the latter, corrected over the benchmarks compared, for each score by itself (Holm 1979); this one
               decides
  detectable   the smallest true difference that one such test finds in 80 of 100 cases with these questions

examples:
  crossin compare out/base out/tuned
  crossin compare base.jsonl.gz tuned.csv --keys acc,ac3,acc_sw --json
  crossin compare runs.jsonl.gz runs.jsonl.gz --run-a '*|model_1|*' --run-b '*|model_2|*'
  crossin compare out/zero_shot out/five_shot --allow shots,mode
  crossin compare out/quantised out/full --by-language       (does any language lose more than English?)

Exit code: 0 whatever the outcome of a valid comparison, 2 a mistake in the input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("a", metavar="A", help="file or folder of system A")
    parser.add_argument("b", metavar="B", help="file or folder of system B")
    parser.add_argument(
        "--keys",
        metavar="K,K",
        help="scores and baselines to compare, as `crossin score --json` names them (default: acc,consistency,ac3)",
    )
    parser.add_argument("--languages", metavar="L,L", help="codes or names to compare on (default: all that both have)")
    parser.add_argument("--run-a", metavar="GLOB", help="which runs of A, by name: 'task|model|mode|prompt'")
    parser.add_argument("--run-b", metavar="GLOB", help="which runs of B")
    parser.add_argument("--allow", metavar="F,F", default="", help="signature fields that may differ, or 'all'")
    parser.add_argument(
        "--alpha", type=_level, default=0.05, help="level of the tests; intervals are at 1 - alpha (default: 0.05)"
    )
    parser.add_argument(
        "--resamples", metavar="N", type=at_least(2), default=10_000, help="of either test (default: 10000)"
    )
    parser.add_argument("--seed", metavar="N", type=count, default=0, help="seed of the tests (default: 0)")
    parser.add_argument(
        "--by-language",
        action="store_true",
        help="test instead whether the change differs by language: each language against English, each pair against "
        "all pairs, corrected together",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object alone")
    add_reading_arguments(parser)


def _level(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return value


def run(args: argparse.Namespace) -> int:
    """Read, match, join, test and print; returns the exit code."""
    from crossin_metrics.runs.comparison import join_runs, match_runs
    from crossin_metrics.runs.log_fields import LogFields
    from crossin_metrics.scores.catalogue import check_keys
    from crossin_metrics.scores.significance import compare_systems
    from crossin_metrics.scores.uncertainty import ROUGH_CAUSES, few_note

    fields = LogFields(args.id_field, args.language_from, args.gold_field)
    fields.pattern()
    languages, keys = names(args.languages, "--languages"), names(args.keys, "--keys")
    check_keys(keys or ())
    sides = [
        _read(side, path, wanted, languages, fields, args)
        for side, path, wanted in (("A", args.a, args.run_a), ("B", args.b, args.run_b))
    ]
    matches, notes = match_runs(*sides, allow=names(args.allow or None, "--allow") or ())
    for note in notes:
        warn(note)
    for match in matches:
        for note in (*match.a.notes, *match.b.notes):
            warn(note)
    joined = [join_runs(match.a, match.b) for match in matches]
    for match, pair in zip(matches, joined, strict=True):
        if said := few_note(pair.a):
            warn(f"{match.benchmark}: {said}")
    pairs = [(pair.a, pair.b) for pair in joined]
    if args.by_language:
        if any(pair.a.n_units < ROUGH_CAUSES for pair in joined):
            warn(f"fewer than {ROUGH_CAUSES} questions: tests by language rejected up to 10% of equal systems, not 5%")
        show(_by_language(matches, joined, args))
        return 0
    with progress() as bar:
        bar(f"{args.resamples:,} resamples of the questions")
        tested = compare_systems(pairs, keys=keys, n_resamples=args.resamples, seed=args.seed, alpha=args.alpha)
    if args.json:
        comparisons = [_record(*one) for one in zip(matches, joined, tested, strict=True)]
        settings = {"alpha": args.alpha, "n_resamples": args.resamples, "seed": args.seed}
        show(
            json.dumps(
                {**settings, "comparisons": comparisons, "notes": notes}, indent=1, ensure_ascii=False, allow_nan=False
            )
        )
        return 0
    from crossin_metrics.commands.compare_tables import comparison_text

    show(comparison_text(matches, joined, tested, alpha=args.alpha, n_resamples=args.resamples, seed=args.seed))
    return 0


def _by_language(matches: Sequence[Match], joined: Sequence[Joined], args: argparse.Namespace) -> str:
    from crossin_metrics.commands.compare_tables import by_language_text
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.scores.causes.unequal_change import unequal_changes

    if args.keys is not None:
        raise CrossinError("--by-language compares accuracy by language and consistency by pair: leave out --keys")
    found = [
        unequal_changes(pair.a, pair.b, n_resamples=args.resamples, seed=args.seed, alpha=args.alpha) for pair in joined
    ]
    if not args.json:
        return by_language_text(matches, joined, found, alpha=args.alpha, n_resamples=args.resamples, seed=args.seed)
    comparisons = [
        {**_about(match, pair), "changes": [asdict(one) for one in changes]}
        for match, pair, changes in zip(matches, joined, found, strict=True)
    ]
    settings = {"alpha": args.alpha, "n_resamples": args.resamples, "seed": args.seed}
    return json.dumps({**settings, "comparisons": comparisons}, indent=1, ensure_ascii=False, allow_nan=False)


def _read(
    side: str,
    path: str,
    wanted: str | None,
    languages: Sequence[str] | None,
    fields: LogFields,
    args: argparse.Namespace,
) -> list[Run]:
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.runs.run import read_predictions

    with progress() as bar:
        runs = read_predictions(
            [path],
            languages,
            fields=fields,
            skip_mismatched=args.skip_mismatched,
            unanswered=args.unanswered,
            seed=args.seed,
            warn=warn,
            progress=bar,
        )
    if wanted is None:
        return runs
    chosen = [run for run in runs if fnmatch.fnmatchcase(run.name, wanted)]
    if not chosen:
        known = ", ".join(run.name for run in runs[:6]) + (" ..." if len(runs) > 6 else "")
        raise CrossinError(f"--run-{side.lower()} {wanted!r} fits no run of {path}; it has {known}")
    return chosen


def _about(match: Match, joined: Joined) -> dict[str, Any]:
    from crossin_metrics.runs.signature import signature_of

    return {
        "benchmark": match.benchmark,
        "a": {"run": match.a.name, "signature": signature_of(match.a)},
        "b": {"run": match.b.name, "signature": signature_of(match.b)},
        "differing": {name: list(values) for name, values in match.differing.items()},
        "languages": list(joined.languages),
        "languages_left_out": {"a": list(joined.languages_only_a), "b": list(joined.languages_only_b)},
        "n_questions": len(joined.ids),
        "n_left_out": {
            "only_a": joined.only_a,
            "only_b": joined.only_b,
            "incomplete_a": match.a.n_incomplete,
            "incomplete_b": match.b.n_incomplete,
        },
    }


def _record(match: Match, joined: Joined, tested: dict[str, Tested]) -> dict[str, Any]:
    return _about(match, joined) | {
        "scores": {
            key: {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in asdict(one).items()
            }
            for key, one in tested.items()
        },
    }
