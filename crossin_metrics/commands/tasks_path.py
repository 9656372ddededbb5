"""`crossin tasks-path`: where the harness task files are, for `lm_eval --include_path`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the folder."""
    from crossin_metrics.harness import tasks_path

    print(tasks_path())
    return 0
