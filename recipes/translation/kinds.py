"""Rows that must not be translated: those about the English language itself, and those without natural language.

Machine translation corrects a correction exercise, flattens a pun and makes a count of letters wrong. These rules cover
the kinds that users of translated instruction sets found broken. They read the instruction and aim at precision: a row
they miss still has to pass the gates, and a rejected row is in the rejects file with the words that matched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_LANGUAGES = (
    "(?:Arabic|Chinese|Dutch|English|Filipino|French|German|Greek|Hebrew|Hindi|Indonesian|Italian|Japanese|Korean|Latin|"
    "Malay|Mandarin|Polish|Portuguese|Russian|Spanish|Swahili|Swedish|Tagalog|Thai|Turkish|Vietnamese)"
)
_SENTENCE = "(?:sentences?|phrases?|texts?|paragraphs?|passages?|writing)"
_LETTERS = "(?:letters?|characters?|vowels?|consonants?|syllables?|words?)"

# kind -> case-insensitive patterns on the instruction
_RULES: dict[str, tuple[str, ...]] = {
    "translation": (
        r"\btranslat(?:e|es|ed|ing|ion|ions|or)\b",
        rf"\b(?:say|write|express|put|convert|rewrite|rephrase)\b.*\b(?:in|into|to) {_LANGUAGES}"
        r"(?=\s*(?:[.,:;!?\"']|$|and\b|language\b|using\b|about\b))",
        rf"\b{_LANGUAGES} (?:words?|phrases?|expressions?|equivalents?|idioms?|proverbs?)\b",
        r"\b(?:identify|detect|determine|guess) (?:the |what |which )?language\b",
        r"\b(?:what|which) language (?:is|are|was) (?:this|these|the following|used)\b",
        r"\b(?:english )?idioms?\b",
    ),
    "spelling_grammar": (
        r"\b(?:spelling|spelled|spelt|misspel\w+|typos?|proofread\w*|punctuat\w+|\w*capitali[sz]\w*|contractions?)\b",
        r"\bspell(?:-?check)? (?:out )?(?:the|this|these|it|correctly|[\"'“])|\bhow (?:do you|to) spell\b",
        r"\b(?:un)?gramma(?:r|rs|tical|tically)\b",
        rf"\b(?:correct|fix|find|identify|edit|locate|spot)\b.{{0,40}}\b(?:errors?|mistakes?)\b.{{0,30}}\b{_SENTENCE}\b",
        r"\b(?:correct|fix|edit)\b.{0,15}\b(?:sentences?|phrases?|word order)\b",
        r"\b(?:upper|lower|title|sentence)[- ]?case\b",
        r"\bparts? of speech\b|\b(?:passive|active) voice\b|\bconjugat\w+\b",
        r"\b(?:past|present|future|simple|perfect|progressive|continuous) tense\b",
        r"\b(?:plural|singular|comparative|superlative) (?:forms?|of)\b",
        r"\b(?:verbs?|nouns?|adjectives?|adverbs?|pronouns?|prepositions?|conjunctions?|clauses?|articles?|subject|predicate)"
        r"\b.{0,30}\b(?:in|of|from) (?:the|this|these|each|a)\b.{0,25}\b(?:sentences?|phrases?)\b",
    ),
    "wordplay": (
        r"\b(?:puns?|rhym\w+|limericks?|haikus?|sonnets?|palindromes?|anagrams?|acronyms?|acrostics?|alliterat\w+)\b",
        r"\b(?:onomatopoeia\w*|oxymorons?|tongue[- ]?twisters?|word ?play|play on words|spoonerisms?|knock[- ]knock)\b",
        r"\b(?:double meanings?|homophones?|homonyms?|homographs?|portmanteaus?|mnemonics?|riddles?)\b",
    ),
    "letters": (
        rf"\b(?:count|how many|number of|total)\b.{{0,40}}\b{_LETTERS}\b.{{0,20}}\b(?:in|of|are|does|contain|there)\b",
        r"\b(?:start|begin|end)(?:s|ning|ing)? (?:with|in) (?:(?:the |a |an )?(?:letter|vowel|consonant|sound)\b|"
        r"(?:the |an? )?[\"'“‘]\w{1,3}[\"'”’]|(?-i:(?:an? )?[B-HJ-Z])\b)",
        r"\b(?:unscrambl\w+|jumbled|scrambled (?:letters|words?)|alphabeti\w+|prefix(?:es)?|suffix(?:es)?)\b",
        r"\b(?:syllables?|vowels?|consonants?|phonetic\w*|pronounc\w+|pronunciations?|missing letters?)\b",
        rf"\b(?:reverse|rearrange|reorder|swap)\b.{{0,20}}\b(?:strings?|{_LETTERS})\b",
    ),
}
_COMPILED = {
    kind: re.compile("|".join(f"(?:{rule})" for rule in rules), re.IGNORECASE | re.DOTALL)
    for kind, rules in _RULES.items()
}

_CODE_LINE = re.compile(  # lines that only programs have
    r"\s*(?:"
    + "|".join(
        (
            r"(?:async )?def \w+\(|class \w+\s*[:({]|import [\w.]+(?: as \w+)?\s*$|from [\w.]+ import |#include\b",
            r"(?:public|private|static) (?:static|class|void|int)\b|(?:const|let|var) \w+\s*=|function \w*\(",
            r"(?:for|if|while|switch) ?\(.*\)\s*\{|\}.{0,12}$|return\b.*;$",
            r"(?:for|if|elif|while|else|try|with)\b[^.?!]*:$",
            r"SELECT\b.*\bFROM\b|INSERT INTO\b|UPDATE \w+ SET\b|DELETE FROM\b|CREATE TABLE\b",
            r"<(?:!DOCTYPE|/?(?:html|head|body|div|script|style|p|ul|li|table|tr|td|h[1-6]))\b[^>]*>",
            r"[\w.\[\]]+\s*[-+*/]?=\s*[^=\s]\S*(?: [-+*/] \S+)*$|[\w.]+\(.*\);?$|.*[;{]$",
        )
    )
    + ")"
)
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
CODE_SHARE = 0.5  # of the lines outside fences


def is_code(text: str) -> bool:
    """Whether a text is a program rather than prose: it is kept, and the rest of its row translated.

    Code inside fences or backquotes is masked, so it does not count.
    """
    lines = [line.rstrip() for line in _FENCE.sub("", text).splitlines() if line.strip()]
    return bool(lines) and sum(_CODE_LINE.match(line) is not None for line in lines) >= CODE_SHARE * len(lines)


KINDS = (*_RULES, "no_words", "foreign")
ENGLISH_LETTERS = 0.7  # of all letters


def untranslatable(fields: Mapping[str, str], kinds: Collection[str] = KINDS) -> tuple[str, str] | None:
    """Return (kind, evidence) for a row that should not be translated, or None.

    Args:
        fields: `instruction`, `input` and `output` of an English row.
        kinds: the kinds to look for, some of :data:`KINDS`.
    """
    instruction = fields["instruction"]
    for kind, pattern in _COMPILED.items():
        if kind in kinds and (match := pattern.search(instruction)):
            return kind, " ".join(match.group(0).split())
    if "no_words" in kinds and not any(character.isalpha() for character in instruction):
        return "no_words", instruction.strip()[:80]
    letters = [character for text in fields.values() for character in text if character.isalpha()]
    if "foreign" in kinds and letters:
        share = sum(character.isascii() for character in letters) / len(letters)
        if share < ENGLISH_LETTERS:
            return "foreign", f"{share:.0%} of its letters are A-Z"
    return None
