"""From a generated text to the option it names: :func:`read_answer`, deterministic, in any of the project's languages.

The thought is set aside first (:mod:`crossin_metrics.answers.thoughts`). The rest is read by the rules of :data:`RULES`
in order of strength; the first that decides wins, and a decision may be "no answer".

Precision comes first. A text that names several answers, contradicts itself (label B with option C's text), declines,
or merely repeats the options has no answer. The prompt's question repeated with the same options is read through to
its cue; another question or another turn ends the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from crossin_metrics.answers.announced import NEGATION, announced, corrected
from crossin_metrics.answers.cleaning import (
    CJK,
    LETTERS,
    first_turn,
    fold,
    lowered,
    number,
    small_letters,
    squeeze,
    strip_html,
    strip_latex,
    strip_markdown,
)
from crossin_metrics.answers.cues import CUES, VERB_FINAL
from crossin_metrics.answers.mentioned import first_line, judged, last_line, marked, only_label, only_option
from crossin_metrics.answers.patterns import any_word
from crossin_metrics.answers.text import (
    CLOSE,
    CONFLICT,
    JUDGED,
    LINE_END,
    NO_ANSWER,
    OPEN,
    OPTION_NOUN,
    OPTION_WORD,
    SEVERAL,
    Options,
    label_at,
    latin_labels,
    option_at,
    options_in,
    options_of,
    settle,
    skip,
)
from crossin_metrics.answers.thoughts import split_thought
from crossin_metrics.errors import CrossinError

RULES = {
    "structured": "JSON, a tag or \\boxed{}",
    "whole": "nothing but a letter or an option",
    "leading": "begins with a letter",
    "announced": "“the answer is B”",
    "first_line": "begins with an option",
    "last_line": "the last line alone",
    "only_label": "the only letter",
    "only_option": "the only option named",
    "marked": "ticked or called right in a list",
    "contradiction": "begins with one answer and announces another: unanswered",
}
"""What each rule found, the strongest first.

