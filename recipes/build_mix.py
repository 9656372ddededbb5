"""Build an instruction mix: `python recipes/build_mix.py --config recipes/configs/mix/mini_x2x.yaml --output_dir DIR`.

DIR then holds train.parquet, README.md (dataset card), config.yaml (the merged options: build it again with `--config`)
and manifest.json, and loads with `datasets.load_dataset(DIR)`. The same options and sources give the same rows on any
machine, and the same bytes for the same version of pyarrow. Nothing is left behind when a build fails.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics.errors import say

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipes.common.options import parse, run
from recipes.mixes.build import build
from recipes.mixes.config import MixConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options and build the mix; returns the exit code."""
    usual = "output_dir base_set seed_set variant n_samples languages trans n_trans tag noise n_base tokenizer seed"
    (config,) = parse(
        MixConfig, argv, prog="build_mix", description="Build a CrossIn instruction mix.", usual=usual.split()
    )
    facts = build(config)
    parts = ", ".join(f"{part} {n:,}" for part, n in facts["parts"].items())
    say(f"{config.output_dir}: {facts['n_rows']:,} rows ({parts}), content {facts['content_sha256'][:16]}")
    return 0


if __name__ == "__main__":
    run(main, "build_mix")
