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
from recipes.mixes.sources import BATCH_ROWS, SourceSpec, Store, build_store, parse_fields
from tests.recipes.mixes.mix_sets import LANGUAGES, seed_item, write_jsonl

ITEMS = [seed_item(k) for k in range(5)]


def store(tmp_path: Path, spec: str | Path, languages: tuple[str, ...] = LANGUAGES, **options: Any) -> Store:
    return build_store(SourceSpec(str(spec), languages, **options), tmp_path / "stores")


def outputs(made: Store, language: str) -> list[str]:
    return made.gather(f"{language}.output", np.arange(len(made)))


def flat(language: str) -> list[dict[str, Any]]:
    return [item[language] for item in ITEMS]


def layouts(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """The same five items in every layout: name -> (spec, options)."""
    write_jsonl(folder / "seed.jsonl", ITEMS)
    (folder / "seed.json").write_text(json.dumps(ITEMS), encoding="utf-8")
    (folder / "wrapped.json").write_text(json.dumps({"version": 1, "data": ITEMS}), encoding="utf-8")
    with gzip.open(folder / "seed.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(item) + "\n" for item in ITEMS)
    pq.write_table(pa.Table.from_pylist(ITEMS), folder / "seed.parquet")
    columns = [
        {"uid": item["id"], **{f"{field}_{code}": item[code][field] for code in LANGUAGES for field in item[code]}}
        for item in ITEMS
    ]
    pq.write_table(pa.Table.from_pylist(columns), folder / "flat.parquet")
    write_jsonl(folder / "named.jsonl", [_with_names(item) for item in ITEMS])
    released = folder / "released"
    released.mkdir()
    for code in LANGUAGES:
        (released / f"{code}.json").write_text(json.dumps(flat(code)), encoding="utf-8")
        write_jsonl(folder / f"alpaca_{code}.jsonl", [{"id": item["id"], **item[code]} for item in ITEMS])
    fields = {"id": "uid", **{name: f"{name}_{{lang}}" for name in ("instruction", "input", "output")}}
    return {
        "jsonl": (str(folder / "seed.jsonl"), {}),
        "json": (str(folder / "seed.json"), {}),
        "wrapped json": (str(folder / "wrapped.json"), {}),
        "gzip": (str(folder / "seed.jsonl.gz"), {}),
        "parquet": (str(folder / "seed.parquet"), {}),
        "flat columns": (str(folder / "flat.parquet"), {"fields": fields}),
        "english names": (str(folder / "named.jsonl"), {}),
        "released code's": (str(released), {}),
        "pattern": (str(folder / "alpaca_{lang}.jsonl"), {}),
    }


def _with_names(item: dict[str, Any]) -> dict[str, Any]:
    names = {"en": "English", "zh": "Chinese", "vi": "Vietnamese", "es": "Spanish"}
    return {names.get(key, key): value for key, value in item.items()}


LAYOUTS = (
    "jsonl",
    "json",
    "wrapped json",
    "gzip",
    "parquet",
    "flat columns",
    "english names",
    "released code's",
    "pattern",
)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    spec, options = layouts(tmp_path)[name]
    made = store(tmp_path, spec, **options)
    assert len(made) == 5
    for code in LANGUAGES:
        for field in ("instruction", "input", "output"):
            assert made.gather(f"{code}.{field}", np.arange(5)) == [item[code][field] for item in ITEMS]
    if name != "released code's":  # that layout has no ids: rows are numbered
        assert made.info.sha256 == store(tmp_path, tmp_path / "seed.jsonl").info.sha256
    else:
        assert made.gather("id", np.arange(5)) == ["0", "1", "2", "3", "4"]


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
        (changed(0, "es", output="\ud800"), "es: output is not valid Unicode"),
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
    spec, _ = layouts(tmp_path)["released code's"]
    (Path(spec) / "zh.json").write_text(json.dumps(flat("zh")[:3]), encoding="utf-8")
    with pytest.raises(CrossinError, match=r"unequal length \(en 5, zh 3, vi 5, es 5\)"):
        store(tmp_path, spec)


def test_languages_in_another_order_with_ids(tmp_path: Path) -> None:
    spec, _ = layouts(tmp_path)["pattern"]
    rows = [{"id": item["id"], **item["es"]} for item in reversed(ITEMS)]
    write_jsonl(tmp_path / "alpaca_es.jsonl", rows)
    with pytest.raises(CrossinError, match=r"different order \(ids en 's0', zh 's0', vi 's0', es 's4'\)"):
        store(tmp_path, spec)


def test_languages_in_another_order_without_ids(tmp_path: Path) -> None:
    """Rows with and without input no longer face each other, so dropping them does not hide the mistake."""
    spec, _ = layouts(tmp_path)["released code's"]
    (Path(spec) / "es.json").write_text(json.dumps([*flat("es")[1:], flat("es")[0]]), encoding="utf-8")
    with pytest.raises(CrossinError, match="an input in some languages"):
        store(tmp_path, spec)
    with pytest.raises(CrossinError, match="not in the same order"):
        store(tmp_path, spec, bad_rows="drop")


def test_missing_language_file(tmp_path: Path) -> None:
    spec, _ = layouts(tmp_path)["released code's"]
    (Path(spec) / "vi.json").unlink()
    with pytest.raises(CrossinError, match="no file for language 'vi'"):
        store(tmp_path, spec)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"instruction": "a", "output": "b"}\n{"id": \n', r"a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'["not an object"]\n', "line 1: expected a JSON object"),
        ("a.jsonl", b'{"id": "\xff"}\n', "line 1: not UTF-8"),
        ("a.json", b'[{"id": 1},', "a.json, line 1: not JSON"),
        ("a.json", b"3", "expected a JSON array"),
        ("a.jsonl.gz", b"no gzip", "not JSON"),
        ("a.parquet", b"PAR1 no parquet PAR1", "not a Parquet file"),
        ("a.csv", b"a,b", "unknown format"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CrossinError, match=message) as caught:
        store(tmp_path, tmp_path / name, ("en",))
    assert "\n" not in str(caught.value)


def test_truncated_parquet_and_gzip(tmp_path: Path) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    layouts(folder)
    for name in ("seed.parquet", "seed.jsonl.gz"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CrossinError, match=name):
            store(tmp_path, folder / name)


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
