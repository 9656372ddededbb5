"""A model that does not see the passage: what it still finds is in the question and the options.

Every option gets a likelihood by the `crossin-hf` backend, in the harness's prompt without the passage, and a second
time without the question.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crossin_metrics.harness.prompts import DEFAULT_PROMPT, LETTERS, prompt_for, resolve_prompt
from crossin_metrics.sets.parallel_set import ParallelMCQ

# name -> what is compared between the options of a question
MODEL_RULES: dict[str, str] = {
    "model_question": "likelihood of the option, given the question alone",
    "model_question_norm": "the same per character",
    "model_options": "likelihood of the option, given nothing",
    "model_options_norm": "the same per character",
    "model_pmi": "log-likelihood given the question less that given nothing",
    "model_letter": "likelihood of the letter, given question and options",
    "model_letter_options": "likelihood of the letter, given the options alone",
}

SHOW_QUESTION = ("model_question", "model_question_norm", "model_pmi", "model_letter")


def passage_free_scores(
    data: ParallelMCQ, numbers: Sequence[int], model: str, *, prompt: str = DEFAULT_PROMPT, **model_args: Any
) -> dict[str, npt.NDArray[np.float64]]:
    """Scores of the options by every rule of `MODEL_RULES`.

    Args:
        data: the set.
        numbers: which of its questions to ask.
        model: a checkpoint folder or hub name.
        prompt: p1 ... p5, native, or a prompt file; its text for the passage is not used.
        model_args: as `--model_args` of `crossin eval --model crossin-hf`.

    Returns:
        Rule -> `[len(numbers), n_languages, most options]`, -inf after a question's last option. Questions without a
        passage are not asked by the rules of `SHOW_QUESTION`: -inf throughout.

    Raises:
        CrossinError: no such model or prompt, or a question with more options than there are letters.
    """
    resolved = resolve_prompt(prompt)
    prompts = {code: prompt_for(resolved, code) for code in data.languages}
    import torch

    from crossin_metrics.backends.hf import CrossinHF
    from crossin_metrics.errors import CrossinError

    pairs: list[tuple[str, str]] = []
    places: list[tuple[str, int, int, int]] = []
    lengths = np.ones((len(numbers), len(data.languages), max(len(i.choices) for i in data.items[data.languages[0]])))
    for row, number in enumerate(numbers):
        for column, code in enumerate(data.languages):
            item = data.items[code][number]
            if len(item.choices) > len(LETTERS):
                raise CrossinError(
                    f"{data.name}, id {data.ids[number]}: {len(item.choices)} options; "
                    f"{len(LETTERS)} can be named by letters"
                )
            asked = prompts[code]
            bare = dataclasses.replace(asked, question="")
            contexts = {
                "model_options": bare.render(None, "", item.choices, "cf"),
                "model_letter_options": bare.render(None, "", item.choices, "letter"),
            }
            if item.context is not None:
                contexts["model_question"] = asked.render(None, item.question, item.choices, "cf")
                contexts["model_letter"] = asked.render(None, item.question, item.choices, "letter")
            for name, context in contexts.items():
                words = LETTERS if "letter" in name else item.choices
                for option, text in enumerate(item.choices):
                    lengths[row, column, option] = len(text)
                    pairs.append((context, asked.space + words[option]))
                    places.append((name, row, column, option))
    device = "cuda" if torch.cuda.is_available() else "cpu"  # the backend's own default is a GPU, there or not
    answers = CrossinHF(model, **{"device": device, **model_args}).score(pairs)
    scores = {name: np.full(lengths.shape, -np.inf) for name in MODEL_RULES}
    for (name, *at), value in zip(places, answers, strict=True):
        scores[name][tuple(at)] = value
    for name in ("model_question", "model_options"):
        scores[f"{name}_norm"] = scores[name] / lengths
    there = np.isfinite(scores["model_question"])
    scores["model_pmi"][there] = (scores["model_question"] - np.where(there, scores["model_options"], 0.0))[there]
    return scores
