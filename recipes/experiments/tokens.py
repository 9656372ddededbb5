"""Token counts of mixes and evaluations: counted if the data is on this machine, else from measured means."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.catalogue import expand_tasks

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


def mix_tokens(
    options: dict[str, Any], model: str, config: Any, frame: str, max_length: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Tokens of each row of a mix (with frame, BOS and EOS) and those with loss, each [n_rows]; how they were found.

    They are counted if both sources and the model's tokenizer are on this machine, and assumed otherwise.

    Raises:
        CrossinError: the options are invalid, a local source cannot be read, or no row is left.
    """
    from recipes.common.wording import frame as framed
    from recipes.mixes.config import MixConfig

    mix = MixConfig(**{**options, "overwrite": False})
    cache = Path(os.environ.get("CROSSIN_CACHE_DIR") or "~/.cache/crossin")
    folder = (cache / model.removeprefix("demo:") if model.startswith("demo:") else Path(model)).expanduser()
    sources = [source.replace("{lang}", "en") for source in (mix.base_set, mix.seed_set)]
    local = all(name.startswith("packaged:") or Path(name).expanduser().exists() for name in sources)
    if local and (folder / "config.json").is_file():
        return _counted(mix, str(folder), frame, max_length)
    family = family_of(config)
    around = 13.0 if frame == "chat" else translated("en", sum(map(len, framed("", "", frame))), family) + 1  # with BOS
    prompts, answers = [], []
    for n, mean_prompt, mean_answer in _groups(mix, family):
        shape = -np.log1p(-(np.arange(n) + 0.5) / max(n, 1))  # quantiles of an exponential distribution
        prompts.append(mean_prompt * shape + around)
        answers.append(mean_answer * shape + 1)  # with EOS
    prompt, answer = np.concatenate(prompts), np.concatenate(answers)
    limit = float(max_length or 2**62)
    losses = np.clip(limit - prompt, 0, answer)
    if not losses.any():
        raise CrossinError(f"no row of the mix would be left at max_length {max_length}")
    how = (
        "assumed: base {:,} rows of {:.0f} + {:.0f} characters (Open-Platypus), seed {:,} items of {:.0f} + {:.0f} in "
        "English (Alpaca), exponentially distributed"
    ).format(*BASE_SET, *SEED_SET)
    return np.minimum(prompt + answer, limit)[losses > 0], losses[losses > 0], how


def _groups(mix: Any, family: str) -> list[tuple[int, float, float]]:
    """Rows, and mean tokens of prompt and completion, of each part and language pair of an assumed mix."""
    from recipes.mixes.plan import pair_weights, part_sizes

    tokens = partial(translated, family=family)
    n_samples, n_trans, n_base = part_sizes(mix, BASE_SET[0], SEED_SET[0])
    groups = [(n_base, tokens("base", BASE_SET[1]), tokens("base", BASE_SET[2]))]
    for (source, target), weight in pair_weights(mix).items() if n_samples else ():
        # A pivot answer repeats the instruction and the answer in English before the translated answer.
        pivot = tokens("en", SEED_SET[1] + SEED_SET[2]) if mix.answer_style == "pivot" else 0.0
        groups.append(
            (
                round(weight * n_samples),
                tokens(source, SEED_SET[1]),
                tokens(target, SEED_SET[2]) + pivot,
            )
        )
    others = [code for code in mix.languages if code != "en"] or ["en"]
    for code in others if n_trans else ():
        sides = tokens("en", SEED_SET[1]), tokens(code, SEED_SET[1])
        question, answer = sides if mix.trans_direction == "en2x" else sides[::-1]
        groups.append((round(n_trans / len(others)), question + tokens("en", TRANSLATE_PROMPT), answer))
    return groups


def _counted(mix: Any, model: str, frame: str, max_length: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Build the mix in a temporary folder and tokenize it."""
    from recipes.mixes.build import build
    from recipes.tuning.loss_masks import IGNORED, load_rows, mask_rows

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        build(replace(mix, output_dir=f"{folder}/mix"))
        rows, _ = mask_rows(load_rows(f"{folder}/mix"), _tokenizer(model, frame), frame, max_length=max_length)
        losses = np.array([sum(label != IGNORED for label in row) for row in rows["labels"]], dtype=np.float64)
        return np.array(rows["length"], dtype=np.float64), losses, "counted: rows and tokens of the mix"


@lru_cache(maxsize=1)
def _tokenizer(model: str, frame: str) -> Any:
    """All arms have the same; a large vocabulary takes seconds to read."""
    from recipes.tuning.model import load_tokenizer

    return load_tokenizer(model, frame)


def rows_of(one: dict[str, Any], family: str) -> list[tuple[float, float, bool]]:
    """Rows, tokens per row, and whether answers are generated, for each task of an evaluation.

    Raises:
        CrossinError: a task is unknown.
    """
    out = []
    metadata = one.get("metadata") or {}
    for task in expand_tasks(str(one["tasks"])):
        characters = QUESTION_CHARACTERS.get(task.set.name)
        if characters is None:
            raise CrossinError(
                f"{task.name}: question length unknown; add {task.set.name} to recipes/experiments/tokens.py"
            )
        codes = metadata.get("languages") or task.languages
        tokens = sum(translated(code, characters, family) for code in codes) / len(codes)
        if str(one.get("model", "hf")).startswith("crossin") and task.set.name.startswith("cross_xquad"):
            tokens *= 1 - PASSAGE_SHARE * (1 - 1 / QUESTIONS_PER_PASSAGE)
        rows = task.set.n_questions * len(codes) / (2 if metadata.get("articles") else 1)
        limit = one.get("limit")
        if limit is not None:
            rows = min(rows, limit if limit >= 1 else rows * limit)
        out.append((rows, tokens, task.formulation == "gen"))
    return out


def translated(code: str, characters: float, family: str) -> float:
    """Tokens in a language of a text that has so many characters in English."""
    ratio = CHARACTERS_PER_TOKEN[family]
    return characters * TRANSLATION_LENGTH.get(code, 1.0) / ratio.get(code, ratio["en"])


def family_of(config: Any) -> str:
    """The tokenizer family whose measured figures stand for a model's tokenizer."""
    text = config.get_text_config()
    if str(text.model_type).startswith("gemma"):
        return "gemma"
    return "llama3" if text.vocab_size > 100_000 else "mistral"


def pad_batches(lengths: np.ndarray, batch: int, seed: int = 0) -> np.ndarray:
    """Padded length of each row in batches of random order, shape [n_rows]."""
    shuffled = np.random.default_rng(seed).permutation(lengths)
    groups = np.concatenate([shuffled, np.zeros(-len(shuffled) % batch)]).reshape(-1, batch)
    return np.repeat(groups.max(axis=1), batch)[: len(shuffled)]
