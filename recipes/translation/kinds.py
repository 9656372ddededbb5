"""Rows whose point is the English language itself, or that are no language at all: not to be translated.

A correction exercise translated by a machine comes out corrected, a pun comes out flat, a count of letters comes out
wrong. These rules name the kinds that users of translated instruction sets found broken; they read the instruction
first, since that is what says what the row is about. They aim at precision on instructions of the Alpaca sort: a row
they miss meets the gates, a row they take stays in the rejects file with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_LANGUAGE = (
    r"(?:English|French|Spanish|German|Italian|Portuguese|Chinese|Mandarin|Japanese|Korean|Russian|Arabic|Hindi|"
    r"Vietnamese|Thai|Indonesian|Malay|Filipino|Tagalog|Latin|Greek|Dutch|Swedish|Polish|Turkish|Hebrew|Swahili)"
)

# kind -> patterns on the instruction, read without regard to case
_INSTRUCTION_RULES: dict[str, tuple[str, ...]] = {
    "translation": (
        r"\btranslat(?:e|es|ed|ing|ion|ions)\b(?! (?:research|medicine))",
        rf"\bhow (?:do|would|to|can) (?:\w+ )?(?:say|write|spell)\b.*\bin {_LANGUAGE}\b",
        rf"\b(?:say|write|express|put|convert)\b.*\b(?:in|into|to) {_LANGUAGE}\b",
        rf"\b{_LANGUAGE} (?:word|phrase|expression|equivalent|idiom)\b",
        r"\b(?:which|what|identify the|detect the|name the) language\b(?! model)",
    ),
    "spelling_grammar": (
        r"\bspell(?:s|ed|ing|ings)?\b(?! out the (?:steps|reasons|terms))",
        r"\b(?:misspell|misspelt|typo|typos|grammar|grammatical|grammatically|ungrammatical)\w*\b",
        r"\b(?:proofread|punctuat|capitaliz|capitalis|uncapitaliz)\w*\b",
        r"\b(?:correct|fix|find|identify|edit|locate|spot)\b.{0,40}\b(?:error|errors|mistake|mistakes)\b.{0,30}"
        r"\b(?:sentence|sentences|text|paragraph|phrase|passage|writing)\b",
        r"\b(?:correct|fix|edit)\b.{0,15}\b(?:sentence|sentences|phrase|word order)\b",
        r"\b(?:upper|lower|title|sentence) ?case\b",
        r"\b(?:part|parts) of speech\b|\b(?:subject|verb|predicate|noun|adjective|adverb|pronoun|preposition|clause)s?"
        r"\b.{0,30}\b(?:in|of|from) (?:the|this|these|each|a|following)\b.{0,25}\b(?:sentence|sentences|phrase|text)\b",
        r"\b(?:passive|active) voice\b|\b(?:past|present|future|simple|perfect|progressive|continuous) tense\b",
        r"\b(?:plural|singular|comparative|superlative) (?:form|forms|of)\b|\bconjugat\w+\b|\bcontractions?\b",
    ),
    "wordplay": (
        r"\b(?:pun|puns|rhyme|rhymes|rhyming|rhymed|limerick|limericks|haiku|haikus|sonnet|palindrome|palindromes)\b",
        r"\b(?:anagram|anagrams|acronym|acronyms|acrostic|alliteration|alliterative|onomatopoeia|oxymoron)\b",
        r"\b(?:tongue[- ]twister|play on words|wordplay|word play|spoonerism|knock[- ]knock|double meaning|homophone)s?\b",
        r"\b(?:homonym|homograph|portmanteau|mnemonic|riddle)s?\b",
    ),
    "letters": (
        r"\b(?:count|how many|number of|total)\b.{0,40}\b(?:letter|letters|character|characters|vowel|vowels|consonant|"
        r"consonants|syllable|syllables|word|words)\b.{0,20}\b(?:in|of|are|does|contain|there)\b",
        r"\b(?:start|starts|starting|begin|begins|beginning|end|ends|ending) with (?:the |a |an )?(?:letter|vowel|consonant|"
        r"prefix|suffix|sound)\b",
        r"\b(?:start|starts|starting|begin|begins|beginning|end|ends|ending) (?:with|in) (?:the )?[\"'“]?[A-Za-z][\"'”]?"
        r"(?=[\s.,;!?]|$)(?! )",
        r"\b(?:unscramble|rearrange the letters|jumbled|scrambled letters|reverse the (?:string|word|letters)|alphabetical(?:ly)?"
        r"|syllables?|vowels?|consonants?|prefix|suffix|phonetic\w*|pronounc\w+|pronunciation)\b",
        r"\b(?:fill in|add) the missing (?:letter|letters|vowel|vowels)\b",
    ),
}
_COMPILED = {
    kind: re.compile("|".join(f"(?:{rule})" for rule in rules), re.IGNORECASE | re.DOTALL)
    for kind, rules in _INSTRUCTION_RULES.items()
}

# Lines that only programs have. Code inside fences is masked and no reason to leave a row out.
_CODE_LINE = re.compile(
    r"^\s*(?:def \w+\(|class \w+[:({]|import [\w.]+(?: as \w+)?$|from [\w.]+ import |#include\b|public (?:static|class)\b|"
    r"(?:const|let|var) \w+\s*=|function \w*\(|return\b.*;?$|for ?\(.*\)\s*\{|if ?\(.*\)\s*\{|while ?\(.*\)\s*\{|\}\s*(?:else.*)?$|"
    r"print(?:ln|f)?\(.*\);?$|console\.log\(|System\.out\.|SELECT\b.*\bFROM\b|(?:INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\b|"
    r"<(?:!DOCTYPE|html|head|body|div|script|style|p|ul|li|table|tr|td|h[1-6])\b.*>|\w+(?:\[\w+\])?\s*[-+*/]?=\s*[^=].*;?$|"
    r".*[;{]\s*$|\w[\w.]*\(.*\);?$)",
)
_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)

KINDS = (*_INSTRUCTION_RULES, "code", "no_words", "foreign")
CODE_SHARE = 0.5  # of the lines outside fences
MIN_ENGLISH_LETTERS = 0.7  # of all letters


def untranslatable(fields: Mapping[str, str], kinds: Collection[str] = KINDS) -> tuple[str, str] | None:
    """Return (kind, the words that show it) for a row that should not be translated, or None.

    Args:
        fields: `instruction`, `input` and `output` of an English row.
        kinds: the kinds to look for, a subset of :data:`KINDS`.
    """
    instruction = fields["instruction"]
    for kind, pattern in _COMPILED.items():
        if kind in kinds and (match := pattern.search(instruction)):
            return kind, " ".join(match.group(0).split())
    if "code" in kinds:
        for name in ("output", "input"):
            lines = [line for line in _FENCE.sub("", fields.get(name, "")).splitlines() if line.strip()]
            code = [line for line in lines if _CODE_LINE.match(line)]
            if code and len(code) / len(lines) >= CODE_SHARE:
                return "code", f"{name}: {code[0].strip()[:80]}"
    letters = [character for text in fields.values() for character in text if character.isalpha()]
    if "no_words" in kinds and not any(character.isalpha() for character in instruction):
        return "no_words", instruction.strip()[:80]
    if "foreign" in kinds and letters:
        english = sum(character.isascii() for character in letters) / len(letters)
        if english < MIN_ENGLISH_LETTERS:
            return "foreign", f"{english:.0%} of its letters are A-Z"
    return None
