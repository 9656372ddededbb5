"""From a parallel set to harness documents: one a row, question by question, prompts rendered."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.harness.prompts import LETTERS, prompt_for
from crossin_metrics.sets.catalogue import SETS
from crossin_metrics.sets.loading import load_parallel
from crossin_metrics.sets.parallel_set import BLANK, Item, ParallelMCQ


def build_documents(options: TaskOptions) -> tuple[list[dict[str, Any]], ParallelMCQ]:
    """Return the rows of a task, all languages of a question side by side, and the set they come from.

    A row has: `id`, `language`, `group` (passage, subject or relation), `formulation`, `prompt` (its id), `question`,
    `options` (texts in the order shown), `order` (`order[position]` is the option shown there), `gold` (option),
    `target` (its position, or its letter for `gen`), `query` (the whole prompt), `choices` (continuations), `space`.
    Of rows that are asked again also `again`, "" for the first asking.
    """
    entry = SETS.get(options.set)
    cloze = options.formulation == "cf" and entry is not None and entry.cloze
    if cloze and options.again:
        raise CrossinError(f"{options.task}: metadata again: sentences with a blank have no prompt to vary")
    data = load_parallel(
        options.set,
        languages=options.languages,
        data_dir=options.data_dir,
        revision=options.data_revision,
        articles=options.articles,
        distractors=options.distractors,
    )
    if options.sample is not None:
        data = data.sample(options.sample, options.sample_seed)
    most = max(len(item.choices) for item in data.items[data.languages[0]])
    if most > len(LETTERS):
        raise CrossinError(f"{options.task}: a question has {most} options; {len(LETTERS)} can be named by letters")
    askings = [(again, asked, asked.wording) for again, asked in options.askings().items()]
    rows = itertools.product(enumerate(data.ids), askings, data.languages)
    documents = []
    for (index, key), (again, asked, wording), language in rows:
        item = data.items[language][index]
        prompt = prompt_for(wording, language)
        order = option_order(asked, key, language, len(item.choices))
        shown = [item.choices[option] for option in order]
        letters = list(LETTERS[: len(shown)])
        position = order.index(data.gold[index])
        query = prompt.render(item.context, item.question, shown, options.formulation)
        choices, space = shown if options.formulation == "cf" else letters, prompt.space
        if cloze:
            query, choices, space = filled_in(item, shown, whole=options.likelihood == "mean")
        documents.append(
            {
                "id": key,
                "language": language,
                "group": data.groups[index] or key,
                "formulation": options.formulation,
                "prompt": asked.prompt_id,
                "question": item.question,
                "options": shown,
                "order": order,
                "gold": data.gold[index],
                "target": letters[position] if options.formulation == "gen" else position,
                "query": query,
                "choices": choices,
                "space": space,
                **({"again": again} if options.again else {}),
            }
        )
    return documents, data


def filled_in(item: Item, shown: Sequence[str], whole: bool = False) -> tuple[str, list[str], str]:
    """Fill the blank of a question: the text before it, option and rest of the sentence, and the separator.

    So the whole end of the sentence is scored (the blank is often in the middle), without a prompt; with `whole`, its
    beginning too, as in arXiv 2310.10378: a mean over tokens depends on how many there are.
    """
    before, _, after = item.question.partition(BLANK)
    if whole:
        return item.context or "", [before + option + after for option in shown], "\n\n" if item.context else ""
    query = "\n\n".join(filter(None, (item.context, before.rstrip())))
    return query, [option + after for option in shown], before[len(before.rstrip()) :]


def option_order(options: TaskOptions, key: str, language: str, n_options: int) -> list[int]:
    """Return the order in which a row's options are shown; `order[position]` is an option's index."""
    if options.permute == "none":
        return list(range(n_options))
    row = key if options.permute == "question" else f"{key}\x1f{language}"
    return ordered_by_hash(range(n_options), f"{options.permute_seed}\x1f{row}")


def ordered_by_hash(items: Iterable[Any], seed: int | str) -> list[Any]:
    """Return the items in a seeded order that is the same on every machine and Python version."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}\x1f{item}".encode()).digest())
