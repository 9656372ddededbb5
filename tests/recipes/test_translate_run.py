"""The whole script against a real HTTP server that misbehaves, and against `kill -9`."""

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

from recipes import translate_seed
from tests.recipes.scripted_server import ScriptedServer, Seen, serve

LANGUAGES = ["zh", "vi", "es"]
N_ROWS = 24


def source_rows(count: int = N_ROWS) -> list[dict[str, str]]:
    """English rows of our own, each different, some with an input, code, links, placeholders and numbers."""
    rows = []
    for k in range(count):
        row = {
            "id": f"row-{k:03d}",
            "instruction": f"Explain in two sentences why visitor number {10 + k} enjoyed the market near the old harbour.",
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in source_rows()), encoding="utf-8")
    return path


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


def test_a_perfect_server_gives_a_parallel_seed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with serve(ScriptedServer()) as server:
        assert translate_seed.main(arguments(source, output, server)) == 0
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


def test_a_second_run_asks_nothing_and_writes_the_same(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with serve(ScriptedServer()) as server:
        translate_seed.main(arguments(source, output, server))
        first = (output / "seed.jsonl").read_bytes()
    assert translate_seed.main(arguments(source, output, server)) == 0  # the server is gone: it is not needed
    assert (output / "seed.jsonl").read_bytes() == first
    assert len(server.seen) == N_ROWS * 3
