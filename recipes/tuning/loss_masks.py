"""Tokenizes mix rows as the chat template renders them, `[BOS] frame(prompt) frame(completion) EOS`, and masks prompts.

`labels` are -100 up to the completion, so the loss covers the completion and EOS, which teaches the model to stop.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import file_sha256
from recipes.tuning import frames

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token without loss (torch.nn.functional.cross_entropy's ignore_index)."""

PLAIN = "pretrain"
"""The part of a mix whose rows are plain text: no frame, and loss on all tokens."""

CACHE_VERSION = 3
"""Increase it with every change of what `_mask` returns: earlier results are cached under it."""

COLUMNS = ("prompt", "completion", "part")


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
    """Counts per part.

    `merged_boundaries` counts rows whose prompt ends inside a token of the completion, `unknown` rows whose completion
    has characters that the tokenizer does not know.
    """

    max_length: int | None
    parts: dict[str, PartCount] = field(default_factory=dict)
    merged_boundaries: int = 0
    unknown: int = 0

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
        if self.unknown:
            out.append(f"{self.unknown:,} rows: the completion has characters that the tokenizer does not know")
        return out


def load_rows(path: str | Path) -> Dataset:
    """Read a mix: a folder with train.parquet, or a .parquet or .jsonl file.

    Raises:
        CrossinError: not found, unreadable or empty; a column is missing; a prompt, completion or part is empty.
    """
    import pyarrow.parquet as pq
    from datasets import Dataset, config

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
        # `datasets` knows a file by path and time alone; a cache folder named by its content tells old rows from new
        rows = reader(
            str(file),
            keep_in_memory=False,
            cache_dir=str(Path(config.HF_DATASETS_CACHE) / f"mix-{file_sha256(file)[:16]}"),
        )
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
            if text == "" and column == "prompt" and rows[number - 1]["part"] == PLAIN:
                continue
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
    frames.set_frame(tokenizer, frame_name)

    def mask(row: dict[str, Any], number: int) -> dict[str, Any]:
        try:
            if row["part"] == PLAIN:
                return _plain(row["completion"], tokenizer)
            return _mask(row["prompt"], row["completion"], tokenizer)
        except CrossinError as error:
            raise CrossinError(f"mix, row {number + 1}: {error}") from error

    masked = rows.map(
        mask,
        with_indices=True,
        remove_columns=[column for column in rows.column_names if column != "part"],
        num_proc=num_proc,
        new_fingerprint=_fingerprint(rows, tokenizer),
        desc="tokenizing the mix",
    )
    report = MixReport(max_length)
    limit = max_length or 2**62
    kept = []
    report.unknown = sum(masked["unknown"])
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
    masked = masked.select(kept).remove_columns(["part", "start", "merged", "unknown"])
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


def _fingerprint(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Key of the `datasets` cache: everything the masks depend on. None leaves it to the library.

    The library would pickle the tokenizer, which takes seconds for a vocabulary of 262k tokens.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    words = (tokenizer.name_or_path, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id)
    about = (CACHE_VERSION, rows._fingerprint, *words)
    return hashlib.sha256((repr(about) + backend.to_str()).encode()).hexdigest()[:32]


def _mask(prompt: str, completion: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """A row's ids and labels.

    Raises:
        CrossinError: the chat template, or the tokenizer, loses text of the row.
    """
    head_text, text = frames.render(tokenizer, prompt, completion)
    head, whole = frames.encode(tokenizer, head_text), frames.encode(tokenizer, text)
    eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
    while whole[-1] != eos and not str(tokenizer.decode(whole[-1:])).strip():  # a line break after the turn
        whole.pop()
    if whole[-1] != eos:
        whole.append(eos)
    if bos is not None and whole[:2] == [bos, bos]:
        raise CrossinError(f"tokenizer {tokenizer.name_or_path}: the chat template begins with two BOS tokens")
    start = next((at for at, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), min(len(head), len(whole)))
    trained = whole[start:]
    unknown = tokenizer.unk_token_id is not None and tokenizer.unk_token_id in trained
    spelled = tokenizer.decode(trained, clean_up_tokenization_spaces=False)
    if not unknown and _letters(completion) not in _letters(str(spelled)):
        raise CrossinError(
            f"tokenizer {tokenizer.name_or_path}: the tokens with loss spell {str(spelled)[:60]!r}, not the completion "
            f"{completion[:60]!r}"
        )
    return {
        "input_ids": whole,
        "labels": [IGNORED] * start + trained,
        "length": len(whole),
        "start": start,
        "merged": start < len(head),
        "unknown": unknown,
    }


def _plain(text: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Ids and labels of plain text, `[BOS] text EOS`: loss on every token that has one before it."""
    whole = frames.encode(tokenizer, text)
    if tokenizer.bos_token_id is not None and whole[0] != tokenizer.bos_token_id:
        whole = [tokenizer.bos_token_id, *whole]
    if whole[-1] != tokenizer.eos_token_id:
        whole = [*whole, tokenizer.eos_token_id]
    unknown = tokenizer.unk_token_id is not None and tokenizer.unk_token_id in whole
    labels = [IGNORED, *whole[1:]]
    counts = {"length": len(whole), "start": 1, "merged": False, "unknown": unknown}
    return {"input_ids": whole, "labels": labels, **counts}


def _letters(text: str) -> str:
    """A text without what tokenizers may change: white space, case and compatibility forms."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