`structured` and `announced` take the last of several. `marked` comes
first where each option is judged in turn ("A: false, B: true, ...").
"""


class Reading(NamedTuple):
    """How an output was read.

    Attributes:
        answer: index of the choice (from 0), or None.
        rule: the rule that decided; "" where none did, `cut` where the thought did not end.
        thought: number of characters of the thought, 0 where there is none.
    """

    answer: int | None
    rule: str
    thought: int


def read_answer(text: str, choices: Sequence[str], language: str | None = None) -> int | None:
    """Return the index of the choice that a generated text names, or None where it names none.

    Args:
        text: the model's output, of any length, as generated.
        choices: 2 to 10 options in the order shown to the model; labels like `(A) ` are ignored if all have one.
        language: ISO 639 code of the row; only decides which capital letters may be words (English "A", Spanish "E").
            Cues of all languages are always tried.

    Returns:
        An index in `range(len(choices))`, or None. Never a guess.

    Raises:
        CrossinError: there are fewer than 2 or more than 10 choices.
    """
    return explain_answer(text, choices, language).answer


def explain_answer(
    text: str, choices: Sequence[str], language: str | None = None, marks: Iterable[tuple[str, str]] = ()
) -> Reading:
    """Like :func:`read_answer`, with the rule that decided; `marks` are more marks of thoughts (opening, closing)."""
    options = options_of(tuple(choices))
    split = split_thought(text, marks)
    if split.cut:
        return Reading(None, "cut", len(split.thought))
    turn = first_turn(split.answer).strip()
    if not any("<" in option for option in options.texts):
        turn = strip_html(turn)
    answer, rule = judged(turn, options), "marked"
    if answer is None:
        answer, rule = _read(strip_markdown(turn), options, _word_letters(language))
    if answer is None and (ticked := marked(turn, options)) is not None:
        answer, rule = ticked, "marked"
    return Reading(answer if answer is not None and answer >= 0 else None, rule, len(split.thought))


def random_answer(question_id: str, language: str, n_choices: int, seed: int = 0) -> int:
    """A choice for a row without an answer, uniform over all options, repeatable.

    The reference scorer guesses so where nothing matches; where several options match equally well (29% of its
    guesses) it picks among these alone, which raises its AC3 by up to .08.

    The index, in `range(n_choices)`, depends on the arguments alone (SHA-256): the same on every machine and in any
    order of rows.

    Raises:
        CrossinError: `n_choices` is not positive.
    """
    if n_choices < 1:
        raise CrossinError(f"question {question_id!r} ({language}) has no choices to pick from; check the data set")
    key = "\x1f".join((str(seed), str(question_id), str(language)))
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % n_choices


def _read(text: str, options: Options, words: str) -> tuple[int | None, str]:
    """The answer (negative: a decision for none) and the rule."""
    for part in _this_question(text, options):
        structured = _structured(part, options, words)
        if structured is not None:
            return structured, "structured"
        plain = _FIRST.sub("", _QA.sub("Answer: ", latin_labels(strip_latex(part), options)))
        plain = _SYMBOLS.sub("", plain)
        answer, rule = _prose(plain, options, words)
        if rule:
            return answer, rule
    return None, ""


def _prose(text: str, options: Options, words: str) -> tuple[int | None, str]:
    if not text:
        return None, ""
    text = _without_doubt(text, options)
    whole = _whole(text, options)
    if whole is not None:
        return whole, "whole"
    leading = _leading(text, options, words)
    stated, opening, place = announced(text, options, words)
    first = leading if leading is not None else opening
    if first is not None and (first >= 0 or first == CONFLICT) and stated is not None and stated != first:
        return (stated, "announced") if corrected(text, place) else (None, "contradiction")
    if leading is not None and leading >= 0:
        return leading, "leading"
    if stated is not None:
        return stated, "announced"
    if leading is not None:  # "A, C and D are wrong.\n\nB"
        last = last_line(text, options, words)
        return (None, "leading") if last is None else (last, "last_line")
    for name, rule in (
        ("first_line", first_line),
        ("last_line", last_line),
        ("only_label", only_label),
        ("only_option", only_option),
    ):
        answer = rule(text, options, words)
        if answer is not None:
            return answer, name
    return None, ""


_UNSURE = re.compile(  # "Creo que es la B, pero no estoy seguro."
    rf"(?:[,.。;!।]|(?=แต่)|が、)\s?[^,.。;!।\n]{{0,60}}?{any_word('sure')}[^,.。;!।\n]{{0,20}}[.!。।]?\s*\Z"
)
_ANY_LETTER = re.compile(r"(?<!\w)(?!I\b)[A-J](?!\w)")


def _without_doubt(text: str, options: Options) -> str:
    """The text without a last clause that only says how sure the writer is."""
    found = _UNSURE.search(lowered(text)) if len(text) < 400 else None
    if found is None or _ANY_LETTER.search(text, found.start()):
        return text
    if any(named.end > found.start() for named in options_in(text, options)):
        return text  # an option speaks of doubt
    return text[: found.start()] + "." if found.start() else text


# --- the part that answers this question -----------------------------------------------------------------------------

_QUESTION = any_word("question")
_PASSAGE = any_word("passage")
_NEXT = re.compile(  # with the character before, a line break at the text's start, by which `re` finds it quickly
    rf"[\s.。!?](?:(?<=\n)[ \t]*(?:\d{{1,3}}[.)][ ][^\n]{{5,400}}\?[ ]*$|"
    rf"(?:\d{{1,3}}[.)][ ]*)?{_QUESTION}\s?(?:no\.?\s?)?\d{{0,4}}\s?[.:]|"
    r"(?:user|human|system)\s?:)|"
    rf"(?<=\n)(?<!\A\n)[ \t]*{_PASSAGE}\s?[.:]|(?<=[.。!?\n])(?<!\A\n)assistant\n|"
    r"(?<=\s)#{2,}\s?(?:user|human|instruction|input|question)\b)",
    re.MULTILINE,
)
_ENTRY_LINE = re.compile(rf"\s{{0,8}}{OPEN}?\s?([A-J])\s?(?:{CLOSE}|[.:、])+\s*(\S.*)")


def _this_question(text: str, options: Options) -> list[str]:
    """The parts of a text that may answer this question, in the order in which they count.

    Text before a list of options comes first (the answer at the prompt's own cue). After this question's options comes
    what follows their cue; after other options, which may be ours in another language, the whole text.
    """
    parts, begin = [], 0
    for start, stop, ours in _option_lists(text, options):
        parts.append(text[begin : _question_start(text, begin, start)])
        if not ours:
            parts += [text] if begin == 0 else []
            break
        begin = stop
    else:
        parts.append(text[begin:])
    return [part for part in (_first_question(part, options) for part in parts) if part.strip()]


def _option_lists(text: str, options: Options) -> list[tuple[int, int, bool]]:
    """Runs of lines "A. ...", "B. ...": start, end, and whether they hold exactly this question's options."""
    if "\n" not in text or "B" not in text:
        return []
    found: list[tuple[int, int, bool]] = []
    run: list[tuple[int, str]] = []  # where the entry begins, its folded text
    position = 0
    for line in [*text.split("\n"), ""]:
        entry = _ENTRY_LINE.fullmatch(strip_latex(line)) if len(line) < 1_000 else None
        at = LETTERS.index(entry[1]) if entry else -1
        if run and at != len(run) and line.strip():
            _close(run, position, found, options)
            run = []
        if entry and at == len(run):
            run.append((position, fold(entry[2])))
        position += len(line) + 1
    _close(run, min(position, len(text)), found, options)
    return found


def _close(run: list[tuple[int, str]], end: int, found: list[tuple[int, int, bool]], options: Options) -> None:
    texts = [text for _, text in run]
    own = [fold(text) for text in options.texts]
    if len(run) < 2:
        return
    if texts == own:
        found.append((run[0][0], end, True))
    elif not any(text.startswith(option) for text, option in zip(texts, own, strict=False) if option):
        found.append((run[0][0], end, False))


def _question_start(text: str, begin: int, start: int) -> int:
    """Where the question above a list of options begins: at its first marker from `begin` on, else its paragraph."""
    marker = _NEXT.search("\n" + lowered(text), begin, start + 1)
    if marker is not None:
        return marker.start()
    above = text.rfind("\n\n", begin, max(begin, start - 1))
    return above if above >= 0 else max(begin, text.rfind("\n", begin, max(begin, start - 1)) + 1)


def _first_question(text: str, options: Options) -> str:
    """The part before a next question or turn. A text that opens with one is kept if it repeats our options."""
    low = "\n" + lowered(text)
    found = _NEXT.search(low)
    if found is None:
        return text
    if text[: found.start()].strip():
        return text[: found.start()]
    second = _NEXT.search(low, found.end() - 1)
    text = text[: second.start()] if second else text
    seen = {named.option for named in options_in(text, options)}
    return text if len(seen - {SEVERAL}) >= 2 else ""


# --- structured ------------------------------------------------------------------------------------------------------

_KEY = (
    r"(?:final|correct|selected|chosen|predicted|my)?[ _-]?"
    r"(?:answer|choice|option|letter|selection|response|result|prediction)"
)
_NATIVE_KEY = any_word("answer")
_FIELD = re.compile(
    rf"[\"'](?:{_KEY}(?:[ _-](?:letter|choice|option|key))?|{_NATIVE_KEY})[\"']\s?[:=]\s*"
    r"(?:\[([^\]\n]{0,2000})\]|\"((?:[^\"\\\n]|\\.){0,2000})\"|'([^'\n]{0,2000})'|([^\s\"',\]}]{1,40})(?=\s*[,\]}\n]))",
    re.IGNORECASE,
)
_TAG = re.compile(
    rf"<(({_KEY})|ans)>\s*(?:(?!<\1>).){{0,2000}}?(?:</\1>)|<(?:{_KEY}|ans)>\s*([(\[]?[A-J][)\].]?)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_JOINED = re.compile(rf"[\s$]{{0,4}}(?:[,/&]|{any_word('both')})[\s$]{{0,4}}")
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s?\{")


def _structured(text: str, options: Options, words: str) -> int | None:
    """The last complete field, tag or box, whichever comes last."""
    found: list[tuple[int, int, str]] = []  # start, end, what is inside
    if '"' in text or "'" in text:
        found += [(*m.span(), next(g for g in m.groups() if g is not None)) for m in _FIELD.finditer(text)]
    if "<" in text:
        found += [(*m.span(), m[3] or re.sub(r"\A<[^>]*>|</[^>]*>\Z", "", m[0])) for m in _TAG.finditer(text)]
    if "\\" in text:
        boxes = [(*m.span(), _balanced(text, m.end())) for m in _BOX.finditer(text)]
        found += [(start, end + len(inside) + 1, inside) for start, end, inside in boxes if inside is not None]
    if not found:
        return None
    *above, (begin, _, inside) = sorted(found)
    if above and above[-1][2] != inside and _JOINED.fullmatch(text, above[-1][1], begin):
        return SEVERAL
    nested = _structured(inside, options, words) if "<" in inside else None
    if nested is not None:
        return nested
    inside = _SYMBOLS.sub("", latin_labels(strip_latex(strip_markdown(inside)), options)).replace('"', "")
    answer, rule = _prose(inside, options, words)
    return answer if rule and answer is not None else NO_ANSWER if rule or not inside else None


def _balanced(text: str, start: int) -> str | None:
    """What a brace opened before `start` encloses; a letter may stand unclosed at the end of a text that was cut."""
    depth = 1
    for position in range(start, min(len(text), start + 500)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start:position]
    return text[start:] if re.fullmatch(r"\s?\(?[A-J]\)?\s?", text[start : start + 8]) else None


# --- whole and leading -----------------------------------------------------------------------------------------------

_FIRST = re.compile(r"\A(?:1[.)]|Q1:)\s+(?=[(\[]?[A-J](?:[).\]]|\s*\Z))(?!.*\n\s*(?:2[.)]|Q2))", re.DOTALL)  # "1) B"
_QA = re.compile(r"(?m)^A:\s{0,4}(?=[(\[]?[A-J][)\].]{0,2}\s*$)")  # "Q: ...", "A: B"
_SYMBOLS = re.compile(r"\A(?:[\s✅☑✔✓👉➡🔹🔸⭐🎯•▶►■□●○※*#=>→⇒:]|-(?=\s))+(?=\S)")
_WHOLE_LABEL = re.compile(
    rf"[\"']?\s?(?:{OPEN}{{1,2}}\s?[\"']?([A-Ja-j])[\"']?\s?{CLOSE}{{0,2}}|([A-Ja-j])\s?{CLOSE}?|([A-J])(?:[\s.,]{{1,4}}\3(?!\w)){{1,40}})"
    rf"(?:번|입니다|\s?{any_word('option', languages=VERB_FINAL)}|"
    r"(?:です|だ)?(?:と(?:思|考)[^。\n]{1,6})?|(?:이?라고|로)\s?(?:생각|보)[^.\n]{1,6})?[^\w?&+/(]{0,40}\Z"
)


def _whole(text: str, options: Options) -> int | None:
    index = options.exact.get(fold(_COPULA_LAST.sub("", _SUM.sub("", text) if "=" in text else text)))
    match = _WHOLE_LABEL.match(text)
    if match is not None:
        label = LETTERS.index((match[1] or match[2] or match[3]).upper())
        if match[1] is None and index is not None and index != label:
            return SEVERAL  # a bare "A" where another option reads "A"
        return label if label < len(options.letters) else NO_ANSWER
    if index is not None or "\n" in text or len(text) > 1_000:
        return index
    index = options.squeezed.get(squeeze(text))
    return index if index is not None else options.numbers.get(number(text))


_SUM = re.compile(r"\A(?=.*\d)[\d\s+*/×÷·()^.,-]{1,60}=(?!.*=)")  # "1 + 1 = 2"
_COPULA_LAST = re.compile(r"(?:です|でした|だ|である|입니다|이다|예요|이에요|ครับ|ค่ะ)[.。!]?\Z")
_ENTRY = re.compile(rf"{OPTION_NOUN}\s*([A-J])\s?:")
_ENTRY_ALONE = re.compile(r"[.。!?]\s?([A-J])\s?:")
_JUDGED_WRONG = re.compile(rf"{any_word('no')}\s?(?:{any_word('answer', 'option', 'right')})?\s?(?:[.。।!\n]|\Z)")
_NOT_SO = re.compile(rf"\s{any_word('link')}\s{any_word('no')}")
_ANOTHER = re.compile(rf"{OPEN}\s?[A-J]\s?{CLOSE}|(?<!\w)[A-J]\s?(?:{CLOSE}|[.:])")
_OR_LAST = re.compile(
    rf"[^.。।!?\n]{{1,300}},\s?{any_word('either')}\s?(?:{OPTION_WORD}\s)?{OPEN}?([A-J]){CLOSE}?[.。!]?\s*"
)
_PREAMBLE = re.compile(rf"[\s\"'(]{{0,4}}(?:{OPTION_WORD}\s?(?=[(\[]?(?:[A-J](?![\w'])|[a-j]\W?\Z))|[\s\"']{{0,4}})")
_NUMBERED = re.compile(
    rf"(?:{OPTION_WORD}\s?|number\s|第\s?)?\(?([\d一二三四五六七八九]{{1,2}})"
    rf"(?:[个個]?{OPTION_WORD}[:,]?|[.):、]|(?={CJK.pattern}))\s*(?=\S)",
    re.IGNORECASE,
)


def _leading(text: str, options: Options, words: str) -> int | None:
    numbered = _NUMBERED.match(text)
    if numbered is not None:  # "2) the Amazon": the number counts only where the option's text confirms it
        at, end = option_at(text, numbered.end(), options)
        place = int(numbered[1]) - 1 if numbered[1].isdecimal() else "一二三四五六七八九".find(numbered[1])
        confirmed = at == place and LINE_END.match(text, end) and not listed_numbers(text[end:])
        return at if confirmed else None
    low = lowered(text)
    start = _PREAMBLE.match(low)
    position = start.end() if start else 0
    label = label_at(text, position, options, words, after_cue=False)
    if label is None:
        return None
    if any(LETTERS.index(m[1]) != label.choice for m in _ENTRY.finditer(low, label.end, label.end + 4_000)):
        return None  # "Option A: ... Option B: ...": the options one after the other
    if label.choice == 0 and (entry := _ENTRY_ALONE.search(low, label.end, label.end + 2_000)) and entry[1] == "B":
        return None  # "A: ... B: ..."
    after = skip(text, label.end)
    own = small_letters(options.texts[label.choice])[:4] if label.choice < len(options.letters) else ""
    begins = own != "" and small_letters(text).startswith(own, after)  # as the option does, or as its paraphrase
    if not begins and (JUDGED.match(text, label.end) or _JUDGED_WRONG.match(low, after)):
        return None  # "(A) is wrong", "A - wrong": spoken about; "(A) is correct" is for the cues
    at, end = option_at(text, after, options) if begins else (None, after)
    if at == label.choice and _NOT_SO.match(low, end) and _ANOTHER.search(text, end):
        return None  # "(A) the Nile is not there, (B) ...": spoken about, too
    other = _OR_LAST.fullmatch(low, label.end)
    if other is not None and LETTERS.index(other[1]) != label.choice and not NEGATION.search(low, label.end):
        return SEVERAL  # "A, because the Nile is long, or B."
    return settle(text, label, options)


def listed_numbers(rest: str) -> bool:
    """Does a numbered list go on after its first entry?"""
    return re.match(r"[\s.,;]{0,6}\(?\d{1,2}[.):、]\s", rest) is not None


@lru_cache(maxsize=256)
def _word_letters(language: str | None) -> str:
    """Capital letters that can be words in a row of this language (English always counts; all languages if unknown)."""
    rows = CUES.values() if language is None else [CUES["en"], *filter(None, [CUES.get(language)])]
    return "".join(sorted({letter for row in rows for letter in row.words if letter.isascii()}))
