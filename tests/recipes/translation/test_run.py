"""The whole script against a real HTTP server that misbehaves, and against `kill -9`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes import translate_seed
from recipes.llm.store import ReplyStore
from recipes.mixes.sources import SourceSpec, build_store
from tests.helpers.scripted_server import ScriptedServer, Seen, fake_translation, serve

LANGUAGES = ["zh", "vi", "es"]
N_ROWS = 24


def source_rows(count: int = N_ROWS) -> list[dict[str, str]]:
    """English rows of our own, each different, some with an input, code, links, placeholders and numbers."""
    rows = []
    for k in range(count):
        row = {
            "id": f"row-{k:03d}",
            "instruction": f"Explain in two sentences why visitor number {10 + k} liked the market near the harbour.",
            "input": "",
            "output": f"Visitor {10 + k} enjoyed the market because the fruit was fresh and the sellers told good "
            "stories. The harbour behind it was calm, and nobody was in a hurry that morning.",
        }
        if k % 3 == 0:
            row["input"] = (
                f"The market opens at 7:30 and has {1000 + k} stands, see https://example.org/market?id={k} for all."
            )
        if k % 4 == 1:
            row["output"] += " Write to {name} or run `make visit` to see more pictures of the place."
        rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "source.jsonl", source_rows())


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedServer]:
    """The output of a run with a perfect server, and that server, which is gone."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
    return output, server


@pytest.fixture
def perfect(undisturbed: tuple[Path, ScriptedServer]) -> bytes:
    """The seed of a run without faults."""
    return (undisturbed[0] / "seed.jsonl").read_bytes()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def copied(undisturbed: tuple[Path, ScriptedServer], output: Path) -> Path:
    """A copy of the finished run, and its shard."""
    shutil.copytree(undisturbed[0], output)
    return output / "replies" / "replies-00000.jsonl"


