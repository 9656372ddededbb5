"""Checks that ask a model: a judge, back-translation, a sentence encoder. All off unless asked for.

They run on versions in which the checks on texts found nothing. A threshold here is a starting point, not calibrated:
look at what it names with your model before trusting it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.spans import normalise
from recipes.cross_xquad import prompts
from recipes.cross_xquad.calls import Answer, Caller
from recipes.cross_xquad.checks.base import CheckInput, ModelCheck
from recipes.cross_xquad.config import CheckOptions
from recipes.cross_xquad.items import Finding
from recipes.cross_xquad.prompts import WRONG, Prompt
from recipes.cross_xquad.sources import PIVOT
from recipes.cross_xquad.texts import contains
from recipes.cross_xquad.writing import wrong_options


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

    def __call__(self, looks: Sequence[CheckInput]) -> list[list[Finding]]:
        wanted = [look for look in looks if look.language == PIVOT]
        asked = []
        for look in wanted:
            answer = look.version.choices[look.gold]
            wrong = wrong_options(look.version, look.gold)
            asked.append((prompts.judge(look.version.context, look.version.question, answer, wrong), 0))
        answers = iter(self._caller.ask(asked, "judge"))
        return [self._findings(look, next(answers)) if look.language == PIVOT else [] for look in looks]

    def _findings(self, look: CheckInput, answer: Answer) -> list[Finding]:
        if answer.fields is None:
            return [Finding("is_right", look.language, None, f"the judge's answer cannot be read: {answer.problem}")]
        return [
            Finding("is_right", look.language, index, "a model judges that this is a right answer, too")
            for index, verdict in _by_choice(answer.fields, look.gold)
            if verdict == "yes"
        ]


class BackTranslationCheck:
    """The options back in English, beside the English options: similarity of characters (`difflib`), 0 to 1."""

    def __init__(self, caller: Caller, least: float) -> None:
        self._caller = caller
        self._least = least

    def __call__(self, looks: Sequence[CheckInput]) -> list[list[Finding]]:
        asked: list[tuple[Prompt, int]] = []
        for look in looks:
            if look.language != PIVOT:
                wrong = wrong_options(look.version, look.gold)
                asked.append((prompts.back_translation(look.language, look.version.question, wrong), 0))
        answers = iter(self._caller.ask(asked, "back-translation"))
        return [self._findings(look, next(answers)) if look.language != PIVOT else [] for look in looks]

    def _findings(self, look: CheckInput, answer: Answer) -> list[Finding]:
        def add(index: int | None, detail: str) -> Finding:
            return Finding("options_not_parallel", look.language, index, detail)

        if answer.fields is None:
            return [add(None, f"the back-translation cannot be read: {answer.problem}")]
        found = []
        for index, back in _by_choice(answer.fields, look.gold):
            english = look.english.choices[index]
            alike = SequenceMatcher(None, normalise(english, PIVOT), normalise(back, PIVOT), autojunk=False).ratio()
            if alike < self._least and not contains(english, back, PIVOT) and not contains(back, english, PIVOT):
                found.append(add(index, f"is {back[:80]!r} when translated back, English has {english[:80]!r}"))
        return found


class EncoderCheck:
    """Cosine similarity with the English options: an option is nearest to its own, and near enough.

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

    def __call__(self, looks: Sequence[CheckInput]) -> list[list[Finding]]:
        wanted = [look for look in looks if look.language != PIVOT]
        if not wanted:
            return [[] for _ in looks]
        texts = [text for look in wanted for text in (*look.english.choices, *look.version.choices)]
        vectors = iter(self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False))
        return [self._findings(look, vectors) if look.language != PIVOT else [] for look in looks]

    def _findings(self, look: CheckInput, vectors: Any) -> list[Finding]:
        english = [next(vectors) for _ in look.english.choices]
        own = [next(vectors) for _ in look.version.choices]
        found = []
        for index, vector in enumerate(own):
            if index == look.gold:
                continue
            scores = [float(vector @ other) for other in english]
            nearest = max(range(len(scores)), key=scores.__getitem__)
            if scores[index] < self._least:
                detail = f"cosine {scores[index]:.2f} with the English option, least {self._least:g}"
            elif nearest != index and scores[nearest] - scores[index] > 0.05:  # ties of names are no mistake
                detail = f"is nearer to English option {'ABCD'[nearest]} ({scores[nearest]:.2f}) than to its own"
                detail += f" ({scores[index]:.2f})"
            else:
                continue
            found.append(Finding("options_not_parallel", look.language, index, detail))
        return found


def _by_choice(fields: dict[str, str], gold: int) -> list[tuple[int, str]]:
    """(index among the choices, value) of the three wrong options' fields."""
    return [(number + (number >= gold), fields[name]) for number, name in enumerate(WRONG)]
