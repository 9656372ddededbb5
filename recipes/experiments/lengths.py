"""How many rows and tokens a run's mix has: counted where its sources are on this machine, else from stated means."""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossin_metrics.errors import CrossinError
from recipes.experiments.config import REPO

if TYPE_CHECKING:
    from recipes.mixes.config import MixConfig

# Characters a token, measured with the models' own tokenizers (Gemma: that of Gemma 3, whose vocabulary is its
# successor) on the packaged parallel seed, instructions and answers together; `base` on the packaged English base set,
# which is denser in numbers and symbols, as the paper's is.
CHARACTERS_PER_TOKEN: dict[str, dict[str, float]] = {
    "mistral": {"en": 4.0, "zh": 0.85, "vi": 1.5, "es": 2.9, "id": 2.5, "ms": 2.5, "fil": 2.6, "base": 3.2},
    "gemma": {"en": 4.3, "zh": 1.4, "vi": 3.3, "es": 4.0, "id": 4.5, "ms": 4.3, "fil": 3.3, "base": 3.3},
    "llama3": {"en": 4.4, "zh": 1.15, "vi": 3.2, "es": 3.4, "id": 3.4, "ms": 3.3, "fil": 3.0, "base": 3.5},
}
# Characters of a translation beside its English original, on the same seed; id, ms, fil on Cross-LogiQA.
CHARACTERS_OF_ENGLISH = {"en": 1.0, "zh": 0.33, "vi": 0.97, "es": 1.09, "id": 1.07, "ms": 1.09, "fil": 1.19}


@dataclass(frozen=True)
class KnownSet:
    """A hub set's rows and mean characters of prompt and completion, as far as its page tells them."""

    rows: int
    prompt: float
    completion: float


BASE_SET = KnownSet(24_926, 500.0, 700.0)
"""Open-Platypus: 24,926 rows, about 31 MB of text; how it divides into question and answer is assumed."""
SEED_SET = KnownSet(52_002, 85.0, 275.0)
"""Alpaca, English: 52,002 rows, about 360 characters of instruction, input and output; divided as commonly reported."""

TRANSLATE_WORDS = 65.0
"""Characters of the sentence that asks for a translation."""


@dataclass(frozen=True)
class Mix:
    """The rows of one run's mix as the model meets them; arrays of shape [n_rows], in tokens.

    Attributes:
        lengths: tokens of a row, frame, BOS and EOS included, at most max_length.
        losses: tokens of it with loss.
        characters: of all rows, for the size on disk.
        how: where the numbers come from, for people.
    """

    lengths: np.ndarray
    losses: np.ndarray
    characters: float
    how: str

    def padded(self, at_once: int, seed: int = 0) -> np.ndarray:
        """Length to which each row is padded in batches of `at_once` rows in random order, shape [n_rows]."""
        order = np.random.default_rng(seed).permutation(len(self.lengths))
        shuffled = self.lengths[order]
        fill = -len(shuffled) % at_once
        groups = np.concatenate([shuffled, np.zeros(fill)]).reshape(-1, at_once)
        return np.repeat(groups.max(axis=1), at_once)[: len(shuffled)]


