"""From a parallel set to token sequences: every option of every question, as the set's task shows it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.documents import build_documents
from crossin_metrics.harness.options import TaskOptions
from recipes.alignment.options import AlignOptions

Key = tuple[int, int, int]  # question, language, option: indices


@dataclass(frozen=True)
class Sequence:
    """A question with one of its options: token ids, and the place of the first token that is scored (1 or more)."""

    ids: tuple[int, ...]
    start: int

    @property
    def n_scored(self) -> int:
        """Number of scored tokens."""
        return len(self.ids) - self.start


@dataclass
class Questions:
    """The questions of a set in some languages; sequences are tokenized on first use.

    Attributes:
        documents: the task's rows, [Q x L], all languages of a question side by side.
        languages: L codes.
        n_options, gold: of each question, [Q].
        hash: of the set's content.
    """

    documents: list[dict[str, Any]]
    languages: list[str]
    n_options: np.ndarray
    gold: np.ndarray
    hash: str
    tokenizer: Any
    max_length: int | None
    known: dict[Key, Sequence] = field(default_factory=dict)

    def sequence(self, question: int, language: int, option: int) -> Sequence:
        """The tokens of one option, split where the harness splits them.

        Raises:
            CrossinError: longer than max_length.
        """
        key = (question, language, option)
        if key not in self.known:
            row = self.documents[question * len(self.languages) + language]
            made = _tokenize(self.tokenizer, row["query"], row["space"] + row["choices"][row["order"].index(option)])
            if self.max_length is not None and len(made.ids) > self.max_length:
                raise CrossinError(
                    f"question {row['id']}, language {row['language']}: {len(made.ids)} tokens exceed max_length "
                    f"{self.max_length}: increase it"
                )
            self.known[key] = made
        return self.known[key]


def load_questions(options: AlignOptions, tokenizer: Any, max_length: int | None) -> Questions:
    """Load the set.

    Raises:
        CrossinError: unknown set or language, or a row that breaks the schema.
    """
    chosen: dict[str, Any] = {"set": options.set, "formulation": options.formulation, "languages": options.languages}
    chosen |= {"data_dir": options.data_dir, "prompt": options.prompt}
    if options.formulation == "cf":  # in log-odds the beginning that options share cancels out
        chosen["likelihood"] = "sum"
    try:
        documents, data = build_documents(TaskOptions.from_metadata("", chosen))
    except CrossinError as error:  # worded for a task's metadata
        raise CrossinError(str(error).removeprefix(": ").removeprefix("metadata ")) from error
    n_options = np.array([len(item.choices) for item in data.items[data.languages[0]]])
    gold = np.array(data.gold)
    return Questions(documents, list(data.languages), n_options, gold, data.hash, tokenizer, max_length)


def digest(sequences: list[Sequence]) -> str:
    """Hash of sequences in their order."""
    out = hashlib.sha256()
    for one in sequences:
        out.update(np.asarray([len(one.ids), one.start, *one.ids], dtype="<i8").tobytes())
    return out.hexdigest()


def _tokenize(tokenizer: Any, query: str, option: str) -> Sequence:
    """[BOS] query option; scored from the first token that the option changes. Needs one token before it."""
    ids = tokenizer(query + option)["input_ids"]
    if ids and ids[-1] == tokenizer.eos_token_id:  # some tokenizers append it to every text
        ids = ids[:-1]
    head = tokenizer(query)["input_ids"] if query else []
    start = next((at for at, (a, b) in enumerate(zip(head, ids, strict=False)) if a != b), min(len(head), len(ids) - 1))
    if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]:
        start = max(start, 1)
    if start == 0:
        first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        ids, start = [first, *ids], 1
    return Sequence(tuple(ids), start)
