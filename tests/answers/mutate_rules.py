"""Do the cases notice a changed rule? `python -m tests.answers.mutate_rules --mutants 300 --survivors survivors.txt`.

A seeded sample of changes to the reader's source (an alternative of a pattern dropped, a comparison turned, `and` for
`or`, a condition negated, a number moved by one, a return of None), each in a process of its own that reads all cases.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import multiprocessing
import random
import re
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
CASES = Path(__file__).with_name("cases")
PACKAGE = "crossin_metrics.answers"
MODULES = ("thoughts", "cleaning", "text", "announced", "mentioned", "reading")
TURNED = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
TURNED |= {ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}


Change = Callable[[Any], None]


def changes(tree: ast.Module) -> list[tuple[int, int, str, Change]]:
    """Every possible change: the node's place in the tree, its line, a word for the change, and the change."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        (place, getattr(node, "lineno", 0), kind, change)
        for place, node in enumerate(ast.walk(tree))
        if id(node) not in docstrings
        for kind, change in _changes_of(node)
    ]


def _changes_of(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        yield "comparison", lambda n: n.ops.__setitem__(0, TURNED[type(n.ops[0])]())
    elif isinstance(node, ast.BoolOp):
        yield "and/or", lambda n: setattr(n, "op", ast.Or() if isinstance(n.op, ast.And) else ast.And())
    elif isinstance(node, ast.If):
        yield "condition", lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "return None", lambda n: setattr(n, "value", ast.Constant(None))
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "number", lambda n: setattr(n, "value", n.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for bar in list(re.finditer(r"(?<!\\)\|[^|()\[\]]+(?=[|)]|\Z)", node.value))[:8]:
            yield f"without {bar[0][:30]}", _cut(*bar.span())


def _cut(start: int, end: int) -> Change:
    return lambda node: setattr(node, "value", node.value[:start] + node.value[end:])


def read_all() -> Iterator[tuple[str, int | None, int | None]]:
    """The text, what is read and what should be, for all cases."""
    from crossin_metrics.answers.reading import explain_answer

    sets = json.loads((CASES / "options.json").read_text("utf-8"))
    for name in ("own.jsonl", "more.jsonl"):
        for line in (CASES / name).read_text("utf-8").splitlines():
            case = json.loads(line)
            expected = None if case["answer"] is None else "ABCDEFGHIJ".index(case["answer"])
            yield case["text"], explain_answer(case["text"], sets[case["options"]], case["language"]).answer, expected
    for line in (CASES / "announcements.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        for index, letter in enumerate("ABCD"):
            text = case["text"].format(letter=letter, option=sets["neutral"][index])
            yield text, explain_answer(text, sets["neutral"], case["language"]).answer, index


class Mutant(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module of the reader from a changed source."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self.source, self.name, "exec"), module.__dict__)


def check(module: str, source: str) -> None:
    """Exit with 1 unless all cases are read as they should be; run in a process of its own."""
    sys.stderr = io.StringIO()  # tracebacks of broken mutants
    sys.meta_path.insert(0, Mutant(f"{PACKAGE}.{module}", source))
    sys.exit(int(any(read != expected for _, read, expected in read_all())))


def main(n: int, seed: int, seconds: float, survivors: Path | None) -> None:
    trees = {
        module: ast.parse((REPO / "crossin_metrics" / "answers" / f"{module}.py").read_text("utf-8"))
        for module in MODULES
    }
    pool = [(module, *change) for module, tree in trees.items() for change in changes(tree)]
    sample = random.Random(seed).sample(pool, min(n, len(pool)))
    start, tried, lived = time.monotonic(), Counter[str](), Counter[str]()
    lines = []
    for module, place, line, kind, change in sample:
        if time.monotonic() - start > seconds:
            break
        tree = copy.deepcopy(trees[module])
        change(next(node for number, node in enumerate(ast.walk(tree)) if number == place))
        process = multiprocessing.get_context("fork").Process(target=check, args=(module, ast.unparse(tree)))
        process.start()
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()
        tried[module] += 1
        if process.exitcode == 0:
            lived[module] += 1
            lines.append(f"{module}.py:{line}: {kind}")
    for module, count in tried.items():
        print(f"{module:10} {count - lived[module]:4} of {count:4} changes noticed")
    print(f"{'all':10} {tried.total() - lived.total():4} of {tried.total():4} ({len(pool):,} possible)")
    if survivors is not None:
        survivors.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=300, help="how many changes to try")
    parser.add_argument("--seconds", type=float, default=3_600, help="stop after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--survivors", type=Path, metavar="FILE", help="write the changes that no case noticed there")
    args = parser.parse_args()
    main(args.mutants, args.seed, args.seconds, args.survivors)
