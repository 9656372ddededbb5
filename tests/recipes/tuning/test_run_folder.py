"""A run's folder: whose it is, what replaces it, and sharing its result."""

from __future__ import annotations

from pathlib import Path

from recipes.tuning.run_folder import CONTENTS, adopt, claim


def test_overwriting_leaves_nothing_of_another_run(tmp_path: Path) -> None:
    claim(tmp_path, {"rate": 1})
    for name in CONTENTS:
        if "." not in name:
            (tmp_path / name).mkdir()
    (tmp_path / "mix").mkdir()
    claim(tmp_path, {"rate": 2}, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "mix"}


def test_a_folder_adopts_a_finished_run_whole(tmp_path: Path) -> None:
    source, output = tmp_path / "source", tmp_path / "output"
    for folder, rate in ((source, 1), (output, 2)):
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / f"tokenizer{rate}.json").write_text("{}")
        claim(folder, {"rate": rate})
        for name in ("train_log.jsonl", "manifest.json"):
            (folder / name).write_text(f'{{"rate": {rate}}}')
    (output / "checkpoints").mkdir()
    (output / "mix").mkdir()
    adopt(source, output)
    claim(output, {"rate": 1})  # a later training there sees whose result it is
    names = {path.relative_to(output).as_posix() for path in output.rglob("*")}
    assert names == {"adapter", "adapter/tokenizer1.json", "manifest.json", "mix", "run.json", "train_log.jsonl"}
    assert (output / "manifest.json").read_text() == '{"rate": 1}'
