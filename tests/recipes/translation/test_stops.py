"""The whole script stopped at any moment: `kill -9`, a server that goes away, a full disk, a damaged store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes import translate_seed
from tests.helpers.scripted_server import ScriptedServer, serve
from tests.helpers.translation import arguments, assert_nothing_vanished, copied, stored_texts


def default_interrupt() -> None:
    """A shell's background job ignores SIGINT, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(argv: list[str], **options: Any) -> subprocess.Popen[str]:
    """The real script as a process."""
    script = str(Path(translate_seed.__file__))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    options.setdefault("preexec_fn", default_interrupt)
    return subprocess.Popen(
        [sys.executable, script, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def wait_until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


def settle(server: ScriptedServer) -> None:
    """Wait until the server has read what a stopped client had sent before it died."""
    quiet = 0
    while quiet < 5:
        before = len(server.seen)
        time.sleep(0.06)
        quiet = quiet + 1 if server.in_flight == 0 and len(server.seen) == before else 0


def test_stopped_twice_and_resumed_loses_and_repeats_nothing(source: Path, output: Path, perfect: bytes) -> None:
    with serve(ScriptedServer(delay=0.1)) as server:
        argv = arguments(source, output, server)
        for stop, after in ((signal.SIGINT, 5), (signal.SIGKILL, 31)):
            process = start(argv)
            wait_until(lambda after=after: len(stored_texts(output)) >= after)
            process.send_signal(stop)
            _, errors = process.communicate(timeout=30)
            settle(server)
            assert "Traceback" not in errors
            if stop == signal.SIGINT:
                assert process.returncode == 130
                assert "replies are stored" in errors
            stored = stored_texts(output)
            assert 0 < len(stored) < 72
            done = {body for body, text in server.replied.items() if text in set(stored)}
            assert len(done) == len(stored)
        sent = len(server.seen)
        assert translate_seed.main(argv) == 0
        again = [json.dumps(seen.body, sort_keys=True) for seen in server.seen[sent:]]
        assert len(again) == 72 - len(stored)  # all that was missing, and only that
        assert not done & set(again)
    assert len(server.seen) - 72 <= 2 * 8  # at most what was in flight at each of the two stops
    assert (output / "seed.jsonl").read_bytes() == perfect
    assert_nothing_vanished(output)


def test_a_server_may_restart_but_one_that_stays_away_ends_the_run(source: Path, output: Path) -> None:
    state = ScriptedServer(delay=0.02)
    with serve(state):
        process = start(arguments(source, output, state, max_tries=3, patience_seconds=4))
        wait_until(lambda: len(stored_texts(output)) >= 12)
    time.sleep(1.0)  # nobody listens; tries do not count meanwhile
    assert process.poll() is None
    with serve(state):
        wait_until(lambda: len(stored_texts(output)) >= 36)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "has not answered for" in errors
    assert "Traceback" not in errors
    assert len(stored_texts(output)) >= 36


def test_an_unreachable_server_is_reported_within_seconds(source: Path, output: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(CrossinError, match=r"cannot reach http://127\.0\.0\.1:9/v1 .*--base_url"):
        translate_seed.main(arguments(source, output, ScriptedServer(port=9)))
    assert time.monotonic() - begin < 10


def test_a_full_disk_is_one_message_and_loses_nothing(source: Path, output: Path, perfect: bytes) -> None:
    """A limit on file size stands for a full disk: the system refuses a write in the middle of a line."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    with serve(ScriptedServer()) as server:
        argv = arguments(source, output, server)
        process = start(argv, preexec_fn=limit)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "Traceback" not in errors
        assert "cannot write" in errors
        assert errors.count("cannot write") == 1
        stored = stored_texts(output)
        assert 5 < len(stored) < 72
        (shard,) = (output / "replies").glob("replies-*.jsonl")
        assert shard.read_bytes().endswith(b"\n")  # the partial line was cut
        asked = len(server.seen)
        assert translate_seed.main(argv) == 0
        assert len(server.seen) - asked == 72 - len(stored)
    assert (output / "seed.jsonl").read_bytes() == perfect


def test_a_damaged_store_is_named_by_file_and_line(
    source: Path, undisturbed: tuple[Path, ScriptedServer], output: Path, perfect: bytes
) -> None:
    shard = copied(undisturbed, output)
    lines = shard.read_bytes().splitlines(keepends=True)
    changed = lines[9].replace(b'"text":"', b'"text":"x', 1)  # still JSON, but not what was written
    shard.write_bytes(b"".join([*lines[:9], changed, *lines[10:]]))
    with serve(ScriptedServer()) as server:
        argv = arguments(source, output, server)
        with pytest.raises(CrossinError, match=r"replies-00000\.jsonl:10: damaged line .* Delete this line"):
            translate_seed.main(argv)
        shard.write_bytes(b"".join([*lines[:9], *lines[10:]]))  # the remedy it names
        assert translate_seed.main(argv) == 0
        assert len(server.seen) == 1
    assert (output / "seed.jsonl").read_bytes() == perfect


def test_a_half_written_last_line_is_cut_and_requested_again(
    source: Path,
    undisturbed: tuple[Path, ScriptedServer],
    output: Path,
    perfect: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shard = copied(undisturbed, output)
    shard.write_bytes(shard.read_bytes()[:-20])
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
        assert len(server.seen) == 1
    assert "replies-00000.jsonl:72: half-written line" in capsys.readouterr().err
    assert (output / "seed.jsonl").read_bytes() == perfect
