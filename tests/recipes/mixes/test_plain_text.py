"""Parallel passages as plain text: alternation, the mix's rows, and loss on all tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.build_mix import main
from recipes.mixes.plain_text import by_document, by_sentence
from recipes.tuning.loss_masks import IGNORED, load_rows, mask_rows
from tests.helpers.tiny_models import byte_tokenizer

EN, ZH = "It is 3.5 km away. Is it far? No.", "它在3.5公里外。远吗？不远。"


def test_languages_alternate() -> None:
    assert by_sentence(EN, ZH, "en", "zh") == "It is 3.5 km away. 远吗？ No."
    assert by_sentence(ZH, ZH, "zh", "ja") == ZH
    assert by_document(EN, ZH) == f"{EN}\n\n{ZH}"
    assert by_sentence(EN, "一句。", "en", "zh") == by_document(EN, "一句。")  # as many sentences, or none is paired
    assert by_sentence("One.", "一。", "en", "zh") == by_document("One.", "一。")


@pytest.mark.parametrize("variant", ["pretrain", "pretrain_documents"])
def test_a_mix_of_plain_text(tmp_path: Path, variant: str) -> None:
    seed = tmp_path / "seed.jsonl"
    row = {"id": "a", "en": {"instruction": "Q", "input": EN, "output": "x"}}
    row["zh"] = {"instruction": "问", "input": ZH, "output": "y"}
    seed.write_text(json.dumps(row) + "\n", encoding="utf-8")
    options = ["--variant", variant, "--seed_set", str(seed), "--languages", "en", "zh", "--n_samples", "6"]
    assert main([*options, "--n_base", "2", "--output_dir", str(tmp_path / "mix")]) == 0
    facts = json.loads((tmp_path / "mix" / "manifest.json").read_text(encoding="utf-8"))
    assert facts["parts"] == {"base": 2, "crossin": 0, "trans": 0, "pretrain": 6}
    assert {(pair["in_lang"], pair["out_lang"]) for pair in facts["pairs"]} == {
        ("en", "en"),
        ("en", "zh"),
        ("zh", "en"),
    }
    rows = load_rows(tmp_path / "mix")
    texts = {one["completion"] for one in rows if one["part"] == "pretrain"}
    expected = (
        {"It is 3.5 km away. 远吗？ No.", "它在3.5公里外。 Is it far? 不远。"}
        if variant == "pretrain"
        else {f"{EN}\n\n{ZH}", f"{ZH}\n\n{EN}"}
    )
    assert texts == expected
    tokenizer = byte_tokenizer(tmp_path / "tokenizer")
    masked, report = mask_rows(rows, tokenizer, "headers", max_length=None)
    for one, two in zip(rows, masked, strict=True):
        if one["part"] == "pretrain":
            assert tokenizer.decode(two["input_ids"]) == f"<bos>{one['completion']}<eos>"
            assert two["labels"] == [IGNORED, *two["input_ids"][1:]]
        else:
            assert two["labels"].count(IGNORED) > 1  # the prompt
    assert report.parts["pretrain"].label_tokens == report.parts["pretrain"].tokens - 6
