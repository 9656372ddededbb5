"""Checks that ask a model: a judge, back-translation, a sentence encoder. All are off by default.

They run on versions in which the checks on texts found nothing. Their thresholds are starting points, not calibrated:
look at what they flag with your model before you trust them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.spans import normalise
from recipes.cross_xquad import prompts
from recipes.cross_xquad.calls import Answer, Caller
from recipes.cross_xquad.checks.base import CheckInput, ModelCheck
from recipes.cross_xquad.config import CheckOptions
from recipes.cross_xquad.items import Finding
from recipes.cross_xquad.prompts import WRONG
from recipes.cross_xquad.sources import PIVOT
from recipes.cross_xquad.texts import contains


def build_model_checks(options: CheckOptions, caller: Caller) -> list[ModelCheck]:
    """The checks that the options name.

    Raises:
        CrossinError: a package is missing, or the encoder cannot be loaded.
    """
    checks: list[ModelCheck] = []
    if options.encoder is not None:
        checks.append(EncoderCheck(options.encoder, options.encoder_min))
    if options.back_translate:
        checks.append(BackTranslationCheck(caller, options.back_translate_min))
    if options.judge:
        checks.append(JudgeCheck(caller))
    return checks


class JudgeCheck:
    """Is a wrong option right as well? Asked once an item, in English."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __call__(self, inputs: Sequence[CheckInput]) -> list[list[Finding]]:
        """Findings of each input."""
        asked = []
        for one in inputs:
            if one.language == PIVOT:
                version, wrong = one.version, list(one.version.wrong(one.gold).values())
                asked.append((prompts.judge(version.context, version.question, version.choices[one.gold], wrong), 0))
        answers = iter(self._caller.ask(asked, "judge"))
        return [_judged(one, next(answers)) if one.language == PIVOT else [] for one in inputs]


def _judged(one: CheckInput, answer: Answer) -> list[Finding]:
    if answer.fields is None:
        return [one.finding("is_right", None, f"the judge's answer cannot be read: {answer.problem}")]
    return [
        one.finding("is_right", index, "a model judges that this is a right answer, too")
        for index, name in zip(one.version.wrong(one.gold), WRONG, strict=True)
        if answer.fields[name] == "yes"
    ]


class BackTranslationCheck:
    """The options translated back, compared with the English ones: similarity of characters (`difflib`), 0 to 1."""

    def __init__(self, caller: Caller, least: float) -> None:
        self._caller = caller
        self._least = least

    def __call__(self, inputs: Sequence[CheckInput]) -> list[list[Finding]]:
        """Findings of each input."""
        asked = []
        for one in inputs:
            if one.language != PIVOT:
                wrong = list(one.version.wrong(one.gold).values())
                asked.append((prompts.back_translation(one.language, one.version.question, wrong), 0))
        answers = iter(self._caller.ask(asked, "back-translation"))
        return [list(self._compared(one, next(answers))) if one.language != PIVOT else [] for one in inputs]

    def _compared(self, one: CheckInput, answer: Answer) -> Iterator[Finding]:
        if answer.fields is None:
            yield one.finding("options_not_parallel", None, f"the back-translation cannot be read: {answer.problem}")
            return
        for index, name in zip(one.version.wrong(one.gold), WRONG, strict=True):
            english, back = one.english.choices[index], answer.fields[name]
            alike = SequenceMatcher(None, normalise(english, PIVOT), normalise(back, PIVOT), autojunk=False).ratio()
            if alike < self._least and not contains(english, back, PIVOT) and not contains(back, english, PIVOT):
                detail = f"is {back[:80]!r} when translated back, English has {english[:80]!r}"
                yield one.finding("options_not_parallel", index, detail)


class EncoderCheck:
    """Cosine similarity with the English options: an option must be nearest to its own, and near enough.

    Args:
        model: a sentence-transformers model id or folder, such as LaBSE (Feng et al. 2022).
        least: below this, an option is not the English one; in [-1, 1].
    """

    def __init__(self, model: str, least: float) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise CrossinError("--encoder needs sentence-transformers: pip install sentence-transformers") from error
        try:
            self._model: Any = SentenceTransformer(model)
        except Exception as error:  # hub, file and configuration errors have no common type
            raise CrossinError(f"cannot load {model}: {type(error).__name__}: {error}") from error
        self._least = least

    def __call__(self, inputs: Sequence[CheckInput]) -> list[list[Finding]]:
        """Findings of each input."""
        wanted = [one for one in inputs if one.language != PIVOT]
        if not wanted:
            return [[] for _ in inputs]
        texts = [text for one in wanted for text in (*one.english.choices, *one.version.choices)]
        vectors = iter(self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False))
        return [list(self._compared(one, vectors)) if one.language != PIVOT else [] for one in inputs]

    def _compared(self, one: CheckInput, vectors: Any) -> Iterator[Finding]:
        english = [next(vectors) for _ in one.english.choices]
        own = [next(vectors) for _ in one.version.choices]
        for index in one.version.wrong(one.gold):
            scores = [float(own[index] @ other) for other in english]
            nearest = max(range(len(scores)), key=scores.__getitem__)
            if scores[index] < self._least:
                detail = f"cosine {scores[index]:.2f} with the English option, least {self._least:g}"
            elif nearest != index and scores[nearest] - scores[index] > 0.05:  # names may tie
                detail = f"is nearer to English option {'ABCD'[nearest]} ({scores[nearest]:.2f}) than to its own"
                detail += f" ({scores[index]:.2f})"
            else:
                continue
            yield one.finding("options_not_parallel", index, detail)
