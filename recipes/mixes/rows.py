"""From a plan to rows: fetch texts from the stores, word the prompts, apply noise."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from crossin_metrics.languages import LANGUAGES
from recipes.common.wording import language_tag, render_instruction, render_pivot, render_translation
from recipes.mixes.config import MixConfig
from recipes.mixes.draws import uniform
from recipes.mixes.methods import METHODS, PIVOT
from recipes.mixes.plain_text import by_document, by_sentence
from recipes.mixes.plan import BASE, PARTS, PRETRAIN, TRANS, Plan
from recipes.mixes.sources import TEXT, Store

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("prompt", "completion", "part", "in_lang", "out_lang", "source", "source_id")
"""The mix-row contract, in the order of the file's columns; all strings, none empty but the prompt of `pretrain`."""

ROW_GROUP_ROWS = 8192
"""Rows rendered and written at a time; part of the file's bytes, so a constant."""


def render_batch(plan: Plan, config: MixConfig, base: Store | None, seed: Store | None) -> pa.RecordBatch:
    """All rows of a (slice of a) plan as one record batch with `COLUMNS`.

    Args:
        plan: a slice small enough that its texts fit into memory.
        config: the mix's options.
        base, seed: the stores; None where the plan has no rows from it.
    """
    import pyarrow as pa

    columns: dict[str, np.ndarray] = {name: np.empty(len(plan), dtype=object) for name in COLUMNS}
    codes = np.array(plan.languages, dtype=object)
    columns["part"][:] = np.array(PARTS, dtype=object)[plan.part]
    columns["in_lang"][:] = codes[plan.in_lang]
    columns["out_lang"][:] = codes[plan.out_lang]
    for store, rows in ((base, np.flatnonzero(plan.part == BASE)), (seed, np.flatnonzero(plan.part != BASE))):
        if store is None or not len(rows):
            continue
        columns["source"][rows] = store.info.name
        columns["source_id"][rows] = store.gather("id", plan.item[rows])
        sample = plan.part[rows[0]] != BASE
        prompts, completions = (_seed_rows if sample else _base_rows)(plan, rows, config, store)
        columns["prompt"][rows] = prompts
        columns["completion"][rows] = completions
    arrays = [pa.array(columns[name].tolist(), pa.string()) for name in COLUMNS]
    return pa.RecordBatch.from_arrays(arrays, schema=schema())


def render_all(
    plan: Plan, config: MixConfig, base: Store | None, seed: Store | None, num_workers: int = 1
) -> Iterator[pa.RecordBatch]:
    """Batches of `ROW_GROUP_ROWS` rows in the plan's order, whatever the number of worker processes."""
    slices = (plan.take(slice(k, k + ROW_GROUP_ROWS)) for k in range(0, len(plan), ROW_GROUP_ROWS))
    if num_workers == 1 or len(plan) <= ROW_GROUP_ROWS:
        for part in slices:
            yield render_batch(part, config, base, seed)
        return
    # spawn: forking a process that runs Arrow's threads can hang
    with ProcessPoolExecutor(num_workers, get_context("spawn"), _open_worker, (config, base, seed)) as pool:
        waiting: list[Future[pa.RecordBatch]] = []
        for part in slices:
            waiting.append(pool.submit(_render_in_worker, part))
            if len(waiting) > 2 * num_workers:  # bounds what is held in memory
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def schema() -> pa.Schema:
    """Schema of a mix: seven string columns."""
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in COLUMNS])


def drop_words(text: str, language: str, share: float, draws: np.ndarray) -> str:
    """Leave out each word with probability `share`; at least one stays.

    Args:
        text: the text to damage.
        language: its code; Chinese, Japanese and Thai are cut at characters, the others at white space.
        share: probability 0-1.
        draws: float64 in [0, 1), at least one for each unit.
    """
    joiner = " " if LANGUAGES[language].spaced else ""
    units = [c for c in text if not c.isspace()] if joiner == "" else text.split()
    kept = [unit for unit, draw in zip(units, draws, strict=False) if draw >= share or _is_mark(unit)]
    return joiner.join(kept or units[:1])


def _is_mark(unit: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in unit)


_worker: tuple[MixConfig, Store | None, Store | None]


def _open_worker(config: MixConfig, base: Store | None, seed: Store | None) -> None:
    global _worker
    _worker = (config, base, seed)


