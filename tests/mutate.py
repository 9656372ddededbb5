"""Mutation testing: change one operator, number, condition or statement at a time and see whether a fast test notices.

    python tests/mutate.py                                   # 30 mutants of each room, seed 0
    python tests/mutate.py --rooms files signature --sample 0    # all mutants of two rooms
    python tests/mutate.py --seconds 480 --out mutants.jsonl     # a slice; run again for the next one

Every test runs once with a line tracer, so that a mutant is given only to the tests that execute its line. A mutant
runs in a fork of a process that has the tests' libraries loaded already, where an import hook supplies the changed
module; Python processes that a test starts get the same hook from `sitecustomize`.
Left out: texts, annotations, `strict=` of zip, lines of `if TYPE_CHECKING`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import json
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
# room -> (its modules, the tests that should notice)
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "scores": ("crossin_metrics/scores/*.py", ("tests/scores", "tests/shortcuts/test_statistics.py")),
    "answers": ("crossin_metrics/answers/*.py", ("tests/answers",)),
    "runs": ("crossin_metrics/runs/*.py", ("tests/runs", "tests/commands/test_score.py")),
    "files": ("crossin_metrics/files.py", ("tests/test_files.py",)),
    "signature": ("crossin_metrics/signature.py", ("tests/test_signature.py",)),
    "rows": ("recipes/mixes/rows.py", ("tests/recipes/mixes",)),
    "masks": (
        "recipes/tuning/loss_masks.py",
        ("tests/recipes/tuning/test_loss_masks.py", "tests/recipes/mixes/test_plain_text.py"),
    ),
}
OURS = ("crossin_metrics", "recipes", "tests", "lm_eval", "__mp_main__")  # not preloaded; lm_eval imports plug-ins
MARGIN = 20.0  # seconds that a mutant's tests may take beyond three times what they took unchanged

_COMPARE: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_BINARY: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class _Mutator(ast.NodeTransformer):
    """Walks a module and changes the `wanted`-th place that can be changed; None: only counts, in `places`."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted, self.places = wanted, [(0, "")][:0]

    def _hit(self, node: ast.AST, what: str) -> bool:
        self.places.append((node.lineno, what))  # type: ignore[attr-defined]
        return self.wanted == len(self.places) - 1

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        hit = self._hit(node, "if: condition negated")
        self.generic_visit(node)
        if hit:
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.value = self.visit(node.value) if node.value else None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.body = [self.visit(statement) for statement in node.body]
        node.args.defaults = [self.visit(one) for one in node.args.defaults]
        return node

    def visit_keyword(self, node: ast.keyword) -> Any:
        return node if node.arg == "strict" else self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        for number, operator in enumerate(node.ops):
            other = _COMPARE[type(operator)]
            if self._hit(node, f"{type(operator).__name__} -> {other.__name__}"):
                node.ops[number] = other()
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        texts = any(
            isinstance(side, (ast.JoinedStr, ast.Constant)) and not _number(side) for side in (node.left, node.right)
        )
        other = _BINARY.get(type(node.op))
        if other and not texts and self._hit(node, f"{type(node.op).__name__} -> {other.__name__}"):
            node.op = other()
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        if self._hit(node, "and <-> or"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, (ast.Not, ast.USub)) and self._hit(node, f"{type(node.op).__name__} removed"):
            return self.generic_visit(node).operand
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bool):
            return ast.Constant(not node.value) if self._hit(node, f"{node.value} -> {not node.value}") else node
        if _number(node) and self._hit(node, f"{node.value} -> {node.value + 1}"):  # type: ignore[operator]
            return ast.Constant(node.value + 1)  # type: ignore[operator]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        nothing = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if not nothing and self._hit(node, "return None"):
            node.value = ast.Constant(None)
            return node
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> Any:
        return ast.Pass() if self._hit(node, "raise removed") else node

    def visit_Continue(self, node: ast.Continue) -> Any:
        return ast.Break() if self._hit(node, "continue -> break") else node

    def visit_Break(self, node: ast.Break) -> Any:
        return ast.Continue() if self._hit(node, "break -> continue") else node

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Constant):
            return node
        return ast.Pass() if self._hit(node, "statement removed") else self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        other = _BINARY.get(type(node.op))
        if other and self._hit(node, f"augmented {type(node.op).__name__} -> {other.__name__}"):
            node.op = other()
        return self.generic_visit(node)


def _number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


class _Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Supplies the changed module instead of the file's."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self._module, self._path, self._code = module, path, compile(tree, str(path), "exec")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        package = self._path.name == "__init__.py"
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(
            name, self._path, loader=self, submodule_search_locations=[str(self._path.parent)] if package else None
        )

    def exec_module(self, module: Any) -> None:
        exec(self._code, module.__dict__)


