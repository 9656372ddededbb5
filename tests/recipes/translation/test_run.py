"""The whole script against a real HTTP server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes import translate_seed
from recipes.llm.store import ReplyStore
from recipes.mixes.sources import SourceSpec, build_store
from tests.helpers.scripted_server import ScriptedServer, Seen, fake_translation, serve
from tests.helpers.translation import (
    LANGUAGES,
    N_ROWS,
    arguments,
    assert_nothing_vanished,
    copied,
    read,
    report,
    source_rows,
    stored_texts,
    write_rows,
)


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
