"""A translation of 24 rows with a scripted server: rows, arguments, and what a run leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.helpers.scripted_server import ScriptedServer

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


def stored_texts(output: Path) -> list[str]:
    """The replies in the store, read without our own code; a half-written last line does not count."""
    texts = []
    for path in sorted((output / "replies").glob("replies-*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            texts.append(json.loads(line)["value"]["text"])
    return texts