def _render_in_worker(plan: Plan) -> pa.RecordBatch:
    return render_batch(plan, *_worker)


def _base_rows(plan: Plan, rows: np.ndarray, config: MixConfig, store: Store) -> tuple[list[str], list[str]]:
    items = plan.item[rows]
    texts = (store.gather(f"{PIVOT}.{name}", items) for name in ("instruction", "input", "output"))
    instructions, inputs, outputs = texts
    return [render_instruction(*pair) for pair in zip(instructions, inputs, strict=True)], outputs


def _seed_rows(plan: Plan, rows: np.ndarray, config: MixConfig, store: Store) -> tuple[list[str], list[str]]:
    """Prompts and completions of CrossIn and Trans rows (`rows`: int64, shape [n])."""
    item, partner, drop = plan.item[rows], plan.partner[rows], plan.drop[rows]
    in_lang, out_lang = plan.in_lang[rows], plan.out_lang[rows]
    english = plan.languages.index(PIVOT)
    trans = plan.part[rows] == TRANS
    damaged_out = out_lang != english  # else the instruction is the translated side
    swapped = partner >= 0
    item_in = np.where(swapped & ~damaged_out, partner, item)
    item_out = np.where(swapped & damaged_out, partner, item)
    instruction = _by_language(plan, store, "instruction", item_in, in_lang)
    input_ = _by_language(plan, store, "input", item_in, in_lang)
    answer = _by_language(plan, store, "output", item_out, out_lang)
    plain = plan.part[rows] == PRETRAIN
    if plain.any():
        instruction[plain] = _passages(plan, store, item_in[plain], in_lang[plain])
        answer[plain] = _passages(plan, store, item_out[plain], out_lang[plain])
    instruction[trans] = _translatable(plan, store, item_in[trans], in_lang[trans])
    answer[trans] = _translatable(plan, store, item_out[trans], out_lang[trans])
    if config.answer_style == "pivot":
        everywhere = np.full(len(rows), english)
        pivot_instruction = _by_language(plan, store, "instruction", item, everywhere)
        pivot_output = _by_language(plan, store, "output", item, everywhere)
    prompts, completions = [], []
    for k in range(len(rows)):
        source, target = plan.languages[in_lang[k]], plan.languages[out_lang[k]]
        before, after = instruction[k], answer[k]
        if drop[k]:
            side, language = (after, target) if damaged_out[k] else (before, source)
            draws = uniform(config.seed, f"noise/drop/{plan.key[rows[k]]}", len(side))
            side = drop_words(side, language, config.noise_drop, draws)
            before, after = (before, side) if damaged_out[k] else (side, after)
        if plain[k]:
            prompts.append("")
            sentences = METHODS[config.variant].alternate == "sentence"
            after = by_sentence(before, after, source, target) if sentences else by_document(before, after)
        elif trans[k]:
            prompts.append(render_translation(before, source, target))
        else:
            wanted = config.tag if source != target or config.tag_same_language else "none"
            tag = language_tag(wanted, source, target)
            prompts.append(render_instruction(before, input_[k], tag, config.tag_position))
            if config.answer_style == "pivot":
                after = render_pivot(pivot_instruction[k], pivot_output[k], after, target)
        completions.append(after)
    return prompts, completions


def _passages(plan: Plan, store: Store, items: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """The plain text of items: the field `translatable`, else the input, else instruction and answer."""
    out = _by_language(plan, store, TEXT, items, languages)
    inputs, instructions, outputs = (
        _by_language(plan, store, name, items, languages) for name in ("input", "instruction", "output")
    )
    for k in np.flatnonzero(out == ""):
        out[k] = inputs[k] or f"{instructions[k]} {outputs[k]}"
    return out


def _translatable(plan: Plan, store: Store, items: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """What translation pairs translate: the field `translatable` where an item has one, else its instruction."""
    out = _by_language(plan, store, TEXT, items, languages)
    without = np.flatnonzero(out == "")
    out[without] = _by_language(plan, store, "instruction", items[without], languages[without])
    return out


def _by_language(plan: Plan, store: Store, name: str, items: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Texts of field `name`, each item in its own language: object array, shape [n]."""
    out = np.empty(len(items), dtype=object)
    for language in np.unique(languages):
        here = np.flatnonzero(languages == language)
        out[here] = store.gather(f"{plan.languages[language]}.{name}", items[here])
    return out
