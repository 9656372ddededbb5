"""Tokenizes mix rows and masks their prompts: `[BOS] frame(prompt) frame(completion) EOS`.

`labels` are -100 up to the completion, so the loss covers the completion and EOS, which teaches the model to stop.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from recipes.common.wording import frame

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token without loss (torch.nn.functional.cross_entropy's ignore_index)."""

CACHE_VERSION = 1
"""Increase it with every change of what `_mask` returns: earlier results are cached under it."""

COLUMNS = ("prompt", "completion", "part")
END_OF_TURN = ("<|im_end|>", "<end_of_turn>", "<turn|>", "<|eot_id|>", "<|end|>")


@dataclass
class PartCount:
    """Row and token counts of one part (base, crossin, trans). `tokens` include BOS and EOS, after truncation."""

    rows: int = 0
    kept: int = 0
    truncated: int = 0
    dropped: int = 0
    tokens: int = 0
    label_tokens: int = 0
    longest: int = 0


@dataclass
class MixReport:
    """Counts per part; `merged_boundaries` counts rows whose prompt ends inside a token of the completion."""

    max_length: int | None
    parts: dict[str, PartCount] = field(default_factory=dict)
    merged_boundaries: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)

    def lines(self) -> list[str]:
        """One line per part, for the terminal."""
        out = [
            f"{name}: {part.kept:,} of {part.rows:,} rows kept ({part.truncated:,} truncated, {part.dropped:,} "
            f"dropped at max_length {self.max_length}), {part.tokens:,} tokens, {part.label_tokens:,} with loss"
            for name, part in self.parts.items()
        ]
        if self.merged_boundaries:
            out.append(
                f"{self.merged_boundaries:,} rows: one token spans the end of the prompt and the start of the "
                "completion; the loss includes it"
            )
        return out


def load_rows(path: str | Path) -> Dataset:
    """Read a mix: a folder with train.parquet, or a .parquet or .jsonl file.

    Raises:
        CrossinError: not found, unreadable or empty; a column is missing; a prompt, completion or part is empty.
    """
    import pyarrow.parquet as pq
    from datasets import Dataset

    source = Path(path)
    file = source / "train.parquet" if source.is_dir() else source
    if not file.is_file():
        raise CrossinError(f"mix {file} not found" + (" (build_mix.py writes it)" if source.is_dir() else ""))
    if file.suffix not in (".parquet", ".jsonl"):
        raise CrossinError(f"mix {path} must be a folder made by build_mix.py, a .parquet or .jsonl file, or a .yaml")
    empty = CrossinError(f"mix {file} is empty")
    try:
        if file.stat().st_size == 0 or (file.suffix == ".parquet" and not pq.ParquetFile(file).metadata.num_rows):
            raise empty
        reader = Dataset.from_parquet if file.suffix == ".parquet" else Dataset.from_json
        rows = reader(str(file), keep_in_memory=False)
    except CrossinError:
        raise
    except Exception as error:  # pyarrow and datasets have no common base class for unreadable files
        raise CrossinError(f"mix {file} cannot be read: {str(error).strip().splitlines()[0]}") from error
    if not len(rows):
        raise empty
    missing = [column for column in COLUMNS if column not in rows.column_names]
    if missing:
        raise CrossinError(f"mix {file}: column {missing[0]!r} is missing; found {', '.join(rows.column_names)}")
    for column in COLUMNS:
        for number, text in enumerate(rows[column], start=1):
            if not isinstance(text, str) or not text.strip():
                row = rows[number - 1]
                origin = f" ({row['source']} {row['source_id']})" if {"source", "source_id"} <= row.keys() else ""
                raise CrossinError(f"mix {file}, row {number}{origin}: {column} is empty")
    return rows


