"""Damaged files for every reader: a valid file of each kind, seeded mutations of it, and the reader that gets them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossin_metrics.harness.prompts import resolve_prompt
from crossin_metrics.report.labels import read_labels
from crossin_metrics.report.published import read_published
from crossin_metrics.runs.log_fields import LogFields
from crossin_metrics.runs.run import read_predictions
from crossin_metrics.sets.loading import load_file
from recipes.common.options import parse
from recipes.cross_xquad.items import Item, Version, read_items
from recipes.cross_xquad.review.apply import read_review_json
from recipes.llm.store import ReplyStore
from recipes.mixes.config import MixConfig
from recipes.mixes.sources import SourceSpec, read_texts
from recipes.mixes.sources import read_items as read_source

_PATH = "samples_{}_2026-01-01T10-00-00.1.jsonl"
_FIELDS = LogFields("doc.idx", "^numset_([a-z]{2})$")


def _lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _table() -> list[dict[str, Any]]:
    return [
        {"id": f"q{i}", "language": code, "answer": i % 3, "gold": 1, "n_choices": 4, "task": "t", "model": "m"}
        | {"prompt": "p1", "logprobs": [-1.0, -2.0, -3.5, -0.5], "order": [1, 0, 2, 3], "choices": ["a", "b", "c", "d"]}
        for i in range(2)
        for code in ("en", "zh")
    ]


def _log(doc: dict[str, Any]) -> bytes:
    calls = {f"gen_args_{i}": {"arg_0": "x", "arg_1": f" {'ABCD'[i]}"} for i in range(4)}
    pairs = [["-1.0", "False"], ["-2.0", "False"], ["-0.5", "True"], ["-3.0", "False"]]
    row = {"doc_id": 0, "target": "C", "arguments": calls, "filtered_resps": pairs, "filter": "none", "acc": 1.0}
    return _lines([{**row, "doc": doc | {"idx": i, "id": f"q{i}", "link": f"u{i}"}, "answer": 2} for i in range(2)])


_OWN = {"language": "en", "gold": 2, "order": [0, 1, 2, 3], "options": ["a", "b", "c", "d"], "formulation": "letter"}
_ITEM = Item("q0", 0, 0, 1, {code: Version("ctx", "what?", ("a", "b", "c", "d")) for code in ("en", "zh")})
_QUESTION = {"question": "x?", "choices": ["a", "b", "c"], "answer": "a", "context": "cc"}
_PAGE = {"format": "cross_xquad_decisions", "version": 1, "reviewer": "AB", "review": "x"}
_ENTRY = {"id": "q0", "sha256": _ITEM.sha256(), "verdict": "accept", "note": "", "at": "", "languages": ["en"]}
_STUDIO = {
    "data": {"id": "q0", "sha256": _ITEM.sha256()},
    "annotations": [
        {"completed_by": 1, "result": [{"from_name": "verdict", "type": "choices", "value": {"choices": ["accept"]}}]}
    ],
}
_SEAEVAL = [{"id": "1", **{name: _QUESTION | {"model_prediction": "(A) a"} for name in ("English", "Chinese")}}]


def _parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_table()), stream)
    return stream.getvalue()


def _csv() -> bytes:
    rows = [[json.dumps(v) if isinstance(v, list) else str(v) for v in row.values()] for row in _table()]
    cells = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [list(_table()[0]), *rows]]
    return "\n".join(cells).encode()


def _stored() -> bytes:
    from recipes.llm.store import checksum

    values = {f"k{i}": {"text": "", "finish_reason": "stop"} for i in range(2)}
    return _lines([{"key": key, "value": value, "crc": checksum(key, value)} for key, value in values.items()])


def _mix(path: Path) -> None:
    source = SourceSpec(str(path), ("en",))
    for _, _, records in read_source(source):
        for language, record in records.items():
            with contextlib.suppress(ValueError):  # a bad row, which the caller names
                read_texts(source, record, language)


def _store(path: Path) -> None:
    with ReplyStore(path.parent, read_only=True) as store:
        for key in list(store._index):
            store.get(key)


def _scored(path: Path, fields: LogFields | None = None) -> None:
    for run in read_predictions([path], fields=fields, skip_mismatched=True):
        run.questions()


# Name of a reader -> (file name, a valid file, what reads it).
READERS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "table.jsonl": ("t.jsonl", _lines(_table()), _scored),
    "table.csv": ("t.csv", _csv(), _scored),
    "table.parquet": ("t.parquet", _parquet(), _scored),
    "log.own": (_PATH.format("crossin_mini"), _log(_OWN), _scored),
    "log.family": (
        _PATH.format("belebele_eng_Latn"),
        _log({"question_number": 1, "correct_answer_num": "3"}),
        _scored,
    ),
    "log.told": (_PATH.format("numset_en"), _log({}), lambda path: _scored(path, _FIELDS)),
    "seaeval": ("zero_shot_p1.json", json.dumps(_SEAEVAL).encode(), _scored),
    "labels.csv": ("l.csv", b"run,name,system,seed,tag\nm1,x,x2x,1,yes\nm2,x,x2x,2,no\n", read_labels),
    "labels.yaml": ("l.yaml", b"- run: m1\n  name: n\n  system: s\n  seed: 1\n  translation: yes\n", read_labels),
    "published.csv": (
        "p.csv",
        b"base,system,benchmark,acc,consistency,ac3\nb,s,cross_mmlu,0.5,0.4,0.44\n",
        lambda path: read_published(str(path)),
    ),
    "published.json": (
        "p.json",
        b'{"m|zero|p1": {"overall_acc": 0.5, "language_acc": {"English": 0.5}, "consistency_3": 0.4, "AC3_3": 0.3}}',
        lambda path: read_published(str(path)),
    ),
    "store": ("replies-00000.jsonl", _stored(), _store),
    "items": ("items.jsonl", _lines([_ITEM.to_json()]), read_items),
    "config.yaml": (
        "c.yaml",
        b"variant: x2x\nn_samples: 10\nseed_set: packaged:seed_mini\nlanguages: [en, zh]\noutput_dir: out\n",
        lambda path: parse(MixConfig, ["--config", str(path)], prog="p", description="d"),
    ),
    "prompts": ("p.yaml", b'mine:\n  cue: "Answer:"\n', lambda path: resolve_prompt(str(path))),
    "mix.source": ("s.jsonl", _lines([{"id": "a", "instruction": "i", "input": "", "output": "o"}] * 1), _mix),
    "parallel": ("set.jsonl", _lines([{"id": "q0", "English": _QUESTION, "Chinese": _QUESTION}]), load_file),
    "review.page": (
        "d.json",
        json.dumps(_PAGE | {"decisions": [_ENTRY]}).encode(),
        lambda path: read_review_json(path, {_ITEM.sha256(): _ITEM}),
    ),
    "label_studio": (
        "e.json",
        json.dumps([_STUDIO]).encode(),
        lambda path: read_review_json(path, {_ITEM.sha256(): _ITEM}),
    ),
}

_PIECES = [
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"1_0",
    b"1e999",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b"9" * 400,
    b"9" * 5000,
]
_PIECES += [
    b"a" * 5000,
    b"[" * 3000,
    b"\x00",
    b"\xff\xfe",
    b"\n",
    b"\r",
    b'"',
    b",",
    b"2024-13-45",
    b"!!int x",
    b"&a *a",
]
_PIECES += [
    b"\x1b[31m",
    b'{"a": 1, "a": 2}',
    b"-1",
    b"1.5",
    b"\xe2\x80\xa8",
    b": ",
    b"? ",
    b"- ",
    b"\t",
    b";",
    b"&a *a",
]
_VALUES = [
    None,
    True,
    [],
    {},
    ["en"],
    {"a": 1},
    -1,
    1.5,
    10**400,
    float("inf"),
    float("nan"),
    "",
    "1_0",
    "x" * 5000,
    [[]],
]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The file with one to three changes of bytes, or, of JSON, with a value of another kind somewhere in it."""
    if rng.random() < 0.4:
        changed = _other_value(content, rng)
        if changed is not None:
            return changed
    zipped = rng.random() < 0.1
    data = bytearray(gzip.compress(content) if zipped else content)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 1, 1, 4, 20)))
        match rng.randrange(4):
            case 0:
                data[start:end] = rng.choice(_PIECES)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start : start + rng.randrange(40)]
            case _:
                del data[start:]
    return bytes(data)


def _other_value(content: bytes, rng: random.Random) -> bytes | None:
    lines = content.splitlines()
    number = rng.randrange(len(lines))
    try:
        value = json.loads(lines[number])
    except ValueError:
        return None
    inner = value
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return None
        key = rng.choice(keys)
        if not isinstance(inner[key], (dict, list)) or rng.random() < 0.3:
            break
        inner = inner[key]
    inner[key] = rng.choice(_VALUES)
    lines[number] = json.dumps(value).encode()
    return b"\n".join(lines) + b"\n"