def arguments(source: Path, output: Path, server: ScriptedServer, **options: Any) -> list[str]:
    chosen = {
        "source": source,
        "source_licence": "Apache-2.0",
        "output_dir": output,
        "model": "scripted",
        "licence": "Apache-2.0",
        "base_url": server.base_url,
        "concurrency": 8,
        "backoff_seconds": 0.02,
        "patience_seconds": 20,
        **options,
    }
    out: list[str] = []
    for name, value in chosen.items():
        out += [f"--{name}", *([str(v) for v in value] if isinstance(value, list) else [str(value)])]
    return out


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def report(output: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((output / "report.json").read_text("utf-8"))
    return value


def assert_nothing_vanished(output: Path, count: int = N_ROWS) -> None:
    """Every source row is in exactly one of the two files, in its order, and the report's counts add up."""
    seed, rejects = read(output / "seed.jsonl"), read(output / "rejects.jsonl")
    wanted = [row["id"] for row in source_rows(count)]
    assert sorted([row["id"] for row in seed] + [row["id"] for row in rejects]) == sorted(wanted)
    assert [row["id"] for row in seed] == [i for i in wanted if i in {row["id"] for row in seed}]
    rows = report(output)["rows"]
    assert (
        rows["read"] == count == sum(rows[k] for k in ("written", "set_aside_before", "set_aside_after", "unanswered"))
    )
    assert (rows["written"], count - rows["written"]) == (len(seed), len(rejects))
    for counts in report(output)["languages_by_outcome"].values():
        assert sum(counts.values()) == count - rows["set_aside_before"]


def test_a_perfect_server_gives_a_parallel_seed(undisturbed: tuple[Path, ScriptedServer]) -> None:
    output, server = undisturbed
    rows = read(output / "seed.jsonl")
    assert_nothing_vanished(output)
    assert len(rows) == N_ROWS
    assert len(server.seen) == N_ROWS * 3
    assert max(server.asked.values()) == 1
    for row, original in zip(rows, source_rows(), strict=True):
        assert row["en"] == {name: original[name] for name in ("instruction", "input", "output")}
        for language in LANGUAGES:
            assert bool(row[language]["input"]) == bool(original["input"])
            for mark in ("https://example.org/market?id=", "{name}", "`make visit`", "7:30"):
                assert (mark in str(row[language])) == (mark in str(original))
            made = row["provenance"]["translations"][language]
            assert (made["model"], made["licence"], made["engine"]) == ("scripted", "Apache-2.0", "openai_endpoint")
            assert made["settings"]["temperature"] == 0.0
        assert row["provenance"]["licence"] == "Apache-2.0"


def test_a_second_run_sends_nothing_and_writes_the_same(
    source: Path, undisturbed: tuple[Path, ScriptedServer], output: Path, perfect: bytes
) -> None:
    copied(undisturbed, output)
    assert translate_seed.main(arguments(source, output, undisturbed[1])) == 0  # the server is gone: it is not needed
    assert (output / "seed.jsonl").read_bytes() == perfect


# -- failures that pass ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "429:0", "500", "503", "not_json", "no_choices", "reset", "half"])
def test_passing_faults_change_nothing(source: Path, output: Path, fault: str, perfect: bytes) -> None:
    def script(seen: Seen) -> str:
        return fault if seen.times_asked <= 2 and "visitor number 1" in seen.text else "perfect"

    with serve(ScriptedServer(script)) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
    assert sorted(server.asked.values()) == [1] * (14 * 3) + [3] * (10 * 3)  # visitors 10 to 19 met the fault twice
    assert (output / "seed.jsonl").read_bytes() == perfect


def test_a_reply_that_takes_too_long_is_requested_again(source: Path, output: Path) -> None:
    def script(seen: Seen) -> str:
        return "slow" if seen.times_asked == 1 and "visitor number 15" in seen.text else "perfect"  # slow is a second

    with serve(ScriptedServer(script)) as server:
        assert translate_seed.main(arguments(source, output, server, request_timeout=0.5)) == 0
    times = [count for body, count in server.asked.items() if "visitor number 15" in body]
    assert len(times) == 3
    assert min(times) >= 2
    assert report(output)["rows"]["written"] == N_ROWS


# -- bad replies -----------------------------------------------------------------------------------------------------

FAULTS = {
    "malformed": "format",
    "missing_field": "format",
    "truncated": "finish_reason",
    "broken_mark": "placeholders",
    "lost_mark": "placeholders",
    "empty": "empty",
    "lost_number": "numbers",
    "short": "length_ratio",
    "copy": "copy",
    "loop": "repetition",
    "wrong_language": "language",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
def test_a_bad_reply_is_requested_once_more_then_set_aside(source: Path, output: Path, fault: str, reason: str) -> None:
    def script(seen: Seen) -> str:
        """Row 9 is bad once, row 12 always, both in Spanish only."""
        first = seen.body["seed"] == 0
        bad = ("number 22" in seen.text) or ("number 19" in seen.text and first)
        return fault if bad and seen.language == "Spanish" else "perfect"

    with serve(ScriptedServer(script)) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
    assert_nothing_vanished(output)
    assert len(server.seen) == 3 * N_ROWS + 2
    seed = {row["id"]: row for row in read(output / "seed.jsonl")}
    assert len(seed) == N_ROWS - 1
    second = seed["row-009"]["provenance"]["translations"]["es"]
    assert (second["attempt"], second["settings"]["temperature"], second["settings"]["seed"]) == (1, 0.7, 1)
    assert seed["row-009"]["provenance"]["translations"]["zh"]["attempt"] == 0
    (reject,) = read(output / "rejects.jsonl")
    assert (reject["id"], reject["reason"]) == ("row-012", reason)
    assert reject["languages"]["es"]["outcome"] == reason
    assert reject["languages"]["zh"]["outcome"] == "accepted"
    assert reject["languages"]["zh"]["translation"]["instruction"]  # not lost: it only has no parallel
    assert report(output)["languages_by_outcome"]["es"] == {"accepted": N_ROWS - 1, reason: 1}
    assert f"| {reason} | 0 | 0 | 1 |" in (output / "report.md").read_text("utf-8").replace("\\_", "_")
    if fault == "truncated":  # only this is worth asking again
        with serve(ScriptedServer()) as server:
            assert translate_seed.main(arguments(source, output, server)) == 0
        assert len(server.seen) == 2  # rows 9 and 12; the second attempt of row 9 counts no more
        assert report(output)["rows"]["written"] == N_ROWS
        return
    # a judged store needs no server to come to the same verdicts
    before = {name: (output / name).read_bytes() for name in ("seed.jsonl", "rejects.jsonl", "report.json")}
    assert translate_seed.main(arguments(source, output, server)) == 0
    assert before == {name: (output / name).read_bytes() for name in before}


SIX = [
    ("Name a fruit that is yellow and sour.", "A lemon is yellow and sour."),
    ("Why do leaves fall in autumn?", "Trees drop their leaves to save water during the cold months."),
    ("Give one reason to sleep well.", "Good sleep helps the brain to store what it learned."),
    ("What do bees make?", "Bees make honey from the nectar of flowers."),
    ("How do you cool a hot soup quickly?", "Stir it and pour it into a wide cold plate."),
    ("Where does the sun rise?", "The sun rises in the east every morning."),
]
REFUSAL = "Lo siento, pero no puedo ayudar con esta solicitud en este momento."


@pytest.fixture
def six(tmp_path: Path) -> Path:
    rows = [{"id": f"r{k}", "instruction": i, "input": "", "output": o} for k, (i, o) in enumerate(SIX)]
    return write_rows(tmp_path / "six.jsonl", rows)


def field_server(reply: Callable[[Seen, str], str | None]) -> ScriptedServer:
    return ScriptedServer(reply=lambda seen, _: reply(seen, fake_translation(seen.fields["text"], "Spanish")))


def test_one_sentence_for_every_row_is_no_translation(
    six: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"answer_format": "fields", "languages": "es"}
    with serve(field_server(lambda seen, text: REFUSAL)) as server:
        assert translate_seed.main(arguments(six, output, server, **options)) == 1
    assert report(output)["languages_by_outcome"]["es"] == {"same_as_another": 6}
    assert "no row was translated" in capsys.readouterr().err
    detail = read(output / "rejects.jsonl")[0]["languages"]["es"]["detail"]
    assert detail.startswith("the one of row r")


def test_a_refusal_of_some_rows_leaves_the_others(six: Path, output: Path) -> None:
    options: dict[str, Any] = {"answer_format": "fields", "languages": "es"}
    some = ("bees", "Bees", "sun")
    with serve(field_server(lambda seen, text: REFUSAL if any(word in seen.text for word in some) else text)) as server:
        assert translate_seed.main(arguments(six, output, server, **options)) == 0
    assert [row["id"] for row in read(output / "seed.jsonl")] == ["r0", "r1", "r2", "r4"]


def test_a_refusal_that_is_left_alone_at_the_second_attempt(six: Path, output: Path) -> None:
    """Two at first, then one: it is compared with those of the first attempt."""

    def reply(seen: Seen, text: str) -> str:
        refuses = "What do bees" in seen.text or ("rises" in seen.text and seen.body["seed"] == 0)
        return REFUSAL if refuses else text

    with serve(field_server(reply)) as server:
        assert translate_seed.main(arguments(six, output, server, answer_format="fields", languages="es")) == 0
    assert [row["id"] for row in read(output / "rejects.jsonl")] == ["r3"]


def test_wrapped_texts_enter_the_seed_bare(six: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"answer_format": "fields", "languages": "es"}
    seeds = []
    for wrap in ("{}", "```\n{}\n```", "Here is the translation:\n\n{}", '"{}"', "It is short.</think>\n{}"):
        output = tmp_path / f"out{len(seeds)}"
        state = field_server(lambda seen, text, wrap=wrap: wrap.format(text))  # type: ignore[misc]
        with serve(state) as server:
            assert translate_seed.main(arguments(six, output, server, **options)) == 0
        seeds.append([row["es"] for row in read(output / "seed.jsonl")])
    assert all(seed == seeds[0] for seed in seeds)


@pytest.mark.parametrize(
    "failed", [{"finish_reason": "length"}, {"finish_reason": "abort"}, {"message": {"content": ""}}]
)
def test_failed_replies_are_asked_again_by_the_next_run(six: Path, output: Path, failed: dict[str, Any]) -> None:
    """A reply that was cut, ended for an unknown reason or is empty is kept nowhere: a rerun may be luckier."""
    bad = ScriptedServer(choice=lambda seen, _: {"message": {"content": "{"}, "finish_reason": "stop", **failed})
    with serve(bad) as server:
        assert translate_seed.main(arguments(six, output, server)) == 1
    assert stored_texts(output) == []
    assert len(server.seen) == 2 * 3 * 6
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(six, output, server)) == 0
    assert report(output)["rows"]["written"] == 6


def test_failed_replies_that_older_versions_stored_are_replaced(six: Path, output: Path) -> None:
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(six, output, server)) == 0
    seed = (output / "seed.jsonl").read_bytes()
    with ReplyStore(output / "replies") as store:
        for key in list(store._index)[:4]:
            store.add(key, {"text": "", "finish_reason": "stop"})
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(six, output, server)) == 0
    assert len(server.seen) == 4
    assert (output / "seed.jsonl").read_bytes() == seed


