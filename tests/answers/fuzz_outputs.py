"""Mutations of typical outputs: no exception, no slow one, answer within the options.

`python tests/answers/fuzz_outputs.py --minutes 5` reports how many inputs were read (a million take about ten minutes).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from crossin_metrics.answers.reading import explain_answer
from crossin_metrics.answers.thoughts import MARKS

CASES = Path(__file__).with_name("cases")
SLOW = 2.0  # seconds


def seeds() -> list[tuple[str, list[str]]]:
    """Own cases and announcements, which the mutations put together."""
    sets = json.loads((CASES / "options.json").read_text("utf-8"))
    found = []
    for name in ("own.jsonl", "announcements.jsonl"):
        for line in (CASES / name).read_text("utf-8").splitlines():
            case = json.loads(line)
            found.append((case["text"], sets[case.get("options", "river")]))
    return found


PIECES = [mark for pair in MARKS for mark in pair] + [
    "\n", " ", "(A)", "B.", "**", "\\boxed{", "}", '{"answer": "', '"}', "<answer>", "</answer>", "Question:",
    "Answer:",     "not ", "答案", "ب", "उत्तर", "\u200f", "\u0301", "\ud800", "İ", "0", "A, B", "。", "```", "$", "|",
]  # fmt: skip


def mutate(rng: random.Random, text: str, other: str) -> str:
    """One to four random edits."""
    for _ in range(rng.randint(1, 4)):
        at, to = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        kind = rng.randrange(8)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:at] + rng.choice(PIECES) * rng.choice((1, 1, 2, 30)) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at:to] * rng.choice((2, 3, 20)) + text[to:]
        elif kind == 3:
            text = text[:at] + other + text[to:]
        elif kind == 4:
            text = text[:at] + text[at:to][::-1] + text[to:]
        elif kind == 5:
            text = text[:at] + chr(rng.randrange(1, 0x11000)) + text[at:]
        elif kind == 6:
            text = text[:at] + text[at:to].swapcase() + text[to:]
        else:
            text = text[to:] + text[:to]
    return text[:20_000]


def fuzz(n: int, seconds: float, seed: int = 0) -> tuple[int, float]:
    """Read up to `n` mutants within some seconds; return how many, and the slowest one's seconds.

    Raises:
        AssertionError: an answer outside the options, or an input that takes over two seconds.
    """
    rng, start, slowest, pool = random.Random(seed), time.monotonic(), 0.0, seeds()
    for number in range(n):
        (text, options), (other, _) = rng.choice(pool), rng.choice(pool)
        text = mutate(rng, text, other)
        before = time.process_time()
        answer = explain_answer(text, options, rng.choice([None, "en", "zh", "ru", "xx"])).answer
        slowest = max(slowest, time.process_time() - before)
        assert answer is None or answer in range(len(options)), text
        assert slowest < SLOW, text
        if time.monotonic() - start > seconds:
            return number + 1, slowest
    return n, slowest


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    count, slowest = fuzz(args.inputs, args.minutes * 60, args.seed)
    print(f"{count:,} inputs read, the slowest in {1000 * slowest:.0f} ms")
