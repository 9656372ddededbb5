"""The embedded seed and base: enough, complete, in the language they claim, and apart from the evaluation questions."""

from __future__ import annotations

import json
import re
import unicodedata
from importlib import resources
from typing import Any

import pytest

LANGUAGES = ("en", "zh", "vi", "es")


def rows(name: str) -> list[dict[str, Any]]:
    text = (resources.files("crossin_metrics") / "data" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


SEED, BASE = rows("seed_mini"), rows("base_mini")


def test_sizes_and_ids() -> None:
    assert len(SEED) >= 60
    assert len(BASE) >= 60
    for table in (SEED, BASE):
        assert len({row["id"] for row in table}) == len(table)
    with_input = sum(bool(row["en"]["input"]) for row in SEED)
    assert 20 <= with_input <= len(SEED) - 20  # with and without input


@pytest.mark.parametrize("item", SEED, ids=lambda item: item["id"])
def test_items_are_parallel(item: dict[str, Any]) -> None:
    assert set(item) == {"id", *LANGUAGES}
    shape = {name: bool(text) for name, text in item["en"].items()}
    assert shape["instruction"]
    assert shape["output"]
    for code in LANGUAGES:
        assert {name: bool(text) for name, text in item[code].items()} == shape
        assert all(text == text.strip() == unicodedata.normalize("NFC", text) for text in item[code].values())
    lines = {item[code]["output"].count("\n") for code in LANGUAGES}
    assert len(lines) == 1


def numbers(text: str) -> list[str]:
    """Numbers as digits alone: 5,000, 5.000 and 5000 are one; list numbering and clock times included."""
    return sorted(re.findall(r"\d+", re.sub(r"(?<=\d)[.,](?=\d{3})", "", text)))


@pytest.mark.parametrize("code", ["zh", "vi", "es"])
def test_numbers_survive_translation(code: str) -> None:
    differ = [
        item["id"]
        for item in SEED
        if set(numbers(item[code]["output"])) - set(numbers(item["en"]["output"]))
        and item["id"] not in WORDS_BECOME_DIGITS
    ]
    assert differ == []


# English writes the month or a number in words where the other language writes digits.
WORDS_BECOME_DIGITS = {"days-in-year", "extract-date", "earth-orbit"}


def test_scripts() -> None:
    for item in SEED:
        assert re.search(r"[\u4e00-\u9fff]", item["zh"]["instruction"])
        for code in ("en", "vi", "es"):
            assert not re.search(r"[\u4e00-\u9fff]", "".join(item[code].values()))
    marked = sum(bool(re.search(r"[ăâđêôơưạảấầậắềệọộớợụủứừữỳ]", item["vi"]["instruction"])) for item in SEED)
    assert marked == len(SEED)
    spanish = sum(bool(re.search(r"[áéíóúñ¿¡]", "".join(item["es"].values()))) for item in SEED)
    assert spanish > 0.8 * len(SEED)


def test_nothing_is_in_the_evaluation_questions() -> None:
    """A training set must not hold a question of the packaged test set (in English, folded to letters and digits)."""

    def fold(text: str) -> str:
        return re.sub(r"\W+", " ", text.casefold()).strip()

    asked = {fold(row["en"]["question"]) for row in rows("crossin_mini")}
    trained = {fold(item["en"]["instruction"]) for item in SEED} | {fold(row["instruction"]) for row in BASE}
    assert not asked & trained


def test_base_rows_are_whole_and_worked() -> None:
    for row in BASE:
        assert set(row) == {"id", "instruction", "input", "output"}
        assert row["instruction"]
        assert row["instruction"] == row["instruction"].strip()
    longer = sum(len(row["output"]) > 80 for row in BASE)
    assert longer > 0.9 * len(BASE)  # an answer with its reasoning, not a bare result


def test_printed_python_of_the_base_does_what_its_answer_says() -> None:
    """Programs whose output the answers state are run."""
    code = {row["id"]: row["input"] for row in BASE if row["id"].startswith("code-") and row["input"]}
    assert _printed(code["code-loop-sum"]) == "9"
    assert _printed(code["code-mutable-alias"]) == "[1, 2, 3]"
    assert _printed(code["code-recursion"] + "\nprint(f(5))") == "15"
    assert _printed(code["code-off-by-one"] + "\nprint(total([1, 2, 3]))") == "3"  # the error: 6 is right
    answers = {row["id"]: row["output"] for row in BASE}
    assert "prints 9" in answers["code-loop-sum"]
    assert "[1, 2, 3]" in answers["code-mutable-alias"]
    assert "f(5) = 15" in answers["code-recursion"]


def _printed(program: str) -> str:
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
