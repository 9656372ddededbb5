"""Reading and checking base and seed sets: every format and layout, and every kind of bad input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossin_metrics.errors import CrossinError
from recipes.mixes.sources import BATCH_ROWS, FIELDS, SourceSpec, Store, build_store, parse_fields
from tests.recipes.mixes.mix_sets import LANGUAGES, seed_item, write_jsonl

ITEMS = [seed_item(k) for k in range(5)]


def store(tmp_path: Path, spec: str | Path, languages: tuple[str, ...] = LANGUAGES, **options: Any) -> Store:
    return build_store(SourceSpec(str(spec), languages, **options), tmp_path / "stores")


def outputs(made: Store, language: str) -> list[str]:
    return made.gather(f"{language}.output", np.arange(len(made)))


def flat(language: str) -> list[dict[str, Any]]:
    return [item[language] for item in ITEMS]


def write_layout(name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The same five items in one of the layouts: (spec, options)."""
    path = folder / name
    if name == "folder":
        path.mkdir()
        for code in LANGUAGES:  # the released code's: one file a language, no ids
            (path / f"{code}.json").write_text(json.dumps(flat(code)), encoding="utf-8")
    elif name == "pattern_{lang}.jsonl":
        for code in LANGUAGES:
            write_jsonl(folder / f"pattern_{code}.jsonl", [{"id": item["id"], **item[code]} for item in ITEMS])
    elif name == "columns.parquet":
        rows = [
            {"uid": item["id"], **{f"{field}_{code}": text for code in LANGUAGES for field, text in item[code].items()}}
            for item in ITEMS
        ]
        pq.write_table(pa.Table.from_pylist(rows), path)
        return str(path), {"fields": {"id": "uid", **{field: f"{field}_{{lang}}" for field in FIELDS}}}
    elif name == "names.jsonl":
        names = {"en": "English", "zh": "Chinese", "vi": "Vietnamese", "es": "Spanish"}
        write_jsonl(path, [{names.get(key, key): value for key, value in item.items()} for item in ITEMS])
    elif name.endswith(".json"):
        content = {"version": 1, "data": ITEMS} if name == "wrapped.json" else ITEMS
        path.write_text(json.dumps(content), encoding="utf-8")
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(write_jsonl(folder / "plain.jsonl", ITEMS).read_bytes()))
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ITEMS), path)
    else:
        write_jsonl(path, ITEMS)
    return str(path), {}


@pytest.mark.parametrize(
    "name",
    [
        *("s.jsonl", "s.json", "wrapped.json", "s.jsonl.gz", "s.parquet"),
        *("columns.parquet", "names.jsonl", "folder", "pattern_{lang}.jsonl"),
    ],
)
def test_every_layout_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    spec, options = write_layout(name, tmp_path)
    made = store(tmp_path, spec, **options)
    for code in LANGUAGES:
        for field in FIELDS:
            assert made.gather(f"{code}.{field}", np.arange(5)) == [item[code][field] for item in ITEMS]
    ids = [str(k) if name == "folder" else item["id"] for k, item in enumerate(ITEMS)]  # without ids rows are numbered
    assert made.gather("id", np.arange(5)) == ids
    if name != "folder":
        assert made.info.sha256 == store(tmp_path, write_jsonl(tmp_path / "seed.jsonl", ITEMS)).info.sha256


def test_base_set_with_mapped_and_nested_fields(tmp_path: Path) -> None:
    rows = [{"q": "2 + 2?", "solution": {"text": " 4 "}, "input": "ignored"}]
    path = write_jsonl(tmp_path / "base.jsonl", rows)
    fields = parse_fields(["instruction=q", "output=solution.text", "input="], "base_fields")
    made = store(tmp_path, path, ("en",), fields=fields)
    columns = ("instruction", "input", "output")
    assert [made.gather(f"en.{name}", np.array([0]))[0] for name in columns] == ["2 + 2?", "", "4"]


def test_a_flat_set_serves_as_seed_in_one_language(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "alpaca.jsonl", flat("en"))
    assert outputs(store(tmp_path, path, ("en",)), "en") == [item["en"]["output"] for item in ITEMS]


def test_alpacas_own_text_column_is_not_taken_for_what_to_translate(tmp_path: Path) -> None:
    """Alpaca's `text` is the whole rendered prompt; only a field named `translatable` is translated instead."""
    path = write_jsonl(tmp_path / "alpaca.jsonl", [{**row, "text": "### Instruction: ..."} for row in flat("en")])
    assert store(tmp_path, path, ("en",)).gather("en.translatable", np.arange(5)) == [""] * 5


def test_gather_over_batches_in_any_order(tmp_path: Path) -> None:
    n = BATCH_ROWS + 10
    path = write_jsonl(tmp_path / "big.jsonl", [{"instruction": "i", "output": f"o{k}"} for k in range(n)])
    made = store(tmp_path, path, ("en",))
    wanted = [n - 1, 0, BATCH_ROWS, BATCH_ROWS - 1, 0, 5]
    assert made.gather("en.output", np.array(wanted)) == [f"o{k}" for k in wanted]


