"""BMLAMA-17 split by subject: on the released files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.bmlama import read_tsv
from crossin_metrics.sets.loading import load_parallel
from recipes.seeds.bmlama import main


def test_the_halves_share_no_subject(shared: Path, tmp_path: Path) -> None:
    options = ["--data_dir", str(shared / "data"), "--output_dir", str(tmp_path), "--languages", "en", "zh"]
    assert main([*options, "--n_test", "200"]) == 0
    subjects = [subject for _, _, subject in read_tsv(shared / "data" / "bmlama17" / "en.tsv")]
    train, test = (load_parallel("bmlama17", data_dir=tmp_path / name) for name in ("train", "test"))
    assert len(test) == 200
    assert 3000 < len(train) < 3800
    assert not {subjects[int(key)] for key in train.ids} & {subjects[int(key)] for key in test.ids}
    rows = [json.loads(line) for line in (tmp_path / "seed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == list(train.ids)
    assert (rows[0]["en"]["instruction"], rows[0]["en"]["output"]) == ("David Coulthard was born in", "Scotland.")


def test_a_share_must_leave_both_halves(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=r"test_share: 1\.0 must be between 0 and 1"):
        main(["--output_dir", str(tmp_path), "--test_share", "1.0"])