def mix_of(
    options: dict[str, Any], *, model: str, family: str, frame: str, max_length: int | None, data: Path | None = None
) -> Mix:
    """The mix of these merged mix options.

    Args:
        options: as `recipes.experiments.plan.mix_options` gives them.
        model: the model's name; its tokenizer counts where the model is a folder of this machine.
        family: key of CHARACTERS_PER_TOKEN for where it is not.
        frame: see `recipes.common.wording.frame`.
        data: folder with the files of the data stage, where the options name them.

    Raises:
        CrossinError: the options are wrong, or a local source is.
    """
    from recipes.mixes.config import MixConfig

    options = {**options, "overwrite": False}
    if data is not None:
        for key in ("base_set", "seed_set"):
            if Path(str(options.get(key, ""))).parent.name == "data":
                options[key] = str(data / Path(str(options[key])).name)
    config = MixConfig(**options)
    wants_base = config.variant != "seed_only" and config.n_base != 0 and config.base_seed_ratio != 0
    wants_seed = config.samples != 0 or (config.trans and config.n_trans != 0)
    parts: list[Mix] = []
    base_here, seed_here = _here(config.base_set), _here(config.seed_set)
    if (base_here or not wants_base) and (seed_here or not wants_seed):
        return _counted(config, model, family, frame, max_length)
    n_base, n_samples, n_trans = _sizes(config)
    if wants_seed and seed_here:
        changes = {"n_base": 0, "base_seed_ratio": None} if config.variant != "seed_only" else {}
        parts.append(_counted(_changed(config, changes), model, family, frame, max_length))
    elif wants_seed:
        parts.append(_assumed_seed(config, n_samples, n_trans, family, frame, max_length))
    if wants_base and n_base:
        prompt, completion = (
            BASE_SET.prompt / CHARACTERS_PER_TOKEN[family]["base"],
            BASE_SET.completion / CHARACTERS_PER_TOKEN[family]["base"],
        )
        parts.append(
            _spread(
                [(n_base, prompt, completion)],
                (BASE_SET.prompt + BASE_SET.completion) * n_base,
                _frame_tokens(frame, family),
                max_length,
                "base assumed",
            )
        )
    how = "; ".join(dict.fromkeys(part.how for part in parts))
    return Mix(
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.losses for part in parts]),
        sum(part.characters for part in parts),
        how,
    )


def family_of(config: Any) -> str:
    """Which measured tokenizer stands for a model's: by its architecture and the size of its vocabulary."""
    text = config.get_text_config()
    if str(text.model_type).startswith("gemma"):
        return "gemma"
    return "llama3" if text.vocab_size > 100_000 else "mistral"


def local_tokenizer(model: str) -> str | None:
    """The folder of a model that is on this machine already, None for any other. Nothing is made or fetched."""
    from crossin_metrics.demo_model import MODELS, demo_model

    if model.startswith("demo:"):
        import os

        root = Path(os.environ.get("CROSSIN_CACHE_DIR") or Path.home() / ".cache" / "crossin").expanduser()
        name = model.removeprefix("demo:")
        return str(demo_model(name)) if name in MODELS and (root / name / "config.json").is_file() else None
    path = Path(model).expanduser()
    return str(path) if path.is_dir() else None


def _here(spec: str) -> bool:
    if spec.startswith("packaged:"):
        return True
    path = Path(spec.replace("{lang}", "en")).expanduser()
    return path.exists() or (REPO / path).exists()


def _changed(config: MixConfig, changes: dict[str, Any]) -> MixConfig:
    import dataclasses

    return dataclasses.replace(config, **changes)


def _sizes(config: MixConfig) -> tuple[int, int, int]:
    from recipes.mixes.plan import part_sizes

    n_samples, n_trans, n_base = part_sizes(config, BASE_SET.rows, SEED_SET.rows)
    return n_base, n_samples, n_trans


def _counted(config: MixConfig, model: str, family: str, frame: str, max_length: int | None) -> Mix:
    """Build the mix in a folder that goes away, and count it."""
    from recipes.mixes.build import build
    from recipes.tuning.labels import label_rows, load_rows

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        places = {
            key: str(REPO / spec)
            for key in ("base_set", "seed_set")
            if not Path(spec := getattr(config, key)).exists() and (REPO / spec).exists()
        }
        build(_changed(config, {**places, "output_dir": f"{folder}/mix"}))
        rows = load_rows(f"{folder}/mix")
        characters = float(sum(len(row["prompt"]) + len(row["completion"]) for row in rows))
        tokenizer = local_tokenizer(model)
        if tokenizer is not None:
            import datasets

            datasets.disable_progress_bars()
            labelled, _ = label_rows(rows, _tokenizer(tokenizer, frame), frame, max_length=max_length)
            lengths = np.array([len(ids) for ids in labelled["input_ids"]], dtype=np.float64)
            losses = np.array([sum(label != -100 for label in row) for row in labelled["labels"]], dtype=np.float64)
            return Mix(lengths, losses, characters, "rows and tokens counted")
        ratio = CHARACTERS_PER_TOKEN[family]

        def tokens(text: str, language: str, part: str) -> float:
            return len(text) / ratio["base" if part == "base" else language if language in ratio else "en"]

        prompts = np.array([tokens(row["prompt"], row["in_lang"], row["part"]) for row in rows])
        answers = np.array([tokens(row["completion"], row["out_lang"], row["part"]) for row in rows])
    return _cut(
        prompts + _frame_tokens(frame, family),
        answers + 1,
        characters,
        max_length,
        "rows counted, tokens by measured characters a token",
    )


