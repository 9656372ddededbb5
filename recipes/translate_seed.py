"""Translate an English instruction set into a parallel seed.

    python recipes/translate_seed.py --config recipes/configs/translate/mini_endpoint.yaml --output_dir out/mini_seed

Writes into `output_dir`: seed.jsonl (rows accepted in every language), rejects.jsonl (the others, with reasons),
report.md and report.json, config.yaml, manifest.json, and replies/ (every reply of the model). Rerun the same command
to resume a stopped run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import say
from crossin_metrics.text_tables import show

if __package__ in (None, ""):  # run as a script: the checkout's root, not this folder, is where imports start
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipes.common.options import parse, run

if TYPE_CHECKING:
    from recipes.translation.config import EngineOptions, GateOptions, SourceOptions
    from recipes.translation.run import Translation

PROG = "translate_seed"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; 0 if every row was answered, 1 if some requests were given up (rerun) or no row was accepted."""
    from recipes.translation.config import EngineOptions, GateOptions, SourceOptions

    usual = "source output_dir languages limit dry_run model base_url api concurrency engine temperature gates"
    options = parse(
        [SourceOptions, EngineOptions, GateOptions],
        argv,
        prog=PROG,
        description=str(__doc__).split("\n")[0],
        usual=usual.split(),
    )
    return translate_seed(*options)


def translate_seed(source_options: SourceOptions, engine_options: EngineOptions, gate_options: GateOptions) -> int:
    """Translate, check and write; see `recipes/translation/run.py` for the steps.

    Returns:
        0 done, 1 done except for unanswered rows or without any accepted row, 130 stopped by the user.

    Raises:
        CrossinError: unreadable source, unreachable or failing engine, damaged or busy store, or a failed write.
            Stored replies are kept.
    """
    from recipes.common.text_checks import build_gates
    from recipes.llm.store import ReplyStore
    from recipes.mixes.sources import SourceSpec, parse_fields
    from recipes.translation.engines.base import build_engine
    from recipes.translation.neural_gates import build_neural_gates
    from recipes.translation.report import estimate, write_outputs
    from recipes.translation.rows import read_source
    from recipes.translation.run import Translation

    o = source_options
    fields = parse_fields(o.source_fields, "source_fields")
    spec = SourceSpec(
        o.source, (o.source_language,), fields, o.source_config, o.source_split, o.source_revision, o.source_licence
    )
    source = read_source(spec, o.limit)
    folder = Path(o.output_dir)
    with ReplyStore(folder / "replies", read_only=o.dry_run) as store:
        for line in store.cut:
            _say(line)
        translation = Translation(
            rows=source.rows,
            engine=build_engine(engine_options),
            store=store,
            source_language=o.source_language,
            languages=o.languages,
            gates=build_gates(gate_options.gates, [o.source_language, *o.languages]),
            expensive_gates=build_neural_gates(gate_options),
            mask_numbers=gate_options.mask_numbers,
            kinds=gate_options.kinds if o.source_language == "en" else [],  # their rules are for English
        )
        if o.dry_run:
            show(estimate(translation))
            return 0
        try:
            verdicts = translation.run(_progress)
        except KeyboardInterrupt:
            _say(f"stopped; {len(store)} replies are stored. Rerun the same command to resume")
            return 130
        _write_set_up(folder, source_options, engine_options, gate_options, translation)
        report = write_outputs(folder, source, translation, verdicts, engine_options.licence)
        usage = translation.engine.usage
    if usage.replies:
        _say(str(usage))
    rows = report["rows"]
    _say(
        f"{rows['written']} of {rows['read']} rows written to {folder / 'seed.jsonl'}; {rows['set_aside_before']} not "
        f"translatable, {rows['set_aside_after']} set aside by the gates, {rows['unanswered']} unanswered; "
        f"see {folder / 'report.md'}"
    )
    if rows["unanswered"]:
        error = next(iter(translation.errors.values()), "not sent")
        _say(f"rerun the same command to retry the unanswered rows; an error: {error}")
    elif not rows["written"]:
        _say(f"no row was translated: {folder / 'rejects.jsonl'} says why; a rerun asks again what was cut or empty")
    return 1 if rows["unanswered"] or not rows["written"] else 0


def _say(message: str) -> None:
    say(f"{PROG}: {message}")


@contextlib.contextmanager
def _progress(description: str, total: int, done: int) -> Any:
    """A progress bar with rate and time left; an earlier run's work counts as done but not towards the rate."""
    from tqdm import tqdm

    with tqdm(desc=description, total=total, initial=done, dynamic_ncols=True, mininterval=1.0) as bar:
        yield bar


def _write_set_up(
    folder: Path, source: SourceOptions, engine: EngineOptions, gates: GateOptions, translation: Translation
) -> None:
    """Write config.yaml (the merged options) and manifest.json (versions and the engine's identity)."""
    import yaml

    from crossin_metrics.files import write_json, write_text
    from recipes.common.provenance import versions

    options = {**dataclasses.asdict(source), **dataclasses.asdict(engine), **dataclasses.asdict(gates)}
    write_text(folder / "config.yaml", yaml.safe_dump(options, sort_keys=False, allow_unicode=True))
    packages = ("crossin", "aiohttp", "tenacity", "lingua-language-detector", "transformers", "ctranslate2", "torch")
    write_json(folder / "manifest.json", {"versions": versions(packages), "engine": translation.engine.identity})


if __name__ == "__main__":
    run(main, PROG)
