"""Stages: killed and restarted, skipped when done, refused when stale; and what people decide comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import load_parallel
from recipes import build_cross_xquad
from recipes.cross_xquad.items import Item, accepted, read_items
from recipes.llm.store import ReplyStore
from tests.helpers.scripted_server import ScriptedServer, Seen, serve
from tests.recipes.cross_xquad.review_items import entry, write_decisions
from tests.recipes.cross_xquad.world import (
    LANGUAGES,
    N_QUESTIONS,
    STAGES,
    arguments,
    build,
    flawed,
    items,
    server,
)  # fmt: skip

Whole = tuple[Path, ScriptedServer]


def stored(calls: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in calls.glob("replies-*.jsonl"))


# the first 12 calls are the distractors', the next 36 the parallel items', the rest second attempts
@pytest.mark.parametrize("calls_before", [0, 5, 30, 53])
def test_a_killed_build_resumes_and_repeats_nothing(
    data: Path, whole: Whole, tmp_path: Path, calls_before: int
) -> None:
    out = tmp_path / "out"

    def script(seen: Seen) -> str:
        if seen.number >= calls_before and not state.delay:
            time.sleep(30)  # never answered: the client is killed before
        return flawed(seen)

    with serve(server(script=script)) as state:
        argv = arguments(data, out, state.base_url, STAGES, concurrency=1)
        command = [sys.executable, str(Path(build_cross_xquad.__file__)), *argv]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        end = time.monotonic() + 60
        while len(state.seen) <= calls_before:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert stored(out / "calls") == calls_before
        answered_before = list(state.replied)
        state.delay = 1e-9
        assert build_cross_xquad.main(argv) == 0
        assert [body for body in answered_before if state.asked[body] > 1] == []
    assert len(state.seen) == len(whole[1].seen) + 1  # the one that was in flight
    assert outputs(out) == outputs(whole[0])


def outputs(folder: Path) -> dict[Path, bytes]:
    """Every file but the store (in order of arrival) and the options."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {n: p.read_bytes() for n, p in files.items() if n.parts[0] != "calls" and n.name != "config.yaml"}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("left", ["nothing", "items", "half"])
def test_a_half_written_stage_runs_again(data: Path, whole: Whole, tmp_path: Path, stage: str, left: str) -> None:
    """The record is written last: without it, or with other items than it says, the stage runs again."""
    out = shutil.copytree(whole[0], tmp_path / "out")
    path = out / stage / "items.jsonl"
    if left == "half":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        (out / stage / "stage.json").unlink()
        if left == "nothing":
            path.unlink()
    assert build(data, out, flawed, stages=STAGES).seen == []
    assert outputs(out) == outputs(whole[0])


def test_one_stage_at_a_time_is_the_same_as_all(data: Path, whole: Whole, tmp_path: Path) -> None:
    for stage in STAGES:
        build(data, tmp_path / "b", flawed, stages=[stage])
    assert outputs(tmp_path / "b") == outputs(whole[0])


@pytest.mark.parametrize(
    ("stage", "missing"),
    [("parallel", "distractors"), ("check", "parallel"), ("review", "check"), ("release", "review")],
)
def test_a_missing_earlier_stage_is_named(data: Path, whole: Whole, tmp_path: Path, stage: str, missing: str) -> None:
    out = shutil.copytree(whole[0], tmp_path / "out")
    (out / missing / "stage.json").unlink()
    with serve(server()) as state, pytest.raises(CrossinError, match=f"{stage} needs stage {missing}.*not done"):
        build_cross_xquad.main(arguments(data, out, state.base_url, [stage]))


@pytest.mark.parametrize(
    ("options", "differs"),
    [({"gold_seed": 1}, "gold_seed"), ({"temperature": 0.5}, "model_settings"), ({"passages": 2}, "source")],
)
def test_a_stage_of_other_options_is_not_used(
    data: Path, whole: Whole, tmp_path: Path, options: dict[str, Any], differs: str
) -> None:
    out = shutil.copytree(whole[0], tmp_path / "out")
    with serve(server()) as state, pytest.raises(CrossinError, match=f"changed: .*{differs}"):
        build_cross_xquad.main(arguments(data, out, state.base_url, ["check"], **options))
    build(data, out, flawed, **options)  # with its earlier stages it runs