def test_a_thinking_model_gets_the_whole_budget(six: Path, output: Path) -> None:
    """Cut after max_tokens words, as a server does: thoughts of 300 words, then the answer."""

    def choice(seen: Seen, behaviour: str) -> dict[str, Any]:
        answer = json.dumps({name: fake_translation(text, seen.language) for name, text in seen.fields.items()})
        words = ("<think>" + "hm " * 300 + "</think>" + answer).split(" ")
        reason = "stop" if len(words) <= seen.body["max_tokens"] else "length"
        return {"message": {"content": " ".join(words[: seen.body["max_tokens"]])}, "finish_reason": reason}

    with serve(ScriptedServer(choice=choice)) as server:
        assert translate_seed.main(arguments(six, output, server)) == 0
    assert report(output)["rows"]["written"] == 6


def test_a_refused_request_leaves_its_row_unanswered_and_is_retried_next_time(
    source: Path, output: Path, perfect: bytes
) -> None:
    with serve(ScriptedServer(lambda seen: "400" if "number 22" in seen.text else "perfect")) as server:
        assert translate_seed.main(arguments(source, output, server)) == 1
        assert_nothing_vanished(output)
        (reject,) = read(output / "rejects.jsonl")
        assert reject["languages"]["zh"]["outcome"] == "unanswered"
        assert "400" in reject["languages"]["zh"]["error"]
        server.script = lambda seen: "perfect"
        asked = len(server.seen)
        assert translate_seed.main(arguments(source, output, server)) == 0
    assert len(server.seen) == asked + 3
    assert (output / "seed.jsonl").read_bytes() == perfect


