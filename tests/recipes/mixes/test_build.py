"""The script: a mix folder is complete, reproducible to the byte, never half written, and every mistake is one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from crossin_metrics.errors import CrossinError
from recipes.build_mix import main
from recipes.common.options import run
from recipes.mixes.build import FILES, build
from recipes.mixes.config import MixConfig
from recipes.mixes.rows import COLUMNS, ROW_GROUP_ROWS
from tests.recipes.mixes.mix_sets import base_row, seed_item, write_jsonl

MINI = "recipes/configs/mix/mini_x2x.yaml"


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Any]:
    """Options that name 30 base rows and 40 parallel items on disk."""
    base = write_jsonl(tmp_path / "base.jsonl", [base_row(k) for k in range(30)])
    seed = write_jsonl(tmp_path / "seed.jsonl", [seed_item(k) for k in range(40)])
    return {"base_set": str(base), "seed_set": str(seed), "n_samples": 100}


def make(folder: Path, sets: dict[str, Any], **options: Any) -> dict[str, Any]:
    return build(MixConfig(output_dir=str(folder), **{**sets, **options}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def run_script(repo: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repo / "recipes" / "build_mix.py"), *arguments]
    return subprocess.run(command, cwd=cwd or repo, capture_output=True, text=True, timeout=120, check=False)


def test_script_on_the_embedded_sets_from_any_folder(repo: Path, tmp_path: Path) -> None:
    """The command others call, without a hub, and what `datasets` makes of the folder."""
    from datasets import load_dataset

    done = run_script(repo, "--config", str(repo / MINI), "--output_dir", "out/mix", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    folder = tmp_path / "out" / "mix"
    assert sorted(contents(folder)) == sorted(FILES)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mix"]  # nothing left behind
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"].column_names == list(COLUMNS)
    assert Counter(loaded["train"]["part"]) == {"base": 64, "crossin": 64}


def test_help_is_fast_and_imports_nothing_heavy(repo: Path) -> None:
    code = (
        "import sys; sys.argv = ['build_mix', '--help']\n"
        "from recipes.build_mix import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'numpy', 'torch', 'transformers', 'datasets', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--n_trans" in done.stdout


def test_manifest_and_card_count_what_is_in_the_file(tmp_path: Path, sets: dict[str, Any]) -> None:
    facts = make(tmp_path / "mix", sets, trans=True, noise="swap", noise_rate=0.2, trans_direction="both")
    table = pq.read_table(tmp_path / "mix" / "train.parquet").to_pylist()
    assert facts["n_rows"] == len(table) == 30 + 100 + 100
    assert facts["parts"] == {"base": 30, "crossin": 100, "trans": 100}
    counted = Counter((row["part"], row["in_lang"], row["out_lang"]) for row in table)
    assert {(p["part"], p["in_lang"], p["out_lang"]): p["n"] for p in facts["pairs"]} == counted
    for row in facts["lengths"]:
        values = sorted(len(r[row["side"]]) for r in table if r["part"] == row["part"])
        assert (row["max"], row["sum"]) == (values[-1], sum(values))
        assert row["mean"] == round(sum(values) / len(values), 1)
        assert row["median"] == values[(len(values) - 1) // 2]
    assert facts["parquet_sha256"] == hashlib.sha256((tmp_path / "mix" / "train.parquet").read_bytes()).hexdigest()
    card = (tmp_path / "mix" / "README.md").read_text(encoding="utf-8")
    for part, a, b in counted:
        assert f"| {part} | {a} | {b} | {counted[part, a, b]} |" in card
    for text in (facts["content_sha256"], facts["parquet_sha256"], "base.jsonl", "seed.jsonl", "unknown"):
        assert text in card
    header = yaml.safe_load(card.split("---")[1])
    assert header["language"] == ["en", "es", "vi", "zh"]


def test_card_counts_tokens_with_a_tokenizer(tmp_path: Path, sets: dict[str, Any]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(tmp_path / "tokenizer")
    facts = make(tmp_path / "mix", sets, tokenizer=str(tmp_path / "tokenizer"), tag="none")
    tokens = {(row["part"], row["side"]): row["sum"] for row in facts["lengths"] if row["unit"] == "tokens"}
    table = pq.read_table(tmp_path / "mix" / "train.parquet").to_pylist()
    for (part, side), total in tokens.items():
        assert total == sum(len(row[side].split()) for row in table if row["part"] == part)
    with pytest.raises(CrossinError, match="cannot load tokenizer"):
        make(tmp_path / "other", sets, tokenizer=str(tmp_path / "absent"))


def test_same_bytes_in_every_process_and_for_every_number_of_workers(
    repo: Path, tmp_path: Path, sets: dict[str, Any]
) -> None:
    options = {**sets, "n_samples": ROW_GROUP_ROWS + 100, "trans": True, "noise": "drop", "noise_rate": 0.3}
    make(tmp_path / "here", options)
    flags = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    done = run_script(repo, "--output_dir", str(tmp_path / "two"), "--num_workers", "2", *flags)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "here") == contents(tmp_path / "two")


def test_content_is_pinned(tmp_path: Path) -> None:
    """Rows of a mix of the embedded sets, recorded once: other machines and later versions must give the same."""
    facts = build(MixConfig(output_dir=str(tmp_path / "mix"), n_samples=200, trans=True, noise="swap", noise_rate=0.1))
    sources = {role: info["sha256"][:16] for role, info in facts["sources"].items()}
    assert sources == {"base": "01d5bd46baa7e2ba", "seed": "2e1213d26a578b32"}, (
        "the embedded sets changed: record the hashes anew"
    )
    assert facts["content_sha256"] == "111f175d320cf01ca4ebf2f8f75b6a6a974cd53bf333135d8cf6af5177c885b3"


def test_config_yaml_builds_the_same_mix_again(
    tmp_path: Path, sets: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a", sets, tag="natural", held_out_pairs=["zh-vi"], language_weights=[1, 2, 1, 1], seed=5)
    assert main(["--config", str(tmp_path / "a" / "config.yaml"), "--output_dir", str(tmp_path / "b")]) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "130 rows (base 30, crossin 100, trans 0)" in printed.err


def test_sources_and_seed_change_the_mix_but_not_where_they_lie(tmp_path: Path, sets: dict[str, Any]) -> None:
    first = make(tmp_path / "a", sets)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for key in ("base_set", "seed_set"):
        shutil.copy(sets[key], moved)
    there = {**sets, **{key: str(moved / Path(sets[key]).name) for key in ("base_set", "seed_set")}}
    assert make(tmp_path / "b", there)["parquet_sha256"] == first["parquet_sha256"]
    assert make(tmp_path / "a", there) == first  # up to date
    assert make(tmp_path / "c", sets, seed=1)["content_sha256"] != first["content_sha256"]


def test_existing_folder(tmp_path: Path, sets: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mix"
    make(folder, sets)
    before = contents(folder)
    stamp = (folder / "train.parquet").stat().st_mtime_ns
    make(folder, sets, num_workers=2)
    assert "up to date" in capsys.readouterr().err
    assert (folder / "train.parquet").stat().st_mtime_ns == stamp
    with pytest.raises(CrossinError, match="other options or sources: choose another folder, or add --overwrite"):
        make(folder, sets, seed=1)
    write_jsonl(Path(sets["seed_set"]), [seed_item(k) for k in range(39)])
    with pytest.raises(CrossinError, match="other options or sources"):
        make(folder, sets)
    assert contents(folder) == before
    make(folder, sets, overwrite=True)
    assert contents(folder) != before


def test_damaged_mix_is_noticed_and_replaced_only_when_asked(tmp_path: Path, sets: dict[str, Any]) -> None:
    folder = tmp_path / "mix"
    make(folder, sets)
    whole = contents(folder)
    for name, damage in (("train.parquet", b"PAR1"), ("manifest.json", b"{")):
        (folder / name).write_bytes(damage)
        with pytest.raises(CrossinError, match=r"damaged|other options"):
            make(folder, sets)
        make(folder, sets, overwrite=True)
        assert contents(folder) == whole


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, sets: dict[str, Any]) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(CrossinError, match="no mix"):
        make(folder, sets, overwrite=True)
    make(tmp_path / "mix", sets)
    (tmp_path / "mix" / "notes.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"notes.txt, which does not belong to the mix"):
        make(tmp_path / "mix", sets, seed=1, overwrite=True)
    assert (folder / "chapter.txt").exists()
    assert (tmp_path / "mix" / "notes.txt").exists()


def test_full_disk_is_one_message_and_leaves_nothing(repo: Path, tmp_path: Path) -> None:
    """A file-size limit set by the shell stands in for a full disk: the write itself fails."""
    command = (
        f"ulimit -f 8; exec {sys.executable} {repo / 'recipes' / 'build_mix.py'} "
        f"--config {repo / MINI} --n_samples 20000 --output_dir {tmp_path / 'mix'}"
    )
    script = (
        f"import signal, os; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.execvp('sh', ['sh', '-c', {command!r}])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_killed_build_leaves_nothing_half_written(repo: Path, tmp_path: Path) -> None:
    """`kill -9` while rows are written: no mix is there, and the next build removes the remains and is whole."""
    flags = ["--config", str(repo / MINI), "--n_samples", "60000", "--output_dir", str(tmp_path / "mix")]
    process = subprocess.Popen([sys.executable, str(repo / "recipes" / "build_mix.py"), *flags])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".mix.*.building/mix/train.parquet")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "mix").exists()
    assert len(list(tmp_path.glob(".mix.*.building"))) == 1
    assert run_script(repo, *flags).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mix"]
    assert pq.ParquetFile(tmp_path / "mix" / "train.parquet").metadata.num_rows == 60_064


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n_sample", "5"], "unknown option '--n_sample'; did you mean '--n_samples'?"),
        (["--variant", "y2y"], "variant: unknown 'y2y'; known: x2x"),
        (["--n_samples", "-1"], "n_samples: -1 must not be negative"),
        (["--languages", "en", "klingon"], "unknown language 'klingon'"),
        (["--seed_set", "absent.jsonl"], "absent.jsonl: no such file"),
        (["--config"], "--config needs a file"),
        (["--config", "absent.yaml"], "cannot read configuration absent.yaml"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(lambda: main(["--output_dir", str(tmp_path / "mix"), *arguments]), "build_mix")
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("build_mix: ")
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "mix").exists()


def test_sets_that_are_not_needed_are_not_read(tmp_path: Path, sets: dict[str, Any]) -> None:
    absent = str(tmp_path / "absent.jsonl")
    none = make(tmp_path / "x2x_0", {**sets, "n_samples": 0, "seed_set": absent})
    assert none["parts"] == {"base": 30, "crossin": 0, "trans": 0}
    assert set(none["sources"]) == {"base"}
    seed_only = make(tmp_path / "seed_only", {"seed_set": sets["seed_set"], "base_set": absent}, variant="seed_only")
    assert seed_only["parts"] == {"base": 0, "crossin": 160, "trans": 0}
    assert make(tmp_path / "no_base", {**sets, "base_set": absent}, n_base=0)["parts"]["base"] == 0


@pytest.mark.slow
def test_a_million_samples_are_streamed(repo: Path, tmp_path: Path) -> None:
    """146 million characters in seven million strings; as Python objects they would take more than the bound."""
    import psutil

    flags = ["--config", str(repo / MINI), "--n_samples", "1000000", "--output_dir", str(tmp_path / "mix")]
    command = [sys.executable, str(repo / "recipes" / "build_mix.py"), *flags]
    process = psutil.Popen(command, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        time.sleep(0.02)
    assert process.returncode == 0
    facts = json.loads((tmp_path / "mix" / "manifest.json").read_text(encoding="utf-8"))
    assert facts["parts"] == {"base": 64, "crossin": 1_000_000, "trans": 0}
    assert pq.ParquetFile(tmp_path / "mix" / "train.parquet").metadata.num_rows == 1_000_064
    assert 0 < peak < 400 * 2**20
