"""How a question is shown to a model, and how its options are named.

A prompt is made of pieces, the passage always first, so that questions on one passage share a prefix. Three
formulations use the same pieces: `letter` (options listed, likelihood of the letter), `gen` (options listed, free text
parsed by :mod:`crossin_metrics.answers`) and `cf` (cloze: options not listed, likelihood of the option's text).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.prompt_words import WORDS
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.records import read_yaml

LETTERS = "ABCDEFGHIJ"
DEFAULT_PROMPT = "p1"
NATIVE = "native"
PROMPT_FILES = (".yaml", ".yml", ".json")  # how the names of files of prompts end


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The pieces of one wording. Placeholders: {context}, {question}, {letter}, {option}; nothing else is replaced.

    Attributes:
        id: the name that appears in signatures.
        context: shown for rows with a passage, e.g. "Passage: {context}\\n\\n".
        question: e.g. "Question: {question}\\n".
        option: one line per option, e.g. "{letter}. {option}\\n". Left out in the `cf` formulation.
        instruction: between options and cue in `letter` and `gen`; may be empty.
        cue: the end of the prompt, without white space after it, e.g. "Answer:".
        cue_cf: the cue of the `cf` formulation; empty: `cue`.
        space: between cue and answer without a chat template: " ", or "" in scripts without spaces.
    """

    id: str
    context: str = "{context}\n\n"
    question: str = "Question: {question}\n"
    option: str = "{letter}. {option}\n"
    instruction: str = ""
    cue: str = "Answer:"
    cue_cf: str = ""
    space: str = " "

    def render(self, context: str | None, question: str, options: Sequence[str], formulation: str) -> str:
        """Return the prompt up to and including the cue, without trailing white space.

        Args:
            context: the passage, or None.
            question: the question's text.
            options: option texts in the order shown; at most ten.
            formulation: `letter`, `cf` or `gen`.
        """
        parts = [_fill(self.context, context=context)] if context else []
        parts.append(_fill(self.question, question=question))
        if formulation == "cf":
            parts.append(self.cue_cf or self.cue)
        else:
            parts += [
                _fill(self.option, letter=letter, option=option)
                for letter, option in zip(LETTERS, options, strict=False)
            ]
            parts += [self.instruction, self.cue]
        return "".join(parts).rstrip()


def _fill(template: str, **values: str | None) -> str:
    """Replace known placeholders in one pass, so that braces in the data are never read as placeholders."""
    return re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1], m[0])), template)


ENGLISH_PROMPTS: dict[str, Prompt] = {
    prompt.id: prompt
    for prompt in (
        Prompt("p1"),
        Prompt(
            "p2",
            context="Read this text.\n{context}\n\n",
            question="{question}\n",
            option="{letter}) {option}\n",
            instruction="Only one of these options is right.\n",
            cue="The right option is",
            cue_cf="The right answer is:",
        ),
        Prompt(
            "p3",
            context="Text: {context}\n\n",
            question="Here is a question: {question}\n",
            option="{letter}: {option}\n",
            instruction="Give the letter of the correct choice.\n",
            cue="Letter:",
            cue_cf="Answer:",
        ),
        Prompt(
            "p4",
            context="{context}\n\n",
            question="Q: {question}\n",
            option=" {letter}. {option}\n",
            cue="The correct letter is",
            cue_cf="A:",
        ),
        Prompt(
            "p5",
            context="Consider the following passage.\n\n{context}\n\n",
            question="Answer the following question.\n\n{question}\n\n",
            instruction="\nPick exactly one of the options.\n",
            cue="My choice:",
            cue_cf="Answer:",
        ),
    )
}


def native_prompt(language: str) -> Prompt:
    """Return p1 with its words in the row's language, or in English where we have no words of it.

    In English it is p1 itself, so that prompts differ in their language and in nothing else.
    """
    words = WORDS.get(language, WORDS["en"])
    colon = words.colon
    gap = "" if words.space == "" else " "
    return Prompt(
        NATIVE,
        question=f"{words.question}{colon}{gap}{{question}}\n",
        cue=f"{words.answer}{colon}",
        space=words.space,
    )


