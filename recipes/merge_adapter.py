"""Merge an adapter into its base model and verify the result.

    python recipes/merge_adapter.py --adapter RUN/adapter --output_dir RUN/merged

The output folder holds a plain model (safetensors, tokenizer, model card, merge.json) for transformers and vLLM. It is
written only if the logits equal those of base and adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

if __package__ in (None, ""):  # run as a script: `recipes` is found in the checkout, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from crossin_metrics.errors import CrossinError, say, waiting
from recipes.common.options import check_types, parse, run


@dataclass
class MergeOptions:
    """Options of one merge."""

    adapter: str = field(metadata={"help": "Folder of the adapter: adapter_config.json, adapter_model.safetensors."})
    output_dir: str = field(metadata={"help": "Folder to write; must be absent or empty."})
    base: str | None = field(default=None, metadata={"help": "The base model, if it is not where the adapter says."})
    dtype: Literal["float32", "bfloat16", "float16"] | None = field(
        default=None, metadata={"help": "Dtype of the written weights. Default: the base model's."}
    )
    compute_dtype: Literal["float32", "bfloat16"] = field(
        default="float32", metadata={"help": "Dtype in which weights are added; bfloat16 halves the memory."}
    )
    vllm: bool = field(default=True, metadata={"help": "Fail if vLLM could not load the result."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Execute the base model's own code."})
    try_vllm: bool = field(
        default=False, metadata={"help": "Also load the result in vLLM and compare its most likely next tokens."}
    )

    def __post_init__(self) -> None:
        check_types(self)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options and merge; returns the exit code."""
    (options,) = parse(
        MergeOptions,
        argv,
        prog="merge_adapter",
        description="Merge a LoRA adapter into its base model, and check it.",
        usual=("adapter", "output_dir", "base", "dtype", "vllm", "try_vllm"),
    )
    with waiting("merge_adapter: loading torch and PEFT"):
        from recipes.tuning.merge import compare_vllm, merge
        from recipes.tuning.model import model_path

    target = Path(options.output_dir)
    facts = merge(
        options.adapter,
        target,
        base=None if options.base is None else model_path(options.base),
        dtype=options.dtype,
        compute_dtype=options.compute_dtype,
        vllm=options.vllm,
        trust_remote_code=options.trust_remote_code,
    )
    exact, stored = facts["after_merging"], facts["after_loading_back"]
    say(
        f"{target}: {facts['parameters']:,} parameters, {facts['dtype']}, {'tied' if facts['tied'] else 'untied'}; "
        f"relative logit difference after merging {exact['logit_difference']:.1e}; reloaded: "
        f"KL {stored['kl']:.1e} nats, same most likely token at {stored['top1']:.0%}"
    )
    if options.try_vllm:
        same, n = compare_vllm(target)
        say(f"{target}: loads in vLLM; same most likely next token on {same} of {n} prompts")
        if same < n:
            raise CrossinError(f"vLLM and transformers disagree on {n - same} of {n} prompts; {target} was kept")
    return 0


if __name__ == "__main__":
    run(main, "merge_adapter")
