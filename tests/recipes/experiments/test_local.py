"""Stages as processes: order, skipping, failures, changed files, kills. The stages here are one-line scripts."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.experiments import overview
from recipes.experiments.config import ExperimentOptions
from recipes.experiments.local import LocalExecutor, environment, experiment_lock, last_log_line
from recipes.experiments.plan import Plan, Run
from recipes.experiments.records import Records, Stage

COPY = "import sys,pathlib as p; p.Path(sys.argv[2]).write_text(p.Path(sys.argv[1]).read_text()+'+')"
TRAIN = f"""{COPY}
run = p.Path(sys.argv[2]).parent
(run / "adapter").mkdir(exist_ok=True)
for name in ("run.json", "train_log.jsonl", "adapter/tokenizer.json"):
    (run / name).write_text("{{}}")
"""


def grid(**changes: Any) -> ExperimentOptions:
    fields: dict[str, Any] = {
        "name": "tiny",
        "arms": {name: {"mix_config": "m", "train_config": "t"} for name in "ab"},
        "evaluate": {"e": {"tasks": "t"}},
        "seeds": [0, 1],
        "min_free_gb": 0.0,
    }
    return ExperimentOptions(**{**fields, **changes})


def chain(folder: Path, arm: str, seed: int, first: Path, same: bool = False, **scripts: str) -> Run:
    """mix copies `first`, train copies what mix wrote, eval what train wrote; each adds a sign."""
    place = folder / "arms" / arm / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    stages, read = [], first
    for kind, script in (("mix", COPY), ("train", TRAIN), ("eval-e", COPY)):
        written = place / ("manifest.json" if kind == "train" else f"{kind}.txt")
        command = (sys.executable, "-c", scripts.get(kind.partition("-")[0], script), str(read), str(written))
        stages.append(Stage(f"{arm}/{seed}/{kind}", command, {} if same else {"arm": arm}, (read,), (written,)))
        read = written
    return Run(arm, seed, place, tuple(stages))


def make(folder: Path, **scripts: str) -> Plan:
    source = folder / "source.txt"
    folder.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        source.write_text("s")
    runs = [
        chain(folder, arm, seed, source, **(scripts if (arm, seed) == ("a", 0) else {}))
        for seed in (0, 1)
        for arm in "ab"
    ]
    return Plan((), tuple(runs))


def execute(folder: Path, plan: Plan | None = None, **changes: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    executor = LocalExecutor(grid(**changes), Records(folder), said.append)
    return executor.execute(plan or make(folder)), said


def test_all_stages_run_once(tmp_path: Path) -> None:
    outcome, _ = execute(tmp_path, jobs=2)
    assert len(outcome.done) == 12
    assert (tmp_path / "arms/b/1/eval-e.txt").read_text() == "s+++"
    again, said = execute(tmp_path, jobs=2)
    assert (len(again.done), len(again.skipped), said) == (0, 12, [])


def test_arms_that_begin_alike_share_the_training(tmp_path: Path) -> None:
    (tmp_path / "source.txt").write_text("s")
    fails = "raise SystemExit('trained')"
    plan = Plan((), (
        chain(tmp_path, "a", 0, tmp_path / "source.txt", same=True),
        chain(tmp_path, "b", 0, tmp_path / "source.txt", same=True, train=fails),
        chain(tmp_path, "b", 1, tmp_path / "source.txt", same=True),
    ))  # fmt: skip
    running = Records(tmp_path).running(plan.runs[1].stages[1])
    running.parent.mkdir(parents=True)
    with running.open("w") as lock:  # an earlier experiment was killed, and its training goes on
        fcntl.flock(lock, fcntl.LOCK_EX)
        left = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()], start_new_session=True)
        lock.write(f"{socket.gethostname()} {left.pid}")
    outcome, said = execute(tmp_path, plan)
    assert outcome.failed == {}
    assert left.wait(10)
    assert not running.exists()
    assert f"b/0/train: copied, {tmp_path}/arms/a/0 was trained on the same" in said
    assert (tmp_path / "arms/b/0/adapter/tokenizer.json").is_file()
    assert (tmp_path / "arms/b/0/eval-e.txt").read_text() == "s+++"
    assert [line for line in said if line.startswith("b/1/train: copied")] == []  # another seed
    assert execute(tmp_path, plan)[0].done == []
    for arm in "ab":  # what was changed by hand is no training
        (tmp_path / f"arms/{arm}/0/manifest.json").write_text("by hand")
    outcome, _ = execute(tmp_path, Plan((), plan.runs[1:2]))
    assert list(outcome.failed) == ["b/0/train"]


def test_a_change_touches_only_what_follows_from_it(tmp_path: Path) -> None:
    execute(tmp_path)
    (tmp_path / "arms/a/1/manifest.json").write_text("by hand")  # not what the stage wrote
    outcome, said = execute(tmp_path)
    assert outcome.done == ["a/1/train"]  # made again as it was, so what follows still holds
    assert "a/1/train: started (its results were changed or removed: arms/a/1/manifest.json)" in said
    (tmp_path / "arms/b/0/eval-e.txt").unlink()
    outcome, said = execute(tmp_path)
    assert outcome.done == ["b/0/eval-e"]
    (tmp_path / "source.txt").write_text("t")
    outcome, said = execute(tmp_path)
    assert len(outcome.done) == 12
    assert "a/0/mix: started (changed: source.txt)" in said


def test_other_options_are_named(tmp_path: Path) -> None:
    plan = make(tmp_path)
    execute(tmp_path, plan)
    stage = plan.runs[0].stages[1]
    other = Stage(stage.name, stage.command, {"arm": "a", "rate": 2}, stage.files, stage.outputs)
    assert Records(tmp_path).why_stale(other) == "changed: rate"
    assert Records(tmp_path).why_stale(stage) == ""


def test_jobs_share_the_gpus_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert environment(2, 1)["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "CUDA_VISIBLE_DEVICES" not in environment(1, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    assert environment(2, 1)["CUDA_VISIBLE_DEVICES"] == "7"


def test_a_failing_stage_stops_its_run_alone(tmp_path: Path) -> None:
    fail = "import sys; print('a traceback'); sys.exit('train: no such model')"
    outcome, _ = execute(tmp_path, make(tmp_path, train=fail))
    assert list(outcome.failed) == ["a/0/train"]
    assert "train: no such model (exit code 1, " in outcome.failed["a/0/train"]
    assert len(outcome.done) == 10
    records, plan = Records(tmp_path), make(tmp_path)
    assert overview.signs(plan.runs[0], records, {}) == "✓ ✗ ·"  # known to a later process too
    outcome, _ = execute(tmp_path, plan)
    assert outcome.done == ["a/0/train", "a/0/eval-e"]
    assert overview.signs(plan.runs[0], records, {}) == "✓ ✓ ✓"


def test_a_stage_without_its_result_has_failed(tmp_path: Path) -> None:
    outcome, _ = execute(tmp_path, make(tmp_path, mix="pass"))
    assert "does not exist" in outcome.failed["a/0/mix"]


def test_a_file_that_changes_under_a_stage(tmp_path: Path) -> None:
    change = f"{COPY}; p.Path(sys.argv[1]).write_text('other')"
    outcome, _ = execute(tmp_path, make(tmp_path, train=change))
    assert "mix.txt changed while the stage ran" in outcome.failed["a/0/train"]
    assert Records(tmp_path).read(make(tmp_path).runs[0].stages[1]) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    plan = make(tmp_path)
    (tmp_path / "source.txt").unlink()
    outcome, _ = execute(tmp_path, plan)
    assert len(outcome.failed) == 4
    assert "cannot read" in outcome.failed["a/0/mix"]
    assert "source.txt" in outcome.failed["a/0/mix"]


def test_only_some_arms(tmp_path: Path) -> None:
    outcome, _ = execute(tmp_path, only=["a/1", "b"])
    assert sorted({name.rpartition("/")[0] for name in outcome.done}) == ["a/1", "b/0", "b/1"]


def test_too_little_disk_stops_before_anything_is_half_done(tmp_path: Path) -> None:
    outcome, said = execute(tmp_path, min_free_gb=1e9)
    assert outcome.stopped == "the disk is full"
    assert outcome.done == []
    assert any("min_free_gb" in line for line in said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_is_said_and_gone_on_with(tmp_path: Path) -> None:
    full = "import shutil; open('/dev/full','w').write('x'*10**6)"
    outcome, _ = execute(tmp_path, make(tmp_path, train=full))
    assert "No space left on device" in outcome.failed["a/0/train"]
    assert len(execute(tmp_path)[0].done) == 2


def test_one_process_an_experiment(tmp_path: Path) -> None:
    with (
        experiment_lock(tmp_path),
        pytest.raises(CrossinError, match="another process is running this experiment"),
        experiment_lock(tmp_path),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(CrossinError, match="cannot write"), experiment_lock(tmp_path / "file"):
        pass


DRIVER = """
import json, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.recipes.experiments.test_local import execute, make
slow = "import time,os; open(sys.argv[2]+'.n','a').write(str(os.getpid())+' '); time.sleep(" + sys.argv[2] + ");"
folder = Path(sys.argv[1])
from tests.recipes.experiments.test_local import COPY
execute(folder, make(folder, train="import sys;" + slow + COPY))
"""


def start(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    code = DRIVER.format(paths=[str(Path(__file__).parents[3])])
    return subprocess.Popen([sys.executable, "-c", code, str(folder), str(seconds)], preexec_fn=default_interrupt)


def default_interrupt() -> None:
    """A shell's background job ignores SIGINT, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists() and path.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_started_again(tmp_path: Path, how: signal.Signals) -> None:
    """The stage's process outlives a killed experiment; the next one ends it before starting the stage again."""
    process = start(tmp_path, 60)
    trace = tmp_path / "arms/a/0/manifest.json.n"
    wait_for(trace)
    process.send_signal(how)
    process.wait(30)
    orphan = int(trace.read_text().split()[0])
    if how == signal.SIGKILL:
        os.kill(orphan, 0)  # it is there
        stage = make(tmp_path).runs[0].stages[1]
        assert overview.state_of(stage, Records(tmp_path), {}) == "running"
    before = Records(tmp_path).path(make(tmp_path).runs[0].stages[0]).read_bytes()
    outcome, _ = execute(tmp_path)
    assert "a/0/mix" in outcome.skipped
    assert Records(tmp_path).path(make(tmp_path).runs[0].stages[0]).read_bytes() == before
    assert (tmp_path / "arms/a/0/eval-e.txt").read_text() == "s+++"
    for _ in range(100):
        try:
            os.kill(orphan, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the earlier process is still there")


def test_killed_right_after_starting_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it could note which process that is."""
    ids = []

    class Killed(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            ids.append(self.pid)
            raise KeyboardInterrupt

    plan = make(tmp_path, mix="import time; time.sleep(60)")
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", Killed)
        with pytest.raises(KeyboardInterrupt):
            execute(tmp_path, plan)
    os.kill(ids[0], 0)  # it is there
    outcome, _ = execute(tmp_path)
    assert len(outcome.done) == 12


def test_the_overview_counts_and_escapes(tmp_path: Path) -> None:
    plan, records = make(tmp_path), Records(tmp_path)
    assert overview.text(plan, records, {}, 1).endswith("time left: known once each kind of stage has run")
    execute(tmp_path, only=["a"])
    text = overview.text(plan, records, {}, 1)
    assert text.splitlines()[1].split() == ["a", *"✓✓✓✓✓✓"]
    assert "6 of 12 stages done" in text
    assert "left" in text
    overview.write_page(plan, records, {"b/0/mix": "<script>x</script>"}, 1, "<b>t</b>", ended=False)
    page = (tmp_path / overview.PAGE).read_text()
    assert "<script>" not in page
    assert "&lt;b&gt;t&lt;/b&gt;" in page
    assert 'http-equiv="refresh"' in page
    assert 'name="viewport"' in page
    assert len(re.findall(r">(?:data|mix|train|eval) \d+ s</span>", page)) == 6  # what each finished stage took
    assert re.search(r"about \d+ s left", page)
    running = records.running(plan.runs[1].stages[0])
    running.parent.mkdir(parents=True, exist_ok=True)
    with running.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(lock.fileno(), (time.time() - 600, time.time() - 600))
        overview.write_page(plan, records, {}, 1, "t", ended=False)
    assert "10 min</span>" in (tmp_path / overview.PAGE).read_text()  # so long it has been running
    (tmp_path / "source.txt").write_text("new")
    assert overview.signs(plan.runs[0], records, {}, thorough=True) == "~ ✓ ✓"


def test_the_last_words_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_log_line(log) == "no output"
    log.write_text("Traceback\nsft: no room\n\r 3%|x| 1/3 [00:01<00:02, 1.00s/it]\n")
    assert last_log_line(log) == "sft: no room"


def test_records_are_read_back_as_json(tmp_path: Path) -> None:
    execute(tmp_path)
    record = json.loads((tmp_path / "stages/a/0/train.json").read_text())
    assert record["stage"] == "a/0/train"
    assert set(record["inputs"]["files"]) == {"arms/a/0/mix.txt"}
    assert record["seconds"] >= 0
