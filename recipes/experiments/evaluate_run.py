"""One evaluation of an experiment: `crossin eval`, and a note in its folder when all of it is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from crossin_metrics.errors import CrossinError
from recipes.common.options import run


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate with the harness's own arguments; writes `<output_path>/done.json` last. Returns the exit code."""
    from crossin_metrics.commands.evaluate import main as evaluate
    from crossin_metrics.files import write_json
    from recipes.tuning.model import model_path

    arguments = list(sys.argv[1:] if argv is None else argv)
    at = arguments.index("--model_args") + 1
    parts = dict(part.split("=", 1) for part in arguments[at].split(","))
    parts["pretrained"] = model_path(parts["pretrained"])
    arguments[at] = ",".join(f"{key}={value}" for key, value in parts.items())
    output = Path(arguments[arguments.index("--output_path") + 1])
    started = time.monotonic()
    code = evaluate(arguments)
    if code:
        return code
    results = sorted(path.relative_to(output).as_posix() for path in output.rglob("results_*.json"))
    samples = sorted(path.relative_to(output).as_posix() for path in output.rglob("samples_*.jsonl"))
    if not results or not samples:
        raise CrossinError(f"the harness ended without results in {output}")
    write_json(
        output / "done.json",
        {"results": results, "samples": samples, "seconds": round(time.monotonic() - started, 1)},
    )
    return 0


if __name__ == "__main__":
    run(main, "evaluate_run")
