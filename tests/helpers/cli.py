"""The `crossin` command in this process: what it prints and returns, without the seconds a new interpreter takes."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.cli import main


@dataclass(frozen=True)
class Done:
    """A finished command; the names are those of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def crossin(*arguments: Any, cwd: Path | None = None) -> Done:
    """Run `crossin ARGUMENTS` in the folder `cwd`."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(cwd or before)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as exit_:  # argparse
                code = int(exit_.code or 0)
    finally:
        os.chdir(before)
    return Done(code, out.getvalue(), err.getvalue())


def printed_json(*arguments: Any) -> Any:
    """What `crossin ARGUMENTS --json` prints, read strictly: no NaN, nothing beside it."""
    done = crossin(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"bare {name} in the JSON"))
