"""From a plan to rows: every text comes from the right item and language, noise damages the side it should."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recipes.mixes.config import MixConfig
from recipes.mixes.plan import make_plan
from recipes.mixes.rows import COLUMNS, drop_words, render_all, render_batch
from recipes.mixes.sources import SourceSpec, Store, build_store
from tests.recipes.mixes.mix_sets import LANGUAGES, base_row, seed_item, write_jsonl


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """30 base rows and 40 parallel items; every text names its item, language and field."""
    base = write_jsonl(tmp_path / "base.jsonl", [base_row(k) for k in range(30)])
    seed = write_jsonl(tmp_path / "seed.jsonl", [seed_item(k) for k in range(40)])
    return (
        build_store(SourceSpec(str(base), ("en",)), tmp_path),
        build_store(SourceSpec(str(seed), LANGUAGES), tmp_path),
    )


def rows(stores: tuple[Store, Store], **options: Any) -> list[dict[str, str]]:
    config = MixConfig(output_dir="unused", **options)
    batch = render_batch(make_plan(config, len(stores[0]), len(stores[1])), config, *stores)
    assert tuple(batch.schema.names) == COLUMNS
    assert all(text for row in batch.to_pylist() for text in row.values())
    return batch.to_pylist()


def prompt_of(k: int, language: str, tag: str) -> str:
    item = seed_item(k)[language]
    lines = [item["instruction"], f"{item['input']} {tag}".strip()]
    return "\n\n".join(line for line in lines if line)


@pytest.mark.parametrize("variant", ["en2x", "x2en", "x2x", "same_language", "more_english"])
def test_samples_say_what_their_item_says(stores: tuple[Store, Store], variant: str) -> None:
    for row in rows(stores, variant=variant, n_samples=300):
        k = int(row["source_id"][1:])
        if row["part"] == "base":
            assert row == {
                "prompt": f"base {k}",
                "completion": f"answer {k}",
                "part": "base",
                "in_lang": "en",
                "out_lang": "en",
                "source": "base.jsonl",
                "source_id": f"b{k}",
            }
        else:
            assert row["prompt"] == prompt_of(k, row["in_lang"], f"[{row['out_lang']}]")
            assert row["completion"] == f"output {k} {row['out_lang']}"
            assert (row["part"], row["source"]) == ("crossin", "seed.jsonl")


def test_tags(stores: tuple[Store, Store]) -> None:
    for row in rows(stores, n_samples=100, n_base=0, tag="none"):
        assert row["prompt"] == prompt_of(int(row["source_id"][1:]), row["in_lang"], "")
    for row in rows(stores, n_samples=100, n_base=0, tag_same_language=False):
        tagged = row["prompt"].endswith(f"[{row['out_lang']}]")
        assert tagged == (row["in_lang"] != row["out_lang"])
    for row in rows(stores, n_samples=50, n_base=0, variant="en2x", tag="natural", tag_position="start"):
        assert re.match(r"Answer in (Chinese|Vietnamese|Spanish)\.\n\ninstruction", row["prompt"])


def test_translation_pairs(stores: tuple[Store, Store]) -> None:
    found = [row for row in rows(stores, n_samples=200, trans=True, trans_direction="both") if row["part"] == "trans"]
    assert len(found) == 200
    for row in found:
        k = row["source_id"][1:]
        head, text = row["prompt"].split("\n\n")
        assert text == f"instruction {k} {row['in_lang']}"
        assert row["completion"] == f"instruction {k} {row['out_lang']}"
        assert head.endswith((".", "。"))
        assert "en" in (row["in_lang"], row["out_lang"])


def test_translation_pairs_take_the_text_field_where_there_is_one(tmp_path: Path) -> None:
    items = [seed_item(k) for k in range(2)]
    for code in LANGUAGES:
        items[0][code]["translatable"] = f"short {code}"
    seed = build_store(SourceSpec(str(write_jsonl(tmp_path / "seed.jsonl", items)), LANGUAGES), tmp_path)
    config = MixConfig(output_dir="unused", n_samples=20, n_base=0, trans=True)
    for row in render_batch(make_plan(config, 0, 2), config, None, seed).to_pylist():
        if row["part"] == "trans":
            wanted = "short" if row["source_id"] == "s0" else "instruction 1"
            assert row["completion"] == f"{wanted} {row['out_lang']}"
            assert row["prompt"].endswith(f"\n\n{wanted} {row['in_lang']}")


def test_pivot_first_answers(stores: tuple[Store, Store]) -> None:
    for row in rows(
        stores, variant="same_language", n_samples=80, n_base=0, answer_style="pivot", languages=["zh", "vi"]
    ):
        k, language = row["source_id"][1:], row["out_lang"]
        name = {"zh": "Chinese", "vi": "Vietnamese"}[language]
        assert row["completion"] == (
            f"Instruction in English: instruction {k} en\n\nAnswer in English: output {k} en\n\n"
            f"Answer in {name}: output {k} {language}"
        )


@pytest.mark.parametrize("variant", ["en2x", "x2en", "x2x"])
def test_swapped_text_is_another_item_s_in_the_same_language(stores: tuple[Store, Store], variant: str) -> None:
    options: dict[str, Any] = {"variant": variant, "n_samples": 400, "n_base": 0, "trans": True}
    noisy = rows(stores, noise="swap", noise_rate=0.5, **options)
    changed = 0
    for clean, row in zip(rows(stores, **options), noisy, strict=True):
        if row == clean:
            continue
        changed += 1
        assert {k: v for k, v in row.items() if k not in ("prompt", "completion")} == {
            k: v for k, v in clean.items() if k not in ("prompt", "completion")
        }
        side, language = ("completion", row["out_lang"]) if row["out_lang"] != "en" else ("prompt", row["in_lang"])
        other = "prompt" if side == "completion" else "completion"
        assert row[other] == clean[other]
        assert language != "en"
        assert re.search(rf"(output|instruction) \d+ {language}", row[side])
    eligible = sum(row["in_lang"] != "en" or row["out_lang"] != "en" for row in noisy)
    assert changed == round(0.5 * eligible)


def test_dropped_words(stores: tuple[Store, Store]) -> None:
    options: dict[str, Any] = {"variant": "en2x", "n_samples": 300, "n_base": 0, "tag": "none"}
    clean, noisy = rows(stores, **options), rows(stores, noise="drop", noise_rate=1.0, noise_drop=0.5, **options)
    n_words = sum(len(row["completion"].split()) for row in noisy if row["out_lang"] != "zh")
    n_clean = sum(len(row["completion"].split()) for row in clean if row["out_lang"] != "zh")
    assert 0.45 < n_words / n_clean < 0.65  # half of three words, one of them always kept: (12 + 1) / 24
    assert [row["prompt"] for row in noisy] == [row["prompt"] for row in clean]


def test_drop_words_by_hand() -> None:
    draws = np.array([0.9, 0.1, 0.9, 0.1])
    assert drop_words("một hai ba bốn", "vi", 0.5, draws) == "một ba"
    assert drop_words("一二三四", "zh", 0.5, draws) == "一三"
    assert drop_words("一二。四", "zh", 1.0, draws) == "。"  # marks stay
    assert drop_words("a b", "es", 1.0, draws) == "a"  # never empty
    assert drop_words("a b", "es", 0.0, draws) == "a b"
    assert drop_words("a b c", "es", 0.5, np.array([0.4, 0.5, 0.6])) == "b c"  # a share of [0, 1)


def test_damaged_rows_do_not_depend_on_the_slice(stores: tuple[Store, Store]) -> None:
    config = MixConfig(output_dir="unused", n_samples=300, noise="drop", noise_rate=1.0)
    plan = make_plan(config, 30, 40)
    whole = render_batch(plan, config, *stores).to_pylist()
    parts = [render_batch(plan.take(slice(k, k + 7)), config, *stores).to_pylist() for k in range(0, len(plan), 7)]
    assert [row for part in parts for row in part] == whole


def test_many_slices_come_in_order_from_several_processes(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More slices than may wait at a time; a mix has so many only from 40,000 rows on."""
    monkeypatch.setattr("recipes.mixes.rows.ROW_GROUP_ROWS", 8)
    config = MixConfig(output_dir="unused", n_samples=40)
    plan = make_plan(config, len(stores[0]), len(stores[1]))
    alone, together = (list(render_all(plan, config, *stores, num_workers=n)) for n in (1, 2))
    assert len(alone) > 6
    assert alone[0].schema.equals(together[0].schema)
    assert all(field.type == "string" and not field.nullable for field in alone[0].schema)
    assert [batch.to_pylist() for batch in together] == [batch.to_pylist() for batch in alone]


