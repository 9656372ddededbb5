"""Do the cases notice a changed rule? `python -m tests.answers.mutate_rules --mutants 300 --survivors survivors.txt`.

`tests/mutate.py` changes operators, conditions and numbers; here an alternative of a pattern is dropped, too, and
instead of the tests all cases are read, which takes two seconds a mutant.

Left out, since no reading depends on them: limits of length that bound time (numbers from 20 on, and comparisons with
them), `random_answer` and `MARKS` (each with tests of its own), and the early return for texts without lines.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.mutate import _Hook, _in_fork, _module, _Mutator

ANSWERS = Path(__file__).parents[2] / "crossin_metrics" / "answers"
CASES = Path(__file__).with_name("cases")
MODULES = ("thoughts", "cleaning", "cues", "patterns", "text", "announced", "mentioned", "reading")
_ALTERNATIVE = re.compile(r"(?<!\\)\|[^|()\[\]]+(?=[|)]|\Z)")


class _Dropper(ast.NodeTransformer):
    """Drops the `wanted`-th alternative of the module's patterns; None: only counts, in `places`."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted, self.places = wanted, [(0, "")][:0]

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        text = node.value if isinstance(node.value, str) else ""
        for found in _ALTERNATIVE.finditer(text):
            self.places.append((node.lineno, f"without {found[0]}"))
            if self.wanted == len(self.places) - 1:
                return ast.Constant(text[: found.start()] + text[found.end() :])
        return node


def read_all() -> Iterator[tuple[int | None, int | None]]:
    """What is read and what should be, for all cases."""
    from crossin_metrics.answers.reading import explain_answer

    sets = json.loads((CASES / "options.json").read_text("utf-8"))
    for name in ("own.jsonl", "more.jsonl"):
        for line in (CASES / name).read_text("utf-8").splitlines():
            case = json.loads(line)
            expected = None if case["answer"] is None else "ABCDEFGHIJ".index(case["answer"])
            yield explain_answer(case["text"], sets[case["options"]], case["language"]).answer, expected
    for line in (CASES / "words.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        expected = None if case["answer"] is None else "ABCDEFGHIJ".index(case["answer"])
        for word in case["words"]:
            text = case["text"].replace("{word}", word)
            yield explain_answer(text, sets[case["options"]], case["language"]).answer, expected
    for line in (CASES / "announcements.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        for index, letter in enumerate("ABCD"):
            text = case["text"].format(letter=letter, option=sets["neutral"][index])
            yield explain_answer(text, sets["neutral"], case["language"]).answer, index


def survives(path: Path, kind: type[_Dropper] | type[_Mutator], number: int) -> bool:
    """Whether all cases are still read as they should be."""
    changed = ast.fix_missing_locations(kind(number).visit(ast.parse(path.read_text("utf-8"))))

    def work() -> int:
        # All are imported anew, the package included, whose attributes would else be the unchanged modules. It is
        # quick: `re` still has the patterns that did not change.
        for name in [name for name in sys.modules if name.startswith("crossin_metrics")]:
            del sys.modules[name]
        sys.meta_path.insert(0, _Hook(_module(path), path, changed))
        return int(any(read != expected for read, expected in read_all()))

    return _in_fork(work, 90) == 0


_LIMIT = re.compile(r"[<>]=? (?:_\w+|[2-9]\d|\d[\d_]{2,})\b|\[:[2-9]\d\]|\[:\d{3,}")
_UNREAD = re.compile(r"n_choices|sha256|\"<\||seed|not in text or \"B\" not in")


def _left_out(line: str, what: str) -> bool:
    number = re.match(r"([\d_]+)(?:\.\d+)? -> ", what)
    limit = number is not None and int(number[1].replace("_", "")) >= 20
    return limit or _UNREAD.search(line) is not None or (what[:2] in ("Lt", "Gt") and _LIMIT.search(line) is not None)


def main() -> None:
    """Try a seeded sample; print how many changes were noticed, by module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=MODULES)
    parser.add_argument("--mutants", type=int, default=300, help="how many changes to try")
    parser.add_argument("--seconds", type=float, default=3_600, help="stop after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--survivors", type=Path, metavar="FILE", help="write the changes that no case noticed there")
    args = parser.parse_args()
    if any(read != expected for read, expected in read_all()):
        sys.exit("cases are misread without any change: mend them first")
    pool = []
    for path in (ANSWERS / f"{name}.py" for name in args.modules):
        for kind in (_Dropper, _Mutator):
            counter = kind()
            counter.visit(ast.parse(path.read_text("utf-8")))
            lines = path.read_text("utf-8").splitlines()
            pool += [
                (path, kind, number, line, what)
                for number, (line, what) in enumerate(counter.places)
                if not _left_out(lines[line - 1], what)
            ]
    tried, lived, lines, start = Counter[str](), Counter[str](), [], time.monotonic()
    for path, kind, number, line, what in random.Random(args.seed).sample(pool, min(args.mutants, len(pool))):
        if time.monotonic() - start > args.seconds:
            break
        tried[path.stem] += 1
        if survives(path, kind, number):
            lived[path.stem] += 1
            lines.append(f"{path.name}:{line}: {what}\n")
    for module, count in tried.items():
        print(f"{module:10} {count - lived[module]:4} of {count:4} changes noticed")
    print(f"{'all':10} {tried.total() - lived.total():4} of {tried.total():4} ({len(pool):,} possible)")
    if args.survivors is not None:
        args.survivors.write_text("".join(sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