class _Tracer:
    """Records which lines of the modules each test executes, and its seconds."""

    def __init__(self, paths: set[str]) -> None:
        self._paths, self._lines = paths, set[tuple[str, int]]()
        self.found: dict[str, tuple[set[tuple[str, int]], float]] = {}

    def _local(self, frame: Any, event: str, argument: Any) -> Any:
        self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._local

    def _call(self, frame: Any, event: str, argument: Any) -> Any:
        return self._local(frame, event, argument) if frame.f_code.co_filename in self._paths else None

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> Any:
        from _pytest.runner import runtestprotocol

        self._lines, started = set(), time.monotonic()
        sys.settrace(self._call)
        try:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        finally:
            sys.settrace(None)
        if all(report.outcome != "failed" for report in reports):
            self.found[item.nodeid] = (self._lines, time.monotonic() - started)
        return True


def _in_fork(work: Callable[[], int], seconds: float) -> int | None:
    """The exit code of `work` in a forked process; None if it was ended after `seconds`."""
    child = os.fork()
    if child == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    end, done = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        if not done:  # too slow, or this process is being stopped
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _pytest(arguments: list[str], plugins: list[Any]) -> int:
    import pytest
    from hypothesis import settings

    settings.register_profile("mutation", max_examples=40, derandomize=True, deadline=None, database=None)
    # Plug-ins of other packages take longer to load than most tests run; hypothesis' own reads --hypothesis-profile.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]
    return int(pytest.main(["--hypothesis-profile=mutation", *options, *arguments], plugins=plugins))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def mutants(path: Path) -> Iterator[tuple[int, int, str]]:
    """Number, line and description of every mutant of a module."""
    counter = _Mutator()
    counter.visit(ast.parse(path.read_text(encoding="utf-8")))
    for number, (line, what) in enumerate(counter.places):
        yield number, line, what


def traced(paths: list[Path], tests: tuple[str, ...], kept: Path) -> dict[str, tuple[set[tuple[str, int]], float]]:
    """Test id -> (lines executed, seconds), of the tests that pass; `kept` holds them from one slice to the next.

    Imports what the tests import of other packages, so that no mutant's process need do so.
    """
    files = [*paths, *(path for name in tests for path in [REPO / name, *(REPO / name).rglob("*.py")])]
    if not kept.exists() or kept.stat().st_mtime < max(path.stat().st_mtime for path in files):

        def work() -> int:
            tracer = _Tracer({str(path) for path in paths})
            _pytest(list(tests), [tracer])
            others = [name for name in sys.modules if name.split(".")[0] not in OURS]
            kept.write_bytes(pickle.dumps((tracer.found, others)))
            return 0

        _in_fork(work, 3000)
    found, others = pickle.loads(kept.read_bytes())
    for name in others:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return found


def hook(path: Path, number: int) -> None:
    """From here on this process imports the mutant."""
    changed = ast.fix_missing_locations(_Mutator(number).visit(ast.parse(path.read_text(encoding="utf-8"))))
    sys.meta_path.insert(0, _Hook(_module(path), path, changed))


def survives(path: Path, number: int, tests: list[str], seconds: float) -> bool:
    """Whether all these tests pass with the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(
            f"import sys, pathlib\nsys.path.insert(0, {str(REPO)!r})\n"
            f"from tests.mutate import hook\nhook(pathlib.Path({str(path)!r}), {number})\n"
        )

        def work() -> int:
            hook(path, number)
            os.environ["PYTHONPATH"] = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
            return _pytest(["-x", *tests], [])

        return _in_fork(work, seconds) == 0


def main() -> None:
    """Run, print a line for each room, and write every mutant's fate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--sample", type=int, default=30, help="mutants of each room; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="stop after this time; what is in --out is not run again"
    )
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    options = parser.parse_args()
    os.chdir(REPO)
    sys.path.insert(0, str(REPO))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    end = time.monotonic() + options.seconds
    known = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    fates = {(one["file"], one["number"], one["line"]): one["survived"] for one in known}
    for room in options.rooms:
        pattern, tests = ROOMS[room]
        paths = sorted(REPO.glob(pattern))
        every = [(path, *mutant) for path in paths for mutant in mutants(path)]
        chosen = (
            every if not options.sample else random.Random(options.seed).sample(every, min(options.sample, len(every)))
        )
        todo = [one for one in chosen if (one[0].relative_to(REPO).as_posix(), one[1], one[2]) not in fates]
        lines = traced(paths, tests, options.out.with_suffix(f".{room}.lines")) if todo else {}
        for path, number, line, what in todo:
            if time.monotonic() > end:
                break
            # A line that no test executes may run at import, or in a process that a test starts: all tests of the room.
            hit = [name for name, (seen, _) in lines.items() if (str(path), line) in seen]
            hit = sorted(hit or lines, key=lambda name: lines[name][1])[: 200 if hit else None]
            survived = survives(path, number, hit, 3 * sum(lines[name][1] for name in hit) + MARGIN)
            file = path.relative_to(REPO).as_posix()
            fates[file, number, line] = survived
            with options.out.open("a") as out:
                record = {"file": file, "number": number, "line": line, "what": what, "survived": survived}
                out.write(json.dumps(record) + "\n")
        names = {path.relative_to(REPO).as_posix() for path in paths}
        ran = [survived for (file, _, _), survived in fates.items() if file in names]
        share = f"{1 - sum(ran) / len(ran):.0%}" if ran else "none run"
        print(f"{room}: {share} of {len(ran)} killed (of {len(every)} mutants)", flush=True)


if __name__ == "__main__":
    main()
