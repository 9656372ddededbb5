"""Build a parallel four-option reading set out of XQuAD, or of a set of its shape, by the paper's own procedure.

    python recipes/build_cross_xquad.py --config recipes/configs/cross_xquad/endpoint.yaml --output_dir out/cross_xquad

Five stages (arXiv 2404.11932): `distractors` (a model writes wrong options in English), `parallel` (the same in the
other languages, with the passage in view), `check` (what has findings is written again), `review` (people decide on
what still has), `release` (files, card). Writes into `output_dir`: calls/ (every reply of the model), a folder a stage,
config.yaml. The same command goes on where a stopped one was, and does again only what changed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root, not this folder, is where imports start
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from recipes.common.options import parse, run

PROG = "build_cross_xquad.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; 0 when the stages asked for are done, 130 when the user stopped it."""
    from recipes.cross_xquad.config import CheckOptions, ModelOptions, SetOptions

    chosen, model, checks = parse(
        [SetOptions, ModelOptions, CheckOptions], argv, prog=PROG, description=str(__doc__).split("\n")[0]
    )
    from recipes.cross_xquad.build import run_build, to_stderr

    return run_build(chosen, model, checks, to_stderr(PROG))


if __name__ == "__main__":
    run(main, PROG)
