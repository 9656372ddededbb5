"""Training speed: ours, stock SFTTrainer, and a plain padded loop: `python tests/benchmarks/bench_sft.py`.

Same model (Gemma-3-270M or `--model`, bfloat16, LoRA r = 64 on all projections), same rows in the same order, same
global batch of 16 (micro-batches of 4), same optimizer; every arm in a process of its own, the arms taking turns.
`stock` is trl's SFTTrainer as it comes, on the same tokens; `plain` is what the released code does: padded batches,
full logits, the model's own loss.

Tokens a second are tokens that are not padding over the time of the optimizer steps after the first (which warms up).
Both the clock's and the processor's seconds are given: the second hardly depends on what else the machine does. Peak
memory is the process's largest resident size, on a GPU what torch held at most there. Losses of the same steps are
printed: they must agree.

    --rows mix      rows of the packaged mix (half of the tokens are completions)
    --rows reading  reading comprehension: a passage and a question, short answers, synthetic text of XQuAD's lengths
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))
ARMS = ("ours", "stock", "plain")
GLOBAL_BATCH, MICRO_BATCH = 16, 4


def reading_rows(n: int) -> list[dict[str, str]]:
    """Rows with prompts of 80-220 words and answers of 1-6: lengths as in XQuAD, words at random."""
    import numpy as np

    rng = np.random.default_rng(0)
    words = np.array(
        [f"{word}{ending}" for word in ("river", "city", "king", "war", "year") for ending in ("", "s", "ly")]
    )
    rows = []
    for _ in range(n):
        passage = " ".join(rng.choice(words, rng.integers(80, 220)))
        question = " ".join(rng.choice(words, rng.integers(6, 16)))
        answer = " ".join(rng.choice(words, rng.integers(1, 7)))
        rows.append({"prompt": f"{passage}\n\n{question}?\nAnswer:", "completion": answer, "part": "base"})
    return rows


def build(rows_kind: str, n: int, model_name: str | None, folder: Path) -> tuple[Any, Any, Any, Any, Any]:
    """Model with adapter, tokenizer, labelled rows and options, the same for every arm."""
    from datasets import Dataset
    from transformers import set_seed

    from recipes.mixes.build import build as build_mix
    from recipes.mixes.config import MixConfig
    from recipes.tuning.loss_masks import load_rows, mask_rows
    from recipes.tuning.model import load_config, load_model, load_tokenizer, model_path, plan_adapter
    from recipes.tuning.options import parse_options

    arguments = ["--config", str(REPO / "recipes/configs/mini_x2x.yaml"), "--output_dir", str(folder / "run")]
    arguments += ["--model_name_or_path", model_name] if model_name else []
    tune, train, model = parse_options([*arguments, "--lora_dropout", "0", "--disable_tqdm", "true"])
    base = model_path(str(model.model_name_or_path))
    tokenizer = load_tokenizer(base, tune.frame)
    plan = plan_adapter(load_config(base, model), tokenizer, tune, model)
    if rows_kind == "mix":
        build_mix(MixConfig(output_dir=str(folder / "mix"), variant="x2x", n_samples=64))
        raw = load_rows(folder / "mix").select(range(n))
    else:
        raw = Dataset.from_list(reading_rows(n))
    rows, _ = mask_rows(raw, tokenizer, tune.frame, max_length=512)
    set_seed(train.seed)
    return load_model(base, plan, model, train), tokenizer, rows, train, tune


def with_trainer(arm: str, network: Any, tokenizer: Any, rows: Any, train: Any, marks: list[Any]) -> list[float]:
    """Train with our trainer or TRL's; marks get (wall, processor, tokens) at every step's end."""
    from transformers import TrainerCallback
    from trl import SFTTrainer

    from recipes.tuning.trainer import CrossinTrainer

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            marks.append((time.perf_counter(), time.process_time(), state.num_input_tokens_seen))

    train.gradient_accumulation_steps = GLOBAL_BATCH // MICRO_BATCH
    train.num_train_epochs, train.save_strategy, train.max_length = 1, "no", None
    train.lr_scheduler_type, train.warmup_steps = "constant", 0
    train.padding_free = arm == "ours" and bool(train.use_cpu)
    train.train_sampling_strategy = "sequential"  # the same batches for all arms
    kind = CrossinTrainer if arm == "ours" else SFTTrainer
    trainer = kind(model=network, args=train, train_dataset=rows, processing_class=tokenizer, callbacks=[Clock()])
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def plain_loop(network: Any, tokenizer: Any, rows: Any, train: Any, marks: list[Any]) -> list[float]:
    """Padded batches, full logits, the model's own loss, AdamW."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    collate = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)
    network.to(train.device)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=train.learning_rate, weight_decay=0.0)
    network.train()
    losses, tokens = [], 0
    for start in range(0, len(rows), GLOBAL_BATCH):
        chosen = [rows[k] for k in range(start, min(start + GLOBAL_BATCH, len(rows)))]
        n = sum(label != -100 for row in chosen for label in row["labels"])
        total = 0.0
        for k in range(0, len(chosen), MICRO_BATCH):
            keys = ("input_ids", "labels")
            batch = collate([{key: row[key] for key in keys} for row in chosen[k : k + MICRO_BATCH]])
            batch = {name: tensor.to(train.device) for name, tensor in batch.items()}
            with torch.autocast(train.device.type, torch.bfloat16):
                loss = network(**batch, use_cache=False, num_items_in_batch=n).loss
            loss.backward()
            total += float(loss.detach())
            tokens += int(batch["attention_mask"].sum())
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
        marks.append((time.perf_counter(), time.process_time(), tokens))
    return losses


