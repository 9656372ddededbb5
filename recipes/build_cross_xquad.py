"""Build a parallel four-option reading set from XQuAD, or from a set of its shape, by the paper's procedure.

    python recipes/build_cross_xquad.py --config recipes/configs/cross_xquad/endpoint.yaml --output_dir out/cross_xquad

Five stages (arXiv 2404.11932): `distractors` (a model writes wrong options in English), `parallel` (the same in the
other languages, with the passage in view), `check` (questions with findings are rewritten), `review` (people decide on
the rest), `release` (files, card). Writes into `output_dir`: calls/ (every reply of the model), a folder per stage,
config.yaml. Rerun the same command to resume; only what changed is done again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: import from the checkout's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipes.common.options import parse, run

PROG = "build_cross_xquad"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; returns 0 when the requested stages are done."""
    from recipes.cross_xquad.config import CheckOptions, ModelOptions, SetOptions

    usual = "output_dir stages source languages passages questions_per_passage dry_run model base_url engine judge"
    chosen, model, checks = parse(
        [SetOptions, ModelOptions, CheckOptions],
        argv,
        prog=PROG,
        description=str(__doc__).split("\n")[0],
        usual=usual.split(),
    )
    from recipes.cross_xquad.build import run_build, to_stderr

    return run_build(chosen, model, checks, to_stderr(PROG))


if __name__ == "__main__":
    run(main, PROG)
