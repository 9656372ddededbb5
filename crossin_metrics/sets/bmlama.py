"""BMLAMA (arXiv 2310.10378): facts as sentences with a blank and candidates for it, in 17 or 53 languages.

Read from the released files, one `<language>.tsv` a language in the folder `bmlama17/` or `bmlama53/`: columns
`Prompt, Ans, Candidate Ans, Subject`, one fact a line, the same facts in the same lines of every file. The right
candidate is always last there, so the candidates of each fact are put into a seeded order, the same in every language.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import language_code, language_codes
from crossin_metrics.records import text_lines
from crossin_metrics.sets.catalogue import SetEntry
from crossin_metrics.sets.parallel_set import BLANK, Item, ParallelMCQ

MINI_FACTS, MINI_SEED = 500, 0  # bmlama17_mini: the same facts for everybody
MASK, HEADER = "<mask>", ("Prompt", "Ans", "Candidate Ans", "Subject")
SOURCE = "github.com/Betswish/Cross-Lingual-Consistency, folder data/"
Fact = tuple[str, tuple[str, ...], str]  # sentence, candidates, subject
WINDOW, MOST_UNUSUAL = 50, 30  # facts; of 50 in a row the released files have at most 16 unusual, shifted rows 49
_REFETCH = f"fetch the file again ({SOURCE})"


def build(
    entry: SetEntry,
    *,
    languages: Sequence[str] | None = None,
    data_dir: Path | None = None,
    revision: str | None = None,
    seed: int | None = 0,
) -> ParallelMCQ:
    """Build `bmlama17`, `bmlama53` or `bmlama17_mini`.

    Groups are the relations: the English sentence with the subject left out (of the first language, if the folder has
    no English). `bmlama17_mini` holds 500 facts drawn by SHA-256 with seed 0.

    Args:
        entry: of the catalogue.
        languages: codes in the order wanted; None: those of the entry.
        data_dir: the folder with the files, or one that holds it under its name.
        revision: unused; the files have none.
        seed: of the candidates' order; None: as released, the right one last.

    Raises:
        CrossinError: a file is missing or breaks the format; with file, line and remedy.
    """
    codes = language_codes(languages or entry.languages)
    files = _files(entry, data_dir)
    for code in codes:
        if code not in files:
            have = ", ".join(sorted(files))
            raise CrossinError(f"{data_dir}: {code}.tsv of {entry.name} not found (there is {have}); {_REFETCH}")
    lead = "en" if "en" in files else codes[0]
    read = {code: read_tsv(files[code]) for code in dict.fromkeys((lead, *codes))}
    facts = read[lead]
    for code in codes:
        _check_aligned(files[code], read[code], files[lead], facts)
    chosen = list(range(len(facts)))
    if entry.name.endswith("_mini"):
        chosen = sorted(sorted(chosen, key=lambda i: _draw(MINI_SEED, "fact", i))[:MINI_FACTS])
    orders = [_order(number, len(facts[number][1]), seed) for number in chosen]
    items = {
        code: tuple(
            Item(None, read[code][number][0], tuple(read[code][number][1][option] for option in order))
            for number, order in zip(chosen, orders, strict=True)
        )
        for code in codes
    }
    return ParallelMCQ(
        entry.name,
        codes,
        tuple(f"{number:04d}" for number in chosen),
        items,
        tuple(order.index(len(order) - 1) for order in orders),
        tuple(facts[number][0].replace(facts[number][2], "[X]") for number in chosen),
        f"file:{files[lead].parent.name}",
    )


def data_files(entry: SetEntry, folder: Path) -> tuple[Path, ...]:
    """The files the set is built from; raises CrossinError if the folder has none."""
    return tuple(_files(entry, folder).values())


def read_tsv(path: Path) -> list[Fact]:
    """Read one language: sentence with `____` for the blank, candidates (the right one last) and subject of each fact.

    Raises:
        CrossinError: another format; with file, line and remedy.
    """
    facts = []
    lines = text_lines(path)
    header = next(iter(lines), "")
    if header.replace("\t", " ").split() != " ".join(HEADER).split():  # a tab splits "Candidate Ans" in zh.tsv
        raise CrossinError(f"{path}, line 1: the header must be {', '.join(HEADER)}, not {header[:80]!r}; {_REFETCH}")
    for number, line in enumerate(lines, 2):
        at = f"{path}, line {number}"
        fields = [_unquoted(field) for field in line.rstrip("\r\n").split("\t")]
        if len(fields) != len(HEADER):
            raise CrossinError(f"{at}: {len(fields)} columns, but {len(HEADER)} in the header; {_REFETCH}")
        prompt, answer, joined, subject = fields
        if prompt.count(MASK) != 1:
            raise CrossinError(f"{at}: {prompt.count(MASK)} blanks ({MASK}) in {prompt[:80]!r}; it must have one")
        candidates = tuple(candidate.strip() for candidate in joined.split(", "))
        if not all(candidates):
            raise CrossinError(f"{at}: an empty candidate in {joined[:80]!r}; fill it in or drop the fact everywhere")
        if len(candidates) < 2 or candidates[-1] != answer.strip():
            raise CrossinError(
                f"{at}: the answer {answer[:40]!r} is not the last of {len(candidates)} candidates ({joined[-60:]!r}); "
                "candidates are separated by ', ', so none may contain one"
            )
        if len(set(candidates)) < len(candidates):
            raise CrossinError(f"{at}: equal candidates in {joined[:80]!r}; {_REFETCH}")
        facts.append((prompt.strip().replace(MASK, BLANK), candidates, subject.strip()))
    return facts


def _unquoted(field: str) -> str:
    """Undo the CSV quoting of fields with a quotation mark in them (134 rows of he.tsv)."""
    inner = field[1:-1]
    quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else field


def _check_aligned(path: Path, facts: Sequence[Fact], lead_path: Path, lead: Sequence[Fact]) -> None:
    if len(facts) != len(lead):
        raise CrossinError(
            f"{path}: {len(facts)} facts, but {len(lead)} in {lead_path.name}; every language needs the same facts in "
            f"the same lines; {_REFETCH}"
        )
    unusual = _unusual(facts, lead)
    counts = [sum(unusual[start : start + WINDOW]) for start in range(len(unusual))]
    if max(counts, default=0) > MOST_UNUSUAL:
        first = unusual.index(True, next(start for start, count in enumerate(counts) if count > MOST_UNUSUAL))
        raise CrossinError(
            f"{path}, line {first + 2}: from about here answers and candidates do not translate those of the same "
            f"lines of {lead_path.name}: rows are shifted or sorted differently; {_REFETCH}"
        )
    for number, (fact, other) in enumerate(zip(facts, lead, strict=True), 2):
        if len(fact[1]) != len(other[1]):
            raise CrossinError(
                f"{path}, line {number}: {len(fact[1])} candidates, but {len(other[1])} in {lead_path.name}: either "
                f"rows are shifted from here or above, or a candidate contains ', '; {_REFETCH}"
            )


def _unusual(facts: Sequence[Fact], lead: Sequence[Fact]) -> list[bool]:
    """Which facts have an answer and most candidates that elsewhere in the file do not translate those of the lead.

    So have facts with another number of candidates.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for fact, other in zip(facts, lead, strict=True):
        for word, translation in zip(other[1], fact[1], strict=False):
            seen[word][translation] += 1
    usual = {word: translations.most_common(1)[0][0] for word, translations in seen.items()}
    unusual = []
    for fact, other in zip(facts, lead, strict=True):
        differs = [usual[word] != translation for word, translation in zip(other[1], fact[1], strict=False)]
        unusual.append(len(fact[1]) != len(other[1]) or (differs[-1] and 2 * sum(differs) > len(differs)))
    return unusual


def _files(entry: SetEntry, folder: Path | None) -> dict[str, Path]:
    """Language -> file of the set's folder."""
    name = entry.name.removesuffix("_mini")
    if folder is None:
        raise CrossinError(f"{entry.name} is read from local files: fetch {name}/ from {SOURCE} and set data_dir")
    for place in (folder / name, folder):
        if found := {language_code(path.stem): path for path in sorted(place.glob("*.tsv"))}:
            return found
    raise CrossinError(f"{folder}: no {name}/<language>.tsv in it; fetch the folder from {SOURCE}")


def _order(fact: int, n_candidates: int, seed: int | None) -> list[int]:
    plain = list(range(n_candidates))
    return plain if seed is None else sorted(plain, key=lambda option: _draw(seed, "order", fact, option))


def _draw(seed: int, *parts: object) -> bytes:
    """A value to sort by that is the same on every machine and Python version."""
    return hashlib.sha256("|".join(map(str, (seed, *parts))).encode()).digest()
