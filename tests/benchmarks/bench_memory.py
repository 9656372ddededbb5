"""Does memory grow with the rows? Peaks over what a loaded model holds, for crossin-hf and crossin-vllm.

    python tests/benchmarks/bench_memory.py --rows 1000 8000 24000

Each measurement is a process of its own: a random two-layer Llama is loaded and warmed up, then scores rows of 4
options that share no prompt. vLLM's cache of keys and values is kept at 20 MB: filling it is no growth.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

OPTIONS = (" A", " ka", " ke po", " ki po")


def rows(n: int, seed: int) -> list[Any]:
    """Requests of n questions."""
    from lm_eval.api.instance import Instance

    draw = random.Random(seed)
    contexts = ["".join(draw.choices("abcdefgh ", k=60)) + f" {i}:" for i in range(n)]
    return [Instance("loglikelihood", {}, (c, option), i) for i, c in enumerate(contexts) for option in OPTIONS]


def load(model: str, folder: Path) -> Any:
    """The model, on a CPU; see the module for what it is."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from tests.backends import tiny

    tokenizer = tiny.tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if model == "crossin-hf":
        from crossin_metrics.backends.hf import CrossinHF

        return CrossinHF(str(folder), dtype="float32", device="cpu", batch_size=8)
    from crossin_metrics.backends.vllm import CrossinVLLM

    vllm = {"max_model_len": 256, "enforce_eager": True, "num_gpu_blocks_override": 600}
    return CrossinVLLM(str(folder), dtype="float32", batch_size="auto", **vllm)


def child(model: str, n: int) -> None:
    """Print the growth of the process and of its children (vLLM's engine and worker)."""
    with tempfile.TemporaryDirectory() as folder:
        lm = load(model, Path(folder))
        lm.loglikelihood(rows(500, seed=1), disable_tqdm=True)
        asked = rows(n, seed=2)
        me, children = psutil.Process(), psutil.Process().children(recursive=True)
        before = [process.memory_info().rss for process in (me, *children)]
        peak, ended = list(before), threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                peak[:] = map(max, peak, [process.memory_info().rss for process in (me, *children)])

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.perf_counter()
        lm.loglikelihood(asked, disable_tqdm=True)
        seconds = time.perf_counter() - started
        ended.set()
        watcher.join()
        own, *others = [(high - low) / 1e6 for high, low in zip(peak, before, strict=True)]
        print(
            f"{model:<12} {n:>7,} rows {own:>+8.0f} MB {sum(others):>+8.0f} MB in children {seconds:>7.0f} s",
            flush=True,
        )
        if others:
            lm.model.llm_engine.engine_core.shutdown()


def main() -> None:
    """Measure each model at each number of rows, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["crossin-hf", "crossin-vllm"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1000, 8000])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.rows[0])
        return
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    for model in args.models:
        for n in args.rows:
            command = [sys.executable, __file__, "--child", model, "--rows", str(n)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            print(
                next((line for line in done.stdout.splitlines() if " rows " in line), done.stderr[-2000:]), flush=True
            )


if __name__ == "__main__":
    main()
