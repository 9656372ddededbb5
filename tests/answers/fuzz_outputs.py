"""Mutations of typical outputs: no exception, no slow one, answer within the options.

`python -m tests.answers.fuzz_outputs --minutes 5 --keep failing`: how many inputs were read, and what went wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from crossin_metrics.answers.reading import explain_answer
from crossin_metrics.answers.thoughts import MARKS

CASES = Path(__file__).with_name("cases")
SLOW = 2.0  # seconds


def seeds() -> list[tuple[str, list[str]]]:
    """Own cases and announcements, which the mutations put together."""
    sets = json.loads((CASES / "options.json").read_text("utf-8"))
    found = []
    for name in ("own.jsonl", "more.jsonl", "announcements.jsonl"):
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


def fuzz(n: int, seconds: float, seed: int = 0, keep: Path | None = None) -> tuple[int, float, Counter[str]]:
    """Read up to `n` mutants within some seconds; return how many, the slowest one's seconds, and the problems.

    A problem is an exception, an answer outside the options, or an input that takes over two seconds; the first input
    of each is written to the folder `keep`.
    """
    rng, start, slowest, pool = random.Random(seed), time.monotonic(), 0.0, seeds()
    problems: Counter[str] = Counter()
    number = 0
    while number < n and time.monotonic() - start < seconds:
        number += 1
        (text, options), (other, _) = rng.choice(pool), rng.choice(pool)
        text, language, problem = mutate(rng, text, other), rng.choice([None, "en", "zh", "ru", "xx"]), ""
        before = time.process_time()
        try:
            answer = explain_answer(text, options, language).answer
            problem = "" if answer is None or answer in range(len(options)) else "answer outside the options"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        taken = time.process_time() - before
        slowest = max(slowest, taken)
        problem = problem or ("slow" if taken > SLOW else "")
        problems.update([problem] if problem else [])
        if keep is not None and problems[problem] == 1:
            keep.mkdir(parents=True, exist_ok=True)
            case = {"problem": problem, "text": text, "choices": options, "language": language}
            (keep / f"output_{len(problems)}.json").write_text(json.dumps(case), encoding="utf-8")
    return number, slowest, problems


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many")
    parser.add_argument("--minutes", type=float, default=60, help="stop after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the first input of each problem there")
    args = parser.parse_args()
    count, slowest, problems = fuzz(args.inputs, args.minutes * 60, args.seed, args.keep)
    print(f"{count:,} inputs read, the slowest in {1000 * slowest:.0f} ms, {problems.total()} problems")
    for problem, times in problems.most_common():
        print(f"{times:6}  {problem}")
    sys.exit(int(bool(problems)))
