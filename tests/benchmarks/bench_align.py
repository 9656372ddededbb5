"""What sharing saves in an alignment on a CPU: `python tests/benchmarks/bench_align.py --data_dir out/bmlama/train`.

The two options of a pair follow the same beginning of a sentence. Forward and backward passes of DCO on Gemma-3-270M
with LoRA, the same pairs in the same batches: each sequence whole, and the beginning computed once, in turns. Seconds
are the processor's, which hardly depend on what else the machine does. The losses must agree up to bfloat16's rounding.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))
WAYS = {"whole": False, "shared": True}


def main() -> None:
    """Print a table: tokens and processor seconds a pair, and the mean loss, of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, help="a folder that recipes/seeds/bmlama.py wrote")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()

    import torch
    from transformers import set_seed

    from recipes.alignment import losses
    from recipes.alignment.options import parse_options
    from recipes.alignment.recipe import draw, pair_sequences
    from recipes.alignment.scoring import make_batch, sequence_logps
    from recipes.alignment.sequences import load_questions
    from recipes.tuning.model import load_config, load_model, load_tokenizer, model_path, plan_adapter

    config = str(REPO / "recipes/configs/align/mini_dco.yaml")
    align, train, model = parse_options(
        ["--config", config, "--data_dir", asked.data_dir, "--n_pairs", str(asked.pairs), "--output_dir", "unused"]
    )
    base = model_path(str(model.model_name_or_path))
    tokenizer = load_tokenizer(base, None)
    set_seed(0)
    network = load_model(base, plan_adapter(load_config(base, model), tokenizer, align, model), model, train)
    questions = load_questions(align, tokenizer, train.max_length)
    rows = pair_sequences(align, questions, draw(align, questions, 0))
    size = train.per_device_train_batch_size
    batches = [[one for row in rows[k : k + size] for one in row] for k in range(0, len(rows), size)]
    seconds = dict.fromkeys(WAYS, float("inf"))
    tokens, values = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
    for _ in range(asked.rounds + 1):  # the first warms up
        for way, share in WAYS.items():
            started, tokens[way], values[way] = time.process_time(), 0, 0.0
            for sequences in batches:
                batch = make_batch(sequences, padding_free=True, pad=int(tokenizer.pad_token_id), share=share)
                pairs = len(sequences) // 4
                tokens[way] += batch["input_ids"].numel()
                with torch.autocast("cpu", torch.bfloat16):
                    logps = sequence_logps(network, batch, len(sequences), network.config).view(pairs, 4)
                zeros = torch.zeros(pairs, 2)
                loss = losses.dco(logps, zeros, zeros, zeros + 1).mean()
                loss.backward()
                values[way] += float(loss.detach()) * pairs / len(rows)
            seconds[way] = min(seconds[way], time.process_time() - started)
    print("| way | tokens a pair | processor seconds a pair | x whole | loss |\n|---|---|---|---|---|")
    for way in WAYS:
        print(
            f"| {way} | {tokens[way] / len(rows):.1f} | {seconds[way] / len(rows):.3f} "
            f"| {seconds['whole'] / seconds[way]:.2f} | {values[way]:.4f} |"
        )


if __name__ == "__main__":
    main()
