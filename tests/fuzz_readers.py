"""Feed mutated files to every reader: `python -m tests.fuzz_readers --files 100000 --keep failing`.

Prints what ended in another exception than CrossinError, in a message of over 500 characters after
the shortening, or took over a second; exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from crossin_metrics.errors import CrossinError, one_line
from tests.helpers.damaged import READERS, mutated


def main(n: int, seed: int, keep: Path | None) -> int:
    rng, problems, refused = random.Random(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n):
            name = list(READERS)[number % len(READERS)]
            file, content, read = READERS[name]
            path = Path(folder) / name / file
            path.parent.mkdir(exist_ok=True)
            if number < len(READERS):  # the first call also imports what the reader needs
                path.write_bytes(content)
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    read(path)
            path.write_bytes(mutated(content, rng))
            started, kind = time.perf_counter(), ""
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    read(path)
            except CrossinError as error:
                refused += 1
                kind = "long message" if len(one_line(error)) >= 500 else ""
            except (Exception, SystemExit) as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if time.perf_counter() - started > 1:
                kind += " over 1 s"
            if kind:
                problems[f"{name}: {kind}"] += 1
                if keep is not None and problems[f"{name}: {kind}"] == 1:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}_{len(problems)}_{file}").write_bytes(path.read_bytes())
    print(f"{n:,} mutated files, {refused:,} refused with a message, {problems.total():,} problems")
    for problem, count in problems.most_common():
        print(f"{count:6}  {problem}")
    return int(bool(problems))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the first file of each problem there")
    args = parser.parse_args()
    sys.exit(main(args.files, args.seed, args.keep))