@pytest.mark.parametrize(
    ("rows_of_a_group", "options", "pools"),
    [(8, {}, 0), (8, {"num_workers": 1}, 0), (8, {"num_workers": 2}, 1), (80, {"num_workers": 2}, 0)],
)
def test_processes_start_only_where_several_are_asked_for_and_have_work(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, rows_of_a_group: int, options: Any, pools: int
) -> None:
    made = []

    def pool(workers: int, context: object, opened: Any, given: Any) -> ThreadPoolExecutor:
        made.append(workers)
        return ThreadPoolExecutor(1, initializer=opened, initargs=given)

    monkeypatch.setattr("recipes.mixes.rows.ProcessPoolExecutor", pool)
    monkeypatch.setattr("recipes.mixes.rows.ROW_GROUP_ROWS", rows_of_a_group)
    config = MixConfig(output_dir="unused", n_samples=40, n_base=40)
    plan = make_plan(config, len(stores[0]), len(stores[1]))
    assert len(plan) == 80
    batches = list(render_all(plan, config, *stores, **options))
    assert len(made) == pools
    assert {batch.num_rows for batch in batches} == {rows_of_a_group}


def test_a_file_has_groups_of_8192_rows(stores: tuple[Store, Store]) -> None:
    config = MixConfig(output_dir="unused", n_samples=8193, n_base=0)
    plan = make_plan(config, len(stores[0]), len(stores[1]))
    assert [batch.num_rows for batch in render_all(plan, config, *stores)] == [8192, 1]