def resolve_prompt(name: str) -> dict[str, Prompt] | Prompt:
    """Return the prompt of that name: one Prompt, or a Prompt per language code for `native` and such files.

    Args:
        name: p1 ... p5, native, or the path of a YAML or JSON file, plus `#id` if it holds several prompts.

    Raises:
        CrossinError: unknown name, unreadable file, unknown key in the file.
    """
    if name in ENGLISH_PROMPTS:
        return ENGLISH_PROMPTS[name]
    if name == NATIVE:
        return {language: native_prompt(language) for language in LANGUAGES}
    path, _, wanted = name.partition("#")
    if Path(path).suffix in PROMPT_FILES:
        return _prompt_file(Path(path), wanted)
    raise CrossinError(
        f"unknown prompt {name!r}; known: {', '.join([*ENGLISH_PROMPTS, NATIVE])}, or a .yaml or .json file"
    )


def prompt_for(prompt: dict[str, Prompt] | Prompt, language: str) -> Prompt:
    """Return the prompt for a row of that language."""
    if isinstance(prompt, Prompt):
        return prompt
    if language not in prompt:
        raise CrossinError(f"the prompt has no wording in {language!r}; it has {', '.join(sorted(prompt))}")
    return prompt[language]


def prompt_id(prompt: dict[str, Prompt] | Prompt) -> str:
    """Return the name for signatures, with a hash of the content for a prompt from a file."""
    first = prompt if isinstance(prompt, Prompt) else next(iter(prompt.values()))
    if first.id in ENGLISH_PROMPTS or first.id == NATIVE:
        return first.id
    every = [first] if isinstance(prompt, Prompt) else [prompt[key] for key in sorted(prompt)]
    content = json.dumps([dataclasses.asdict(p) for p in every], ensure_ascii=False, sort_keys=True)
    return f"{first.id}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def signed_prompt(name: str, languages: Sequence[str]) -> str:
    """Return a prompt's name for signatures, with the languages that `native` asks in English words.

    `native` alone was the prompt that labelled passages, too.

    >>> signed_prompt("native", ["en", "zh", "ha", "yo"])
    'native2(en=ha,yo)'
    """
    if name != NATIVE:
        return name
    without = sorted(set(languages) - set(WORDS))
    return f"{name}2(en={','.join(without)})" if without else f"{name}2"


def _prompt_file(path: Path, wanted: str) -> dict[str, Prompt] | Prompt:
    """Read `{id: {piece: text}}`; `languages: {code: {piece: text}}` in a prompt gives a wording per language."""
    try:
        content = read_yaml(path)
    except CrossinError as error:
        raise CrossinError(f"cannot read the prompt file {error}") from error
    if not isinstance(content, dict) or not content or not all(isinstance(v, dict) for v in content.values()):
        raise CrossinError(f'{path}: must map prompt ids to pieces, as in {{"mine": {{"cue": "Answer:"}}}}')
    if not wanted and len(content) == 1:
        wanted = next(iter(content))
    if wanted not in content:
        raise CrossinError(
            f"{path}: no prompt {wanted!r}; found {', '.join(map(str, content))} (select one as {path}#ID)"
        )
    pieces = dict(content[wanted])
    languages = pieces.pop("languages", None)
    if languages is None:
        return _from_pieces(path, wanted, pieces)
    if not isinstance(languages, dict) or not all(isinstance(v, dict) for v in languages.values()):
        raise CrossinError(f"{path}: prompt {wanted!r}: 'languages' must map language codes to pieces")
    return {str(code): _from_pieces(path, wanted, {**pieces, **own}) for code, own in languages.items()}


def _from_pieces(path: Path, name: str, pieces: dict[str, object]) -> Prompt:
    known = {field.name for field in dataclasses.fields(Prompt)} - {"id"}
    for key, value in pieces.items():
        if key not in known:
            raise CrossinError(f"{path}: prompt {name!r}: unknown piece {key!r}; known: {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise CrossinError(f"{path}: prompt {name!r}: piece {key!r} must be text, not {type(value).__name__}")
        if r"\n" in value:
            raise CrossinError(
                f"{path}: prompt {name!r}: piece {key!r} has a literal backslash-n; use double quotes for a new line"
            )
    prompt = Prompt(name, **{key: str(value) for key, value in pieces.items()})
    for piece, place in (("question", "question"), ("context", "context"), ("option", "option"), ("option", "letter")):
        if f"{{{place}}}" not in getattr(prompt, piece):
            raise CrossinError(f"{path}: prompt {name!r}: piece {piece!r} must contain {{{place}}}")
    return prompt
