"""`python -m recipes.tuning.vllm_next_tokens DIR`: vLLM's most likely next token for each sample prompt, as JSON.

In a separate process, because vLLM's workers import the main module and take all free memory.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from crossin_metrics.backends.checks import vllm_without_statistics


def main(folder: str) -> None:
    """Load the model in `folder` and print a list of token ids, one per prompt."""
    vllm_without_statistics()
    # By default vLLM reserves half of the memory and one core on CPUs; GPUs ignore these variables.
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")
    from transformers import AutoTokenizer
    from vllm import LLM, SamplingParams

    from recipes.tuning.merge import sample_ids

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LLM(model=folder, enforce_eager=True, max_model_len=256, dtype="auto", max_num_seqs=4)
    prompts: list[Any] = [{"prompt_token_ids": ids} for ids in sample_ids(tokenizer)]
    outputs = model.generate(prompts, SamplingParams(temperature=0, max_tokens=1), use_tqdm=False)
    print(json.dumps([output.outputs[0].token_ids[0] for output in outputs]))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