def run_arm(arm: str, rows_kind: str, n: int, model: str | None) -> dict[str, Any]:
    """One arm in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        network, tokenizer, rows, train, _ = build(rows_kind, n, model, Path(scratch))
        marks: list[Any] = []
        if arm == "plain":
            losses = plain_loop(network, tokenizer, rows, train, marks)
        else:
            losses = with_trainer(arm, network, tokenizer, rows, train, marks)
    import torch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (first_wall, first_cpu, first_tokens), (wall, cpu, tokens) = marks[0], marks[-1]
    return {
        "arm": arm,
        "tokens": tokens - first_tokens,
        "per_second": round((tokens - first_tokens) / (wall - first_wall), 1),
        "per_cpu_second": round((tokens - first_tokens) / (cpu - first_cpu), 1),
        "peak_gib": round((torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak) / 2**30, 2),
        "losses": [round(loss, 4) for loss in losses],
    }


def main() -> None:
    """Run the arms in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=("mix", "reading"), default="mix")
    parser.add_argument("--n", type=int, default=64, help="rows (a multiple of 16)")
    parser.add_argument("--model", help="another base model than the demo's")
    parser.add_argument("--rounds", type=int, default=2, help="best of these; on a GPU the first compiles kernels")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(run_arm(options.arm, options.rows, options.n, options.model)))
        return
    import torch

    rate = "per_second" if torch.cuda.is_available() else "per_cpu_second"
    best: dict[str, dict[str, Any]] = {}
    for _ in range(options.rounds):
        for arm in ARMS:
            command = [sys.executable, __file__, "--arm", arm, "--rows", options.rows, "--n", str(options.n)]
            command += ["--model", options.model] if options.model else []
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{arm} failed:\n{done.stderr[-3000:]}")
            result = json.loads(done.stdout.splitlines()[-1])
            print(json.dumps(result), file=sys.stderr, flush=True)
            if arm not in best or result[rate] > best[arm][rate]:
                best[arm] = result
    print(f"rows: {options.rows}, {options.n}; best of {options.rounds} rounds")
    print("| arm | tokens/s | tokens/cpu-s | ours over it | peak GiB | last loss |")
    print("|---|---|---|---|---|---|")
    for arm, result in best.items():
        ratio = best["ours"][rate] / result[rate]
        print(
            f"| {arm} | {result['per_second']} | {result['per_cpu_second']} | {ratio:.2f} | {result['peak_gib']} "
            f"| {result['losses'][-1]} |"
        )


if __name__ == "__main__":
    main()
