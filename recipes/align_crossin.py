"""Align a model's languages on a parallel set, without gold labels (DCO, CALM) or with them (DPO), as a LoRA adapter.

    accelerate launch -q recipes/align_crossin.py --config recipes/configs/align/mini_dco.yaml

The output folder is that of `sft_crossin.py`, and rerunning the same command resumes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: `recipes` is found in the checkout, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from crossin_metrics.errors import waiting
from recipes.common.options import run


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options, align, merge, evaluate; returns the exit code."""
    with waiting("align_crossin: loading torch and TRL"):
        from recipes.alignment.options import parse_options
        from recipes.alignment.recipe import recipe
        from recipes.tuning import run as tuning

    align, train, model = parse_options(argv)
    output = Path(str(train.output_dir)).absolute()  # the evaluation runs in another folder
    tuning.run(recipe(align, train, model), output, align, train, model)
    return 0


if __name__ == "__main__":
    run(main, "align_crossin")