@pytest.mark.parametrize(("status", "words"), [("401", "OPENAI_API_KEY"), ("400", "failed 20 requests in a row")])
def test_a_wrong_set_up_stops_the_run(source: Path, output: Path, status: str, words: str) -> None:
    with serve(ScriptedServer(lambda seen: status)) as server, pytest.raises(CrossinError, match=words):
        translate_seed.main(arguments(source, output, server))
    assert len(server.seen) < 3 * N_ROWS


def test_the_token_is_sent_and_kept_nowhere(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = "token-5c2f0e"
    monkeypatch.setenv("MY_TOKEN", token)
    with serve(ScriptedServer()) as server:
        translate_seed.main(arguments(source, output, server, api_key_env="MY_TOKEN"))
    assert {seen.authorization for seen in server.seen} == {f"Bearer {token}"}
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) >= 7
    assert not [path for path in files if token.encode() in path.read_bytes()]
    assert token not in "".join(capfd.readouterr())


def test_other_answer_formats_and_interfaces(source: Path, tmp_path: Path) -> None:
    filled = {text for row in source_rows() for name, text in row.items() if name != "id" and text}
    requests_of_fields = 3 * (len(filled) - 7)  # once masked, the eight inputs are one text, and asked for once
    for options, requests in (
        ({"answer_format": "json"}, 72),
        ({"answer_format": "fields"}, requests_of_fields),
        ({"answer_format": "fields", "api": "completions"}, requests_of_fields),
        ({"answer_format": "json_schema", "api": "completions"}, 72),
    ):
        output = tmp_path / "-".join(options.values())
        with serve(ScriptedServer()) as server:
            assert translate_seed.main(arguments(source, output, server, **options)) == 0
        assert report(output)["rows"]["written"] == N_ROWS, options
        assert len(server.seen) == requests, options
        assert ("response_format" in server.seen[0].body) == (options["answer_format"] == "json_schema")
        assert ("prompt" in server.seen[0].body) == (options.get("api") == "completions")