def test_licences_come_from_configuration_table_or_rows(tmp_path: Path) -> None:
    rows = [
        {**item, "provenance": {"licence": "CC BY 4.0", "translations": {"zh": {"model": "m", "licence": "MIT"}}}}
        for item in ITEMS
    ]
    path = write_jsonl(tmp_path / "seed.jsonl", rows)
    assert store(tmp_path, path).info.licence == "CC BY 4.0; translated by m (MIT)"
    assert store(tmp_path, path, licence="CC0").info.licence == "CC0"
    assert store(tmp_path, "packaged:seed_mini").info.licence == "Apache-2.0"
    assert store(tmp_path, write_jsonl(tmp_path / "other.jsonl", ITEMS)).info.licence == "unknown"


def changed(k: int, code: str, **fields: Any) -> list[dict[str, Any]]:
    rows = [seed_item(n) for n in range(5)]
    rows[k][code] = {name: value for name, value in {**rows[k][code], **fields}.items() if value is not ...}
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(2, "vi", output=""), r"seed.jsonl, line 3 \(id 's2'\): vi: empty output"),
        (changed(2, "vi", output=" \n"), "vi: empty output"),
        (changed(1, "zh", instruction=...), "line 2 .*zh: no field 'instruction'"),
        (changed(1, "zh", output=None), "zh: no field 'output'"),
        (changed(0, "es", output=["a"]), "es: output is not text"),
        (changed(0, "es", output="\ud800"), "line 1: half of a surrogate pair"),
        (changed(3, "es", input=""), "an input in some languages and none in others .only en, zh, vi"),
        ([{"id": "x", "en": ITEMS[0]["en"]}], "no language 'zh'"),
        ([ITEMS[0], ITEMS[0]], "line 2: duplicate id 's0'"),
        ([], "no usable rows"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    path = tmp_path / "seed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(CrossinError, match=message):
        store(tmp_path, path)


def test_bad_rows_can_be_dropped_in_all_languages_and_are_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "seed.jsonl", changed(2, "vi", output=""))
    made = store(tmp_path, path, bad_rows="drop")
    assert made.gather("id", np.arange(4)) == ["s0", "s1", "s3", "s4"]
    assert made.info.dropped == {"vi: empty output": 1}


def test_languages_of_unequal_length(tmp_path: Path) -> None:
    spec, _ = write_layout("folder", tmp_path)
    (Path(spec) / "zh.json").write_text(json.dumps(flat("zh")[:3]), encoding="utf-8")
    with pytest.raises(CrossinError, match=r"unequal length \(en 5, zh 3, vi 5, es 5\)"):
        store(tmp_path, spec)


def test_languages_in_another_order_with_ids(tmp_path: Path) -> None:
    spec, _ = write_layout("pattern_{lang}.jsonl", tmp_path)
    rows = [{"id": item["id"], **item["es"]} for item in reversed(ITEMS)]
    write_jsonl(tmp_path / "pattern_es.jsonl", rows)
    with pytest.raises(CrossinError, match=r"different order \(ids en 's0', zh 's0', vi 's0', es 's4'\)"):
        store(tmp_path, spec)


def test_languages_in_another_order_without_ids(tmp_path: Path) -> None:
    """Rows with and without input no longer face each other, so dropping them does not hide the mistake."""
    spec, _ = write_layout("folder", tmp_path)
    (Path(spec) / "es.json").write_text(json.dumps([*flat("es")[1:], flat("es")[0]]), encoding="utf-8")
    with pytest.raises(CrossinError, match="an input in some languages"):
        store(tmp_path, spec)
    with pytest.raises(CrossinError, match="not in the same order"):
        store(tmp_path, spec, bad_rows="drop")


def test_missing_language_file(tmp_path: Path) -> None:
    spec, _ = write_layout("folder", tmp_path)
    (Path(spec) / "vi.json").unlink()
    with pytest.raises(CrossinError, match="no file for language 'vi'"):
        store(tmp_path, spec)


def test_broken_files_are_named_by_line(tmp_path: Path) -> None:
    """Every format and kind of damage: tests/test_records.py."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"instruction": "a", "output": "b"}\n{"id": \n')
    with pytest.raises(CrossinError, match=r"a.jsonl, line 2: not JSON") as caught:
        store(tmp_path, path, ("en",))
    assert "\n" not in str(caught.value)


def test_absent_sources(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="no such file"):
        store(tmp_path, tmp_path / "absent.jsonl")
    with pytest.raises(CrossinError, match="no packaged set 'absent'"):
        store(tmp_path, "packaged:absent")
    with pytest.raises(CrossinError, match="base_fields: 'answer' must be"):
        parse_fields(["answer"], "base_fields")


@pytest.mark.parametrize("offline", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_unreachable_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    """The hub switched off by the user, and (with its retries, half a minute) an address where nobody listens."""
    import datasets
    import huggingface_hub.constants as constants

    for place, name in ((constants, "ENDPOINT"), (datasets.config, "HF_ENDPOINT")):
        monkeypatch.setattr(place, name, "http://127.0.0.1:9")
    for place in (constants, datasets.config):
        monkeypatch.setattr(place, "HF_HUB_OFFLINE", offline)
    with pytest.raises(CrossinError, match=r"cannot load the data from the hub .*nobody/nothing") as caught:
        store(tmp_path, "nobody/nothing", ("en",))
    assert "\n" not in str(caught.value)