def mask_rows(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    frame_name: str,
    *,
    max_length: int | None,
    long_rows: str = "truncate",
    num_proc: int | None = None,
) -> tuple[Dataset, MixReport]:
    """Tokenize rows, mask their prompts, and truncate or drop those longer than max_length.

    Returns:
        A dataset with `input_ids`, `labels` and `length` in the order of the rows, and the counts per part. A row whose
        completion lies entirely beyond max_length is always dropped: it has no loss.

    Raises:
        CrossinError: no row is left, or the tokenizer cannot render the frame.
    """
    stop = end_tokens(tokenizer)
    masked = rows.map(
        lambda row: _mask(row["prompt"], row["completion"], tokenizer, frame_name, stop),
        remove_columns=[column for column in rows.column_names if column != "part"],
        num_proc=num_proc,
        new_fingerprint=_fingerprint(rows, tokenizer, frame_name, stop),
        desc="tokenizing the mix",
    )
    report = MixReport(max_length)
    limit = max_length or 2**62
    kept = []
    for number, (part, length, start, merged) in enumerate(
        zip(masked["part"], masked["length"], masked["start"], masked["merged"], strict=True)
    ):
        count = report.parts.setdefault(part, PartCount())
        count.rows += 1
        count.longest = max(count.longest, length)
        report.merged_boundaries += merged
        if length > limit and (long_rows == "drop" or start >= limit):
            count.dropped += 1
            continue
        count.truncated += length > limit
        count.kept += 1
        count.tokens += min(length, limit)
        count.label_tokens += min(length, limit) - start
        kept.append(number)
    if not kept:
        raise CrossinError(f"all {len(rows):,} rows of the mix exceed max_length {max_length}: increase it")
    masked = masked.select(kept).remove_columns(["part", "start", "merged"])
    if any(count.truncated for count in report.parts.values()):
        masked = masked.map(
            lambda row: {
                "input_ids": row["input_ids"][:limit],
                "labels": row["labels"][:limit],
                "length": min(row["length"], limit),
            },
            desc="truncating",
        )
    report.parts = dict(sorted(report.parts.items()))
    return masked, report


def pad_to_multiple(rows: Dataset, multiple: int, pad: int) -> Dataset:
    """Append rows without loss (two pad tokens) until the number of rows is a multiple.

    Otherwise the sampler for several processes repeats the first rows to give each process the same number. With it,
    any number of processes draws the same global batches.
    """
    from datasets import Dataset, concatenate_datasets

    missing = -len(rows) % multiple
    if not missing:
        return rows
    filler = {"input_ids": [pad, pad], "labels": [IGNORED, IGNORED], "length": 2}
    return concatenate_datasets([rows, Dataset.from_list([filler] * missing, features=rows.features)])


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids that end an answer: EOS, and those end-of-turn tokens of common chat templates that the vocabulary has."""
    special = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    return {tokenizer.eos_token_id, *(tokenizer.convert_tokens_to_ids(turn) for turn in END_OF_TURN if turn in special)}


def _fingerprint(rows: Dataset, tokenizer: PreTrainedTokenizerBase, frame_name: str, stop: set[int]) -> str | None:
    """Key of the `datasets` cache: everything the masks depend on. None leaves it to the library.

    The library would pickle the tokenizer, which takes seconds for a vocabulary of 262k tokens.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    words = (tokenizer.name_or_path, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id)
    about = (CACHE_VERSION, rows._fingerprint, frame_name, sorted(stop), *words)
    return hashlib.sha256((repr(about) + backend.to_str()).encode()).hexdigest()[:32]


def _mask(
    prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase, frame_name: str, stop: set[int]
) -> dict[str, Any]:
    if frame_name == "chat":
        head, whole = _chat(prompt, completion, tokenizer, stop)
    else:
        first, second = frame(prompt, completion, frame_name)
        head = _without_eos(tokenizer(first)["input_ids"], tokenizer)
        whole = _without_eos(tokenizer(first + second)["input_ids"], tokenizer)
    start = next((at for at, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), min(len(head), len(whole)))
    if frame_name != "chat" or whole[-1] not in stop:
        whole = [*whole, tokenizer.eos_token_id]
    bos = tokenizer.bos_token_id
    if bos is not None and whole[:2] == [bos, bos]:
        raise CrossinError(f"tokenizer {tokenizer.name_or_path}: text in frame {frame_name} begins with two BOS tokens")
    return {
        "input_ids": whole,
        "labels": [IGNORED] * start + whole[start:],
        "length": len(whole),
        "start": start,
        "merged": start < len(head),
    }


def _chat(
    prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase, stop: set[int]
) -> tuple[list[int], list[int]]:
    """Ids of the prompt alone and of both, by the tokenizer's own chat template, cut after the end of the answer."""
    if not tokenizer.chat_template:
        raise CrossinError(
            f"tokenizer {tokenizer.name_or_path} has no chat template: use frame: headers (or plain, space)"
        )
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    head = str(tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, tokenize=False))
    whole = str(tokenizer.apply_chat_template(messages, tokenize=False))
    # As the harness does: add the tokenizer's BOS unless the template has written it.
    special = not (tokenizer.bos_token and whole.startswith(tokenizer.bos_token))
    ids = _without_eos(tokenizer(whole, add_special_tokens=special)["input_ids"], tokenizer)
    while ids and ids[-1] not in stop:  # many templates put a line break after the turn
        if str(tokenizer.decode(ids[-1:])).strip():
            break
        ids.pop()
    return _without_eos(tokenizer(head, add_special_tokens=special)["input_ids"], tokenizer), ids


def _without_eos(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Some tokenizers append EOS to every text; it is added once, after the completion."""
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids
