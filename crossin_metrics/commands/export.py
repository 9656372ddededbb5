"""`crossin export FORMAT RESULTS...`: the hub's evaluation results, Every Eval Ever records, a model card."""

from __future__ import annotations

import argparse
import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from crossin_metrics.commands.arguments import count, names, progress, resamples, warn
from crossin_metrics.errors import say
from crossin_metrics.text_tables import show

if TYPE_CHECKING:
    from crossin_metrics.exports.records import Record

FORMATS = ("hf-eval-results", "every-eval-ever", "model-card")
_EEE_REPOSITORY = "evaleval/EEE_datastore"
_PUSHED = "Scores of https://arxiv.org/abs/2404.11932's kind, with signatures, made by crossin."
_EPILOG = """\
RESULTS are what `crossin score` reads. Everything is computed from the samples, with bootstrap standard errors; files
are written below --out and nothing leaves this machine, unless --push.

  hf-eval-results   .eval_results/<benchmark>.yaml for the model's repository, one value a task id (cross_mmlu_acc,
                    cross_mmlu_consistency, cross_mmlu_ac3), the signature in its notes. The hub shows them for data
                    sets that are benchmarks; --eval-yaml also writes benchmark/eval.yaml, for that data set
  every-eval-ever   data/<benchmark>/<developer>/<model>/<uuid>.json and its rows in <uuid>_samples.jsonl, one each a
                    run, schema 0.3.0; the rows hold questions and outputs where the results are the harness's logs
  model-card        README.md: a section between <!-- crossin:begin --> and <!-- crossin:end -->, and model-index
                    merged into the metadata of --readme (default: OUT/README.md, where there is one)

Several prompts of one set-up become their mean, and AC3 the harmonic mean of mean accuracy and mean consistency
(hf-eval-results, model-card). Runs of a part of their questions
(--limit, --sample, one half of the articles) are refused, unless --allow-partial.

--push opens a pull request: at the model's repository (--model-id), for every-eval-ever at its datastore. The token is
HF_TOKEN or that of `hf auth login`; it is never printed.

The harness has an upload of its own, of its results and samples to a data set repository, committed directly:
  lm_eval ... --log_samples --hf_hub_log_args \
    hub_results_org=ORG,results_repo_name=NAME,push_results_to_hub=True,push_samples_to_hub=True
It only warns where that fails: look whether the files are there. Both can be used; nothing here depends on it.

examples:
  crossin export hf-eval-results out/ --model-id lab/model --out published/
  crossin export every-eval-ever out/ --model-id lab/model --organization "Our lab" --out published/
  crossin export model-card out/ --model-id lab/model --readme README.md --out published/
  crossin export model-card out/ --model-id lab/model --out published/ --push

Exit code: 0 done, 2 a mistake in the input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; nothing heavy is imported."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="files or folders, as for `crossin score`")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where files are written")
    parser.add_argument(
        "--model-id", metavar="OWNER/NAME", help="the runs' one model, on the hub (default: as they say)"
    )
    parser.add_argument("--dataset-id", metavar="OWNER/NAME", help="the data on the hub (default: as the runs say)")
    parser.add_argument("--run", metavar="GLOB", help="which runs, by name: 'task|model|mode|prompt'")
    parser.add_argument("--keys", metavar="K,K", help="scores (default: acc,consistency,ac3; every-eval-ever: all)")
    parser.add_argument("--languages", metavar="L,L", help="codes or names to score (default: all)")
    parser.add_argument("--allow-partial", action="store_true", help="export runs of a part of their questions")
    parser.add_argument(
        "--bootstrap", metavar="N", type=resamples, default=1000, help="resamples (default: 1000; 0: no errors)"
    )
    parser.add_argument("--seed", metavar="N", type=count, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--source-url", metavar="URL", help="where logs or a paper can be seen (hf-eval-results)")
    parser.add_argument("--source-name", metavar="TEXT", help="how that link is named")
    parser.add_argument("--eval-yaml", action="store_true", help="also write the data set's eval.yaml")
    parser.add_argument("--organization", metavar="NAME", help="who evaluated (every-eval-ever, needed there)")
    parser.add_argument(
        "--relationship", default="other", metavar="R", help="to the model's makers: first_party, third_party, ..."
    )
    parser.add_argument("--readme", type=Path, metavar="FILE", help="the model card to merge into (model-card)")
    parser.add_argument("--push", action="store_true", help="open a pull request on the hub with the files")


def run(args: argparse.Namespace) -> int:
    """Read, score, write, and where asked propose; returns the exit code."""
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.files import write_text

    if args.push and args.model_id is None and args.format != "every-eval-ever":
        raise CrossinError("--push needs --model-id: a local name might be another model's on the hub")
    if args.push and args.readme is not None:
        raise CrossinError("--push merges into the README on the hub: leave --readme out")
    if args.format == "every-eval-ever" and not (args.organization or "").strip():
        raise CrossinError("every-eval-ever records name who evaluated: say --organization NAME")
    records = _records(args)
    files, extra = _files(args, records)
    for path, text in {**files, **extra}.items():
        write_text(args.out / path, text)
        show(str(args.out / path))
    if args.push:
        from crossin_metrics.hub import push

        benchmarks = ", ".join(dict.fromkeys(record.benchmark for record in records))
        title = f"Cross-lingual consistency: {benchmarks}"
        repository, repo_type = args.model_id, "model"
        if args.format == "every-eval-ever":
            repository, repo_type, title = _EEE_REPOSITORY, "dataset", f"[Submission] {title}"
        content = {path: text.encode("utf-8") for path, text in files.items()}
        address = push(content, repository, repo_type=repo_type, title=title, description=_PUSHED)
        say(f"pull request: {address}")
    return 0


def _records(args: argparse.Namespace) -> list[Record]:
    from crossin_metrics.errors import CrossinError
    from crossin_metrics.exports.records import make_records
    from crossin_metrics.runs.run import read_predictions
    from crossin_metrics.scores.catalogue import MAIN_SCORES

    keys = names(args.keys, "--keys")
    with progress() as bar:
        runs = read_predictions(args.results, names(args.languages, "--languages"), warn=warn, progress=bar)
    if args.run is not None:
        known = ", ".join(one.name for one in runs[:6])
        runs = [one for one in runs if fnmatch.fnmatchcase(one.name, args.run)]
        if not runs:
            raise CrossinError(f"--run {args.run!r} fits no run; there are {known}")
    for one in runs:
        for note in one.notes:
            warn(note)
        if keys is None and args.format != "every-eval-ever" and len(one.languages) == 1:
            raise CrossinError(f"{one.name}: one language only, so there is no consistency; say --keys acc")
    everything = args.format == "every-eval-ever"
    return make_records(
        runs,
        model=args.model_id,
        dataset=args.dataset_id,
        keys=keys if keys is not None or everything else MAIN_SCORES,
        merge_prompts=not everything,
        allow_partial=args.allow_partial,
        n_resamples=args.bootstrap,
        seed=args.seed,
    )


def _files(args: argparse.Namespace, records: list[Record]) -> tuple[dict[str, str], dict[str, str]]:
    """The files of the format, and those that go elsewhere: path -> text."""
    if args.format == "hf-eval-results":
        from crossin_metrics.exports.hf_eval_results import benchmark_yaml, eval_results

        files = eval_results(records, source_url=args.source_url, source_name=args.source_name)
        return files, {"benchmark/eval.yaml": benchmark_yaml(records)} if args.eval_yaml else {}
    if args.format == "every-eval-ever":
        from crossin_metrics.exports.every_eval_ever import eval_records

        return eval_records(records, organization=args.organization, relationship=args.relationship), {}
    from crossin_metrics.exports.model_card import model_card

    return {"README.md": model_card(records, _readme(args))}, {}


def _readme(args: argparse.Namespace) -> str:
    from crossin_metrics.errors import CrossinError

    if args.push:
        from crossin_metrics.hub import hub_text

        return hub_text(args.model_id, "README.md")
    path = args.readme if args.readme is not None else args.out / "README.md"
    try:
        return str(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if args.readme is None:
            return ""
        raise CrossinError(f"--readme {path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CrossinError(f"--readme {path}: cannot be read: {error}") from None