# -- stopped at any moment ---------------------------------------------------------------------------------------------


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


def stored_texts(output: Path) -> list[str]:
    """The replies in the store, read without our own code; a half-written last line does not count."""
    texts = []
    for path in sorted((output / "replies").glob("replies-*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            texts.append(json.loads(line)["value"]["text"])
    return texts


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


# -- before anything is sent -----------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_touches_nothing(source: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(ScriptedServer()) as server:
        assert translate_seed.main([*arguments(source, output, server), "--dry_run"]) == 0
    assert server.seen == []
    assert not output.exists()
    table = capsys.readouterr().out
    assert "| rows read | 24 |" in table
    assert "| ... to send | 72 |" in table


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"instruction": "a b"}', r"line 2: en: no field 'output'"),
        ('{"instruction": "a b", "output": 3}', r"line 2: en: output is not text"),
        ('{"id": "row-000", "instruction": "a b", "output": "c"}', r"line 2: duplicate id 'row-000'"),
        ('{"instruction": "a b", "output": "\\ud800"}', r"line 2: half of a surrogate pair"),
        ('{"instruction": ', r"line 2: not JSON"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, line: str, words: str) -> None:
    path = write_rows(tmp_path / "bad.jsonl", source_rows(1))
    path.write_text(path.read_text("utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=words):
        translate_seed.main(arguments(path, tmp_path / "out", ScriptedServer()))


def test_rows_that_cannot_be_translated_are_set_aside_with_their_kind(tmp_path: Path, output: Path) -> None:
    rows = source_rows(3)
    rows[0]["instruction"] = "Translate this sentence into French."
    rows[1]["output"] = ""
    path = write_rows(tmp_path / "source.jsonl", rows)
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(path, output, server)) == 0
    assert report(output)["set_aside_before"] == {"translation": 1, "empty_source": 1}
    assert [row["reason"] for row in read(output / "rejects.jsonl")] == ["translation", "empty_source"]
    assert [row["id"] for row in read(output / "seed.jsonl")] == ["row-002"]
    assert len(server.seen) == 3


def test_field_names_are_mapped(tmp_path: Path, output: Path) -> None:
    rows = [{"q": row["instruction"], "a": {"text": row["output"]}} for row in source_rows(3)]
    path = write_rows(tmp_path / "source.jsonl", rows)
    mapping = ["instruction=q", "output=a.text", "input="]
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(path, output, server, source_fields=mapping)) == 0
    seed = read(output / "seed.jsonl")
    wanted = [(str(k), source_rows(3)[k]["output"]) for k in range(3)]
    assert [(row["id"], row["en"]["output"]) for row in seed] == wanted


def test_the_seed_is_read_by_the_mix_recipe(undisturbed: tuple[Path, ScriptedServer], tmp_path: Path) -> None:
    store = build_store(SourceSpec(str(undisturbed[0] / "seed.jsonl"), ("en", *LANGUAGES)), tmp_path)
    assert len(store) == N_ROWS
    assert store.info.licence == "Apache-2.0; translated by scripted (Apache-2.0)"
