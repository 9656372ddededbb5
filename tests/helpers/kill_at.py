"""Runs a command and kills it by SIGKILL just before one of its changes to the files below a folder.

    python -m tests.helpers.kill_at FOLDER MOMENT LOG SCRIPT ARGUMENT...

MOMENT counts the changes (files opened for writing, renamed, removed, folders made) from 1; 0 lets the command end and
writes the kinds of all changes into LOG, one a line. Only changes by Python's own functions count.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")


def main() -> None:
    """Install the hook, then run the script as `__main__`."""
    folder, moment, log, script, *arguments = sys.argv[1:]
    kinds: list[str] = []
    wanted, owner = int(moment), os.getpid()

    def hook(event: str, values: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and isinstance(values[2], int) and values[2] & WRITING)
        if not changes or not isinstance(values[0], (str, os.PathLike)) or os.getpid() != owner:
            return
        if os.path.abspath(os.fspath(values[0])).startswith(folder):
            kinds.append(event)
            if len(kinds) == wanted:
                os.kill(owner, signal.SIGKILL)

    sys.addaudithook(hook)
    if not wanted:
        atexit.register(lambda: Path(log).write_text("\n".join(kinds)))
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
