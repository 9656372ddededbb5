"""Mistakes are one message before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig

from crossin_metrics.cli import main as crossin
from crossin_metrics.errors import CrossinError
from recipes.align_crossin import main
from tests.helpers.aligned import align_arguments, write_set


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        ({"codes": ("en",)}, {}, "language zh: missing (the row has en)"),
        ({}, {"languages": "en"}, "languages: en alone; alignment needs two or more"),
        ({"zh": ("红", "绿", "蓝")}, {}, "id h0, language zh: 3 choices, but 4 in en; options must be parallel"),
        ({"vi": ("đỏ", "", "xanh", "trắng")}, {}, "id h0, language vi: choice 1 (from 0) is empty"),
        ({}, {"beta": 0}, "beta: 0 must be above 0"),
        ({}, {"set": "bmlama_17"}, "bmlama_17"),
        ({}, {"languages": ["en", "xx"]}, "unknown language 'xx'"),
        ({}, {"languages": ["en", "fr"]}, "language fr: missing"),
        ({}, {"max_length": 12}, "exceed max_length 12: increase it"),
        ({}, {"packing": True}, "packing: not supported"),
        ({}, {"los": "dco"}, "unknown option '--los'; did you mean '--loss'?"),
        ({}, {"global_batch_size": 5}, "global_batch_size 5 must be a multiple"),
        ({}, {"eval_tasks": "bmlama17_fc"}, "unknown task 'bmlama17_fc'; did you mean 'bmlama17_cf'?"),
    ],
)
def test_one_message(tmp_path: Path, model: Path, data: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    folder = write_set(tmp_path / "set", **data)
    with pytest.raises(CrossinError) as caught:
        main(align_arguments(tmp_path / "run", model, folder, **options))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "cache").exists()


def test_raw_files_with_an_empty_candidate(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "bmlama17"
    folder.mkdir()
    for code in ("en", "zh", "vi", "es"):
        candidates = "red, , blue" if code == "es" else "red, green, blue"
        (folder / f"{code}.tsv").write_text(
            f"Prompt\tAns\tCandidate Ans\tSubject\nA house is <mask>.\tblue\t{candidates}\thouse\n", encoding="utf-8"
        )
    with pytest.raises(CrossinError, match=r"es\.tsv, line 2: an empty candidate"):
        main(align_arguments(tmp_path / "run", model, tmp_path))


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        ({"codes": ("en",)}, {}, "language zh: missing (the row has en)"),
        ({"zh": ("红", "绿", "蓝")}, {}, "language zh: 3 choices, but 4 in en"),
        ({}, {"start_adapter": "other"}, "was trained on another/model"),
        ({}, {"beta": 0}, "beta: 0 must be above 0"),
        ({"vi": ("đỏ", "", "xanh", "trắng")}, {}, "language vi: choice 1 (from 0) is empty"),
    ],
    ids=["one language", "numbers of options", "reference", "beta", "empty candidate"],
)
def test_as_a_command(
    tmp_path: Path,
    model: Path,
    data: dict[str, Any],
    options: dict[str, Any],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one line after the greeting, and nothing trained or cached."""
    if "start_adapter" in options:
        options = {"start_adapter": tmp_path / "other"}
        lora = LoraConfig(base_model_name_or_path="another/model", r=4, target_modules=["q_proj"])
        lora.save_pretrained(str(options["start_adapter"]))
        (options["start_adapter"] / "adapter_model.safetensors").write_bytes(b"")
    folder = write_set(tmp_path / "set", **data)
    assert crossin(["align", *align_arguments(tmp_path / "run", model, folder, **options)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert expected in said[-1]
    assert len(said[-1]) < 500
    assert not [line for line in said[:-1] if "loading torch" not in line]
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "cache").exists()
