"""Published and measured figures behind the estimate of an experiment's cost."""

from __future__ import annotations

# Peak dense bfloat16 rate without sparsity in FLOP/s, and memory in GiB, from the vendors' data sheets.
GPUS = {
    "A100-40GB": (312e12, 40),
    "A100-80GB": (312e12, 80),
    "H100-80GB": (989e12, 80),
    "H200-141GB": (989e12, 141),
    "L40S-48GB": (362e12, 48),
    "A10-24GB": (125e12, 24),
    "RTX4090-24GB": (165e12, 24),
}

# The models' config.json on the hub, for machines that cannot read them there.
SIZES = [
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "head_dim"),
]
ARCHITECTURES: dict[str, tuple[str, tuple[int, ...]]] = {
    "mistralai/Mistral-7B-v0.1": ("mistral", (32000, 4096, 14336, 32, 32, 8, 128)),
    "meta-llama/Meta-Llama-3-8B": ("llama", (128256, 4096, 14336, 32, 32, 8, 128)),
    "google/gemma-2b": ("gemma", (256000, 2048, 16384, 18, 8, 1, 256)),
    "demo:gemma-3-270m": ("gemma3_text", (262144, 640, 2048, 18, 4, 1, 256)),
}

# Characters per token by tokenizer family, measured on the packaged parallel seed with the models' own tokenizers
# (Gemma: Gemma 3's); `base` on the packaged English base set, which is denser in numbers, as the paper's is.
CHARACTERS_PER_TOKEN: dict[str, dict[str, float]] = {
    "mistral": {"en": 4.0, "zh": 0.85, "vi": 1.5, "es": 2.9, "id": 2.5, "ms": 2.5, "fil": 2.6, "base": 3.2},
    "gemma": {"en": 4.3, "zh": 1.4, "vi": 3.3, "es": 4.0, "id": 4.5, "ms": 4.3, "fil": 3.3, "base": 3.3},
    "llama3": {"en": 4.4, "zh": 1.15, "vi": 3.2, "es": 3.4, "id": 3.4, "ms": 3.3, "fil": 3.0, "base": 3.5},
}
# Characters of a translation per character of its English original, on the same seed; id, ms, fil on Cross-LogiQA.
TRANSLATION_LENGTH = {"en": 1.0, "zh": 0.33, "vi": 0.97, "es": 1.09, "id": 1.07, "ms": 1.09, "fil": 1.19}
# Rows and mean characters of prompt and completion; how Open-Platypus (31 MB of text) and Alpaca (360 characters of
# English per item) divide into the two is assumed. Then characters of the sentence that asks for a translation.
BASE_SET, SEED_SET, TRANSLATE_PROMPT = (24_926, 500.0, 700.0), (52_002, 85.0, 275.0), 65.0

# Mean characters of an English question with its choices (prompt p1), measured on the sets; Cross-XQuAD's on XQuAD's
# own passages, questions and answers.
QUESTION_CHARACTERS = {
    "cross_xquad": 950.0,
    "cross_xquad_spans": 950.0,
    "cross_mmlu": 280.0,
    "cross_logiqa": 700.0,
    "crossin_mini": 280.0,
}
# Cross-XQuAD: the passage's share of a question's tokens; crossin-hf and crossin-vllm read it once per passage.
PASSAGE_SHARE, QUESTIONS_PER_PASSAGE = 0.77, 1190 / 240
# Assumed: tokens generated per answer of a `_gen` task (it stops at 128), share of the peak rate in generation, seconds
# to load a model, bytes per second in merging; measured: bytes per row of a sample log.
GENERATED, GENERATION_SHARE, START, MERGE_RATE, LOG_BYTES = 64.0, 0.05, 120.0, 0.25e9, 7600.0
