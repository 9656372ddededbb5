"""`crossin compare --by-language`: where a change moves one language more than English."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from tests.helpers import cli

LANGUAGES = ("en", "es", "sw")
crossin = partial(cli.crossin, "compare")


def write(path: Path, seed: int, right: tuple[float, ...], languages: tuple[str, ...] = LANGUAGES) -> Path:
    """Answers that are right in a share of 200 questions, by language."""
    rng = np.random.default_rng(seed)
    rows = [
        {"id": f"q{q}", "language": code, "gold": q % 4, "n_choices": 4, "model": path.stem, "task": "t"}
        | {"answer": q % 4 if rng.random() < share else (q + int(rng.integers(1, 4))) % 4}
        for q in range(200)
        for code, share in zip(languages, right, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_language_that_is_harmed_is_named(tmp_path: Path) -> None:
    full = write(tmp_path / "full.jsonl", 0, (0.8, 0.75, 0.7))
    quantised = write(tmp_path / "quantised.jsonl", 1, (0.8, 0.75, 0.35))
    done = crossin(quantised, full, "--by-language", "--resamples", 500)
    assert done.returncode == 0, done.stderr
    said = done.stdout.partition("conclusions\n")[2]
    assert said.startswith("t: accuracy in ")
    assert "t: accuracy in sw falls from B to A by 0." in said
    assert "worse than en (p 0.00" in said
    found = json.loads(crossin(quantised, full, "--by-language", "--resamples", 500, "--json").stdout)
    changes = {one["name"]: one for one in found["comparisons"][0]["changes"]}
    assert set(changes) == {"en", "es", "sw", "en es", "en sw", "es sw"}
    assert changes["sw"]["significant"]
    assert not changes["es"]["significant"]
    assert found["comparisons"][0]["n_questions"] == 200


def test_nothing_is_claimed_of_equal_systems(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{i}.jsonl", i, (0.8, 0.7, 0.6)) for i in range(2))
    said = crossin(a, b, "--by-language", "--resamples", 500).stdout
    assert "t: no language or pair is shown to change more or less than the others" in said


def test_mistakes(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{i}.jsonl", i, (0.8,), ("en",)) for i in range(2))
    done = crossin(a, b, "--by-language")
    assert done.returncode == 2
    assert "at least two languages, got en only" in done.stderr
    done = crossin(a, b, "--by-language", "--keys", "acc")
    assert done.returncode == 2
    assert "leave out --keys" in done.stderr
