"""How fast outputs are read: `python tests/benchmarks/bench_answers.py` reads 100,000 typical ones on one core.

The texts: announcements in every language, bare letters, long ones with a thought, JSON, and outputs without an answer.
Once with 5,000 sets of options, each prepared once, and once with options of its own for every output.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path

from crossin_metrics.answers.reading import explain_answer

CASES = Path(__file__).parents[1] / "answers" / "cases"
SEED = 0
SETS = 5_000  # sets of options: 1,190 questions in four languages, 21 outputs each (models, prompts)
WORDS = ["the", "river", "passage", "says", "that", "it", "was", "built", "in", "year", "because", "people", "more"]
BOUND = 20.0  # seconds a 100,000 outputs, on a quiet core


def typical_outputs(n: int, n_sets: int) -> list[tuple[str, list[str], str]]:
    """`n` outputs with one of `n_sets` sets of options each, and their language."""
    rng = random.Random(SEED)
    announced = [json.loads(line) for line in (CASES / "announcements.jsonl").read_text("utf-8").splitlines()]
    sets = [[f"{rng.choice(WORDS)} {rng.randrange(10_000)}" for _ in range(4)] for _ in range(n_sets)]
    found = []
    for number, case in zip(range(n), itertools.cycle(announced)):
        options = sets[number % n_sets]
        pick = rng.randrange(4)
        text = case["text"].format(letter="ABCD"[pick], option=options[pick])
        filler = " ".join(rng.choices(WORDS, k=rng.randrange(5, 60)))
        shape = number % 8
        if shape == 0:
            text = "ABCD"[pick]
        elif shape == 1:
            text = f"<think>{filler * 10} so the answer is A. Wait: </think>\n{text}"
        elif shape == 2:
            text = f"{filler}.\n\n{text}"
        elif shape == 3:
            text = f"{text}\n\n{filler}."
        elif shape == 4:
            text = filler  # no answer
        elif shape == 5:
            text = json.dumps({"reason": filler, "answer": "ABCD"[pick]})
        found.append((text, options, case["language"]))
    rng.shuffle(found)
    return found


def seconds(n: int, n_sets: int) -> float:
    """CPU seconds to read `n` outputs."""
    outputs = typical_outputs(n, n_sets)
    start = time.process_time()
    for text, options, language in outputs:
        explain_answer(text, options, language)
    return time.process_time() - start


if __name__ == "__main__":
    for n_sets in (SETS, 100_000):
        taken = seconds(100_000, n_sets)
        print(f"100,000 outputs with {n_sets:,} sets of options read in {taken:.1f} s (bound {BOUND:g} s)")