@lru_cache(maxsize=1)
def _tokenizer(folder: str, frame: str) -> Any:
    """All arms of an experiment have the same; a large vocabulary takes seconds to read."""
    from recipes.tuning.model import load_tokenizer

    return load_tokenizer(folder, frame)


def _assumed_seed(
    config: MixConfig, n_samples: int, n_trans: int, family: str, frame: str, max_length: int | None
) -> Mix:
    from recipes.mixes.plan import pair_weights

    ratio = CHARACTERS_PER_TOKEN[family]

    def size(code: str, characters: float) -> tuple[float, float]:
        there = characters * CHARACTERS_OF_ENGLISH.get(code, 1.0)
        return there, there / ratio.get(code, ratio["en"])

    groups: list[tuple[int, float, float]] = []
    total = 0.0
    for (source, target), weight in pair_weights(config).items():
        n = round(weight * n_samples)
        (a, prompt), (b, answer) = size(source, SEED_SET.prompt), size(target, SEED_SET.completion)
        if config.answer_style == "pivot":  # the instruction and the answer in English stand before it
            more, tokens = size("en", SEED_SET.prompt + SEED_SET.completion)
            b, answer = b + more, answer + tokens
        groups.append((n, prompt, answer))
        total += n * (a + b)
    if n_trans:
        others = [code for code in config.languages if code != "en"] or ["en"]
        for code in others:
            n = round(n_trans / len(others))
            (a, here), (b, there) = size("en", SEED_SET.prompt), size(code, SEED_SET.prompt)
            question, answer = (here, there) if config.trans_direction == "en2x" else (there, here)
            groups.append((n, question + TRANSLATE_WORDS / ratio["en"], answer))
            total += n * (a + b + TRANSLATE_WORDS)
    return _spread(groups, total, _frame_tokens(frame, family), max_length, "seed assumed")


def _spread(
    groups: list[tuple[int, float, float]], characters: float, around: float, max_length: int | None, how: str
) -> Mix:
    """Rows of given mean lengths, spread as an exponential distribution: its quantiles, so that nothing is random."""
    prompts, answers = [], []
    for n, prompt, answer in groups:
        shape = -np.log1p(-(np.arange(n) + 0.5) / n) if n else np.zeros(0)
        prompts.append(prompt * shape)
        answers.append(answer * shape)
    return _cut(np.concatenate(prompts) + around, np.concatenate(answers) + 1, characters, max_length, how)


def _cut(prompts: np.ndarray, answers: np.ndarray, characters: float, max_length: int | None, how: str) -> Mix:
    limit = float(max_length or 2**62)
    lengths = np.minimum(prompts + answers, limit)
    losses = np.clip(limit - prompts, 0, answers)
    kept = losses > 0
    if not kept.any():
        raise CrossinError(f"no row of the mix would be left at max_length {max_length}")
    return Mix(lengths[kept], losses[kept], characters, how)


def _frame_tokens(name: str, family: str) -> float:
    """Tokens of what stands around prompt and completion, BOS included; a chat template counts as 12."""
    if name == "chat":
        return 13.0
    from recipes.common.wording import frame

    return sum(map(len, frame("", "", name))) / CHARACTERS_PER_TOKEN[family]["en"] + 1
