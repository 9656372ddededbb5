"""Time and memory of building mixes from synthetic sets of realistic size: `python tests/benchmarks/bench_mix.py`.

The sets have the sizes of Open-Platypus (25,000 English rows) and of Alpaca in four languages (52,000 items x 4) and
log-normal text lengths around the real ones. Every mix is built by the real script in a process of its own.
Memory is the largest sum of resident sizes over the process and its workers, sampled every 50 ms; memory-mapped pages
are counted, so it is an upper bound.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

REPO = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh", "vi", "es")
N_BASE, N_SEED = 25_000, 52_000
# Characters: (median, sigma of the logarithm). Chinese text takes about a third of the characters.
LENGTHS = {"base": (400, 0.8), "answer": (700, 0.9), "instruction": (60, 0.4), "input": (60, 0.8), "output": (220, 0.9)}
SHRINK = {"zh": 0.33}


def text(rng: np.random.Generator, kind: str, language: str = "en") -> str:
    """A random text of a length drawn for its kind."""
    median, sigma = LENGTHS[kind]
    length = max(3, int(rng.lognormal(np.log(median), sigma) * SHRINK.get(language, 1.0)))
    start, alphabet = (0x4E00, 3000) if language == "zh" else (0x61, 26)
    codes = rng.integers(start, start + alphabet, length)
    if language != "zh":
        codes[rng.random(length) < 0.17] = 0x20
    return codes.astype(np.uint32).tobytes().decode("utf-32-le").strip() or "x"


def write_sets(folder: Path) -> None:
    """Write base.jsonl and seed.jsonl."""
    rng = np.random.default_rng(0)
    with (folder / "base.jsonl").open("w", encoding="utf-8") as file:
        for k in range(N_BASE):
            row = {"id": k, "instruction": text(rng, "base"), "input": "", "output": text(rng, "answer")}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with (folder / "seed.jsonl").open("w", encoding="utf-8") as file:
        for k in range(N_SEED):
            row: dict[str, object] = {"id": k}
            has_input = rng.random() < 0.4
            for language in LANGUAGES:
                row[language] = {
                    "instruction": text(rng, "instruction", language),
                    "input": text(rng, "input", language) if has_input else "",
                    "output": text(rng, "output", language),
                }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def measure(arguments: list[str]) -> tuple[float, float]:
    """Run the script; return seconds and peak resident megabytes of it and its workers."""
    command = [sys.executable, str(REPO / "recipes" / "build_mix.py"), *arguments]
    start = time.perf_counter()
    process = psutil.Popen(command, cwd=REPO, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        total = 0
        try:
            for member in (process, *process.children(recursive=True)):
                total += member.memory_info().rss
        except psutil.Error:
            pass
        peak = max(peak, total)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed with exit code {process.returncode}")
    return time.perf_counter() - start, peak / 2**20


def main() -> None:
    """Print one line per mix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[5_000, 208_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sets(folder)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
        print(f"sets: base {N_BASE:,} rows, seed {N_SEED:,} x {len(LANGUAGES)}, {size:,.0f} MB as JSON Lines")
        print("| mix | workers | rows | seconds | rows/s | peak MB | file MB |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for samples in options.samples:
            for workers in options.workers:
                out = folder / f"mix-{samples}-{workers}"
                arguments = ["--output_dir", str(out), "--n_samples", str(samples), "--num_workers", str(workers)]
                arguments += ["--base_set", str(folder / "base.jsonl"), "--seed_set", str(folder / "seed.jsonl")]
                seconds, peak = measure(arguments)
                facts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
                written = (out / "train.parquet").stat().st_size / 2**20
                print(
                    f"| x2x, {samples:,} samples | {workers} | {facts['n_rows']:,} | {seconds:.1f} "
                    f"| {facts['n_rows'] / seconds:,.0f} | {peak:,.0f} | {written:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
