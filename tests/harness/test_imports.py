"""Importing changes nothing outside the module imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, logging
before = sys.excepthook
import crossin_metrics.harness.task, crossin_metrics.harness.plugins
assert sys.excepthook is before
"""


def test_importing_the_task_leaves_the_process_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