def test_more_attempts_make_only_the_new_calls(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(data, out, flawed, regenerate=0)
    assert sum(bool(item.findings) for item in items(out)) == 4
    state = build(data, out, flawed, regenerate=2)
    assert all(not item.findings for item in items(out))
    assert all(seen.fields["again"] or seen.language != "en" for seen in state.seen)


def test_a_second_writer_is_refused(data: Path, tmp_path: Path) -> None:
    wanted = pytest.raises(CrossinError, match="is writing here")
    with ReplyStore(tmp_path / "out" / "calls"), serve(server()) as state, wanted:
        build_cross_xquad.main(arguments(data, tmp_path / "out", state.base_url))


def test_a_damaged_items_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(CrossinError, match=r"items\.jsonl, line 1: not an item"):
        read_items(path)


def test_the_release_is_a_set_that_the_tasks_load(data: Path, tmp_path: Path) -> None:
    """Questions with findings are not in it; two builds from the same replies are byte-identical."""

    def script(seen: Seen) -> str:
        return "elsewhere" if seen.fields["question"].startswith("Who") else "perfect"

    stages = [*STAGES, "release"]
    build(data, tmp_path / "a", script, stages=stages, calls_dir=tmp_path / "calls")
    again = build(data, tmp_path / "b", script, stages=stages, calls_dir=tmp_path / "calls", concurrency=1)
    assert again.seen == []
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    folder = tmp_path / "a" / "release"
    released = load_parallel("cross_xquad", data_dir=folder)
    assert released.languages == LANGUAGES
    assert set(released.ids) == {item.id for item in accepted(items(tmp_path / "a", "review"))}
    assert len(released) == N_QUESTIONS - 4
    assert "Not reviewed yet." in (folder / "README.md").read_text("utf-8")
    for path in folder.rglob("*"):
        assert not path.is_file() or not any(s in path.read_bytes() for s in (str(tmp_path).encode(), b"127.0.0.1"))


def test_nothing_to_release_is_an_error(data: Path, tmp_path: Path) -> None:
    wanted = pytest.raises(CrossinError, match="none of 12 questions is without findings")
    with serve(server(script=lambda seen: "elsewhere")) as state, wanted:
        build_cross_xquad.main(arguments(data, tmp_path / "out", state.base_url, [*STAGES, "release"], regenerate=0))


# -- people ------------------------------------------------------------------------------------------------------------


def decide(out: Path, decisions: list[tuple[Item, str, str]]) -> None:
    """Save decisions as the review page does: item, verdict, note."""
    entries = [entry(item, verdict, note=note) for item, verdict, note in decisions]
    folder = out / "decisions"
    write_decisions(folder, "AB", entries, f"decisions-{len(list(folder.glob('*')))}.json")


def bad_at_persons(seen: Seen) -> str:
    if "a better one, please" in seen.body["messages"][0]["content"]:
        return "perfect"
    return "elsewhere" if seen.fields["question"].startswith("Who") else "perfect"


def test_decisions_are_applied(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(data, out, bad_at_persons, stages=STAGES)
    waiting = [item for item in items(out, "review") if item.findings]
    assert len(waiting) == 4
    verdicts = ["accept", "reject", "accept", "reject"]
    decide(out, [(item, verdict, "") for item, verdict in zip(waiting, verdicts, strict=True)])
    state = build(data, out, bad_at_persons, stages=["review"])
    assert state.seen == []
    made = items(out, "review")
    assert Counter(item.decision.verdict for item in made if item.decision) == {"accept": 2, "reject": 2}
    assert all(item.decision is None or item.decision.reviewer == "AB" for item in made)
    assert len(accepted(made)) == N_QUESTIONS - 2


def test_a_redo_is_rewritten_and_reviewed_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(data, out, bad_at_persons, stages=STAGES)
    first = {item.id: item for item in items(out, "review") if item.findings}
    decide(out, [(item, "redo", "a better one, please") for item in first.values()])
    state = build(data, out, bad_at_persons, stages=["review"])
    assert len(state.seen) == 4 * len(LANGUAGES)  # English with the note, then the others again
    second = {item.id: item for item in items(out, "review") if item.id in first}
    for key, item in second.items():
        assert item.findings == ()
        assert item.sha256() != first[key].sha256()
        assert item not in accepted([item]), "somebody sent it back, so somebody must review it"
    assert all(key in (out / "review" / "index.html").read_text("utf-8") for key in second)

    again = build(data, out, bad_at_persons, stages=["review"])
    assert again.seen == []
    decide(out, [(item, "accept", "") for item in second.values()])
    assert build(data, out, bad_at_persons, stages=["review"]).seen == []
    assert len(accepted(items(out, "review"))) == N_QUESTIONS


def test_redo_twice(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def script(seen: Seen) -> str:
        words = seen.body["messages"][0]["content"]
        if "second note" in words:
            return "perfect"
        return (
            "same" if "first note" in words else "elsewhere" if seen.fields["question"].startswith("Who") else "perfect"
        )

    contents: set[str] = set()
    build(data, out, script, stages=STAGES)
    for note in ("first note", "second note"):
        waiting = [item for item in items(out, "review") if item not in accepted([item])]
        contents |= {item.sha256() for item in waiting}
        decide(out, [(item, "redo", note) for item in waiting])
        build(data, out, script, stages=["review"])
    final: list[Item] = [item for item in items(out, "review") if item.decision is not None]
    assert len(final) == 4
    assert len(contents | {item.sha256() for item in final}) == 12
    assert all(item.findings == () for item in final)


def test_a_model_that_repeats_itself_is_reported(data: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    build(data, out, lambda seen: "perfect", stages=[*STAGES])
    item = items(out, "review")[0]
    decide(out, [(item, "redo", "")])
    state: ScriptedServer = build(data, out, lambda seen: "perfect", stages=["review"])
    assert len(state.seen) == 1
    assert "wrote the same again" in capsys.readouterr().err
    assert len(accepted(items(out, "review"))) == N_QUESTIONS - 1


def test_a_model_whose_replies_are_all_cut_made_nothing(data: Path, whole: Whole, tmp_path: Path) -> None:
    """The stage fails, keeps no such reply, and asks again when it is run again."""
    with pytest.raises(CrossinError, match=f"no usable reply for any of {N_QUESTIONS} questions"):
        build(data, tmp_path / "out", lambda seen: "truncated", stages=["distractors"])
    assert stored(tmp_path / "out" / "calls") == 0
    build(data, tmp_path / "out", flawed, stages=STAGES)
    assert outputs(tmp_path / "out") == outputs(whole[0])
