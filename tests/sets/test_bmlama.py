"""BMLAMA on its real files, and on small files that are wrong."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.documents import build_documents
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.sets.bmlama import build
from crossin_metrics.sets.catalogue import SETS
from crossin_metrics.sets.loading import data_files, load_parallel

HEAD = "Prompt\tAns\tCandidate Ans\tSubject"
EN = [
    "Rome is in <mask>.\tItaly\tSpain, Italy\tRome",
    "The capital of <mask> is Oslo.\tNorway\tPeru, Mali, Norway\tOslo",
]
ZH = ["羅馬位於<mask>。\t義大利\t西班牙, 義大利\t羅馬", "<mask>的首都是奧斯陸。\t挪威\t秘魯, 馬里, 挪威\t奧斯陸"]


def write(folder: Path, zh: list[str] = ZH, head: str = HEAD, name: str = "bmlama17") -> Path:
    (folder / name).mkdir(parents=True)
    for code, rows, first in (("en", EN, HEAD), ("zh", zh, head)):
        (folder / name / f"{code}.tsv").write_text("\n".join([first, *rows]) + "\n", encoding="utf-8")
    return folder


def test_the_real_files(shared: Path) -> None:
    data = load_parallel("bmlama17", data_dir=shared / "data", languages=["en", "he", "zh"])
    assert (len(data), len(set(data.groups))) == (6792, 38)
    with (shared / "data/bmlama17/he.tsv").open(encoding="utf-8", newline="") as file:  # 134 rows are CSV-quoted
        rows = list(csv.DictReader(file, delimiter="\t"))
    for item, gold, row in zip(data.items["he"], data.gold, rows, strict=True):
        assert item.question.replace("____", "<mask>") == row["Prompt"].strip()
        assert item.choices[gold] == row["Ans"].strip()
        assert set(item.choices) == {text.strip() for text in row["Candidate Ans"].split(", ")}
    places = Counter(gold for gold, item in zip(data.gold, data.items["en"], strict=True) if len(item.choices) == 10)
    assert all(550 < count < 700 for count in places.values())  # 6,218 facts with ten candidates
    released = build(SETS["bmlama17"], languages=["en", "he", "zh"], data_dir=shared / "data", seed=None)
    assert all(gold == len(item.choices) - 1 for gold, item in zip(released.gold, released.items["en"], strict=True))
    assert released.hash != data.hash


def test_mini_is_the_same_500_facts_in_any_language(shared: Path) -> None:
    mini = load_parallel("bmlama17_mini", data_dir=shared / "data", languages=["en", "zh"])
    other = load_parallel("bmlama17_mini", data_dir=shared / "data", languages=["he"])
    assert (len(mini), mini.ids, mini.gold, mini.groups) == (500, other.ids, other.gold, other.groups)
    assert mini.hash == "7dc960e764fa"
    assert len(set(mini.groups)) >= 35


def test_a_blank_is_filled_in_with_the_rest_of_the_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path)
    metadata = {"set": "bmlama17", "data_dir": str(folder), "languages": ["en", "zh"], "likelihood": "sum"}
    rows, data = build_documents(TaskOptions.from_metadata("bmlama17_cf", metadata | {"formulation": "cf"}))
    order = list(rows[2]["order"])
    assert data.groups == ("[X] is in ____.", "The capital of ____ is [X].")
    assert (rows[0]["query"], rows[0]["space"]) == ("Rome is in", " ")
    assert set(rows[0]["choices"]) == {"Italy.", "Spain."}
    assert (rows[2]["query"], rows[2]["space"]) == ("The capital of", " ")
    assert set(rows[2]["choices"]) == {f"{name} is Oslo." for name in ("Peru", "Mali", "Norway")}
    assert (rows[3]["query"], rows[3]["space"]) == ("", "")  # the sentence begins with the blank
    assert rows[3]["choices"][rows[3]["target"]] == "挪威的首都是奧斯陸。"
    assert rows[3]["order"] == order
    by_mean = TaskOptions.from_metadata("bmlama17_cf", metadata | {"formulation": "cf", "likelihood": ""})
    assert by_mean.likelihood == "mean"  # the set's default: as its authors rank, over the whole sentence
    whole, _ = build_documents(by_mean)
    assert (whole[2]["query"], whole[2]["space"]) == ("", "")
    assert set(whole[2]["choices"]) == {f"The capital of {name} is Oslo." for name in ("Peru", "Mali", "Norway")}
    rows, _ = build_documents(TaskOptions.from_metadata("bmlama17", metadata))
    assert rows[2]["query"].startswith("Question: The capital of ____ is Oslo.\nA. ")
    assert rows[2]["choices"] == ["A", "B", "C"]


def test_53_languages_from_files_of_the_same_shape(tmp_path: Path) -> None:
    folder = write(tmp_path, name="bmlama53")
    for code in set(SETS["bmlama53"].languages) - {"en", "zh"}:
        shutil.copy(folder / "bmlama53/en.tsv", folder / f"bmlama53/{code}.tsv")
    data = load_parallel("bmlama53", data_dir=folder)
    assert (len(data.languages), len(data)) == (53, 2)
    assert len(data_files("bmlama53", folder)) == 53
    with pytest.raises(CrossinError, match=r"no bmlama17/<language>.tsv in it; fetch the folder from github"):
        load_parallel("bmlama17", data_dir=folder)


def test_the_broken_header_of_the_released_chinese_file_is_read(tmp_path: Path) -> None:
    assert (
        len(load_parallel("bmlama17", data_dir=write(tmp_path, head=HEAD.replace("e A", "e\tA")), languages="zh")) == 2
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[:1], r"zh.tsv: 1 facts, but 2 in en.tsv; .*fetch the file again"),
        (lambda rows: rows[::-1], r"zh.tsv, line 2: 3 candidates, but 2 in en.tsv: either rows are shifted"),
        (lambda rows: [rows[0].replace("西班牙", "西, 班牙"), rows[1]], r"line 2: 3 candidates, .* contains ', '"),
        (lambda rows: [rows[0].replace("義大利", "義, 大利"), rows[1]], r"line 2: the answer .* none may contain one"),
        (
            lambda rows: [rows[0].replace("西班牙", " "), rows[1]],
            r"line 2: an empty candidate in .* fill it in or drop",
        ),
        (lambda rows: [rows[0], rows[1].replace("<mask>", "")], r"line 3: 0 blanks \(<mask>\) in .* must have one"),
        (lambda rows: [rows[0] + "\tx", rows[1]], r"line 2: 5 columns, but 4 in the header"),
        (lambda rows: [rows[0].replace("西班牙", "義大利"), rows[1]], r"line 2: equal candidates"),
        (lambda rows: [rows[0], ""], r"line 3: 1 columns, but 4"),
    ],
)
def test_bad_files(tmp_path: Path, spoil: Callable[[list[str]], list[str]], message: str) -> None:
    with pytest.raises(CrossinError, match=message) as error:
        load_parallel("bmlama17", data_dir=write(tmp_path, spoil(ZH)), languages=["en", "zh"])
    assert len(str(error.value)) < 500


def test_missing_language_folder_or_header(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match=r"fr.tsv of bmlama17 not found \(there is en, zh\)"):
        load_parallel("bmlama17", data_dir=write(tmp_path / "a"), languages=["en", "fr"])
    with pytest.raises(CrossinError, match=r"zh.tsv, line 1: the header must be Prompt, Ans"):
        load_parallel("bmlama17", data_dir=write(tmp_path / "b", head="id\ttext"), languages=["en", "zh"])
    with pytest.raises(CrossinError, match="bmlama17 is read from local files: fetch bmlama17/ from github"):
        build(SETS["bmlama17"], languages=["en"], data_dir=None)


@pytest.mark.parametrize("at", [0, 3000, 6700])
@pytest.mark.parametrize("numbers", ["any number of candidates", "ten candidates"])
def test_shifted_rows(shared: Path, tmp_path: Path, at: int, numbers: str) -> None:
    """A fact is left out at `at`, and the last one repeated."""
    (tmp_path / "bmlama17").mkdir()
    for code in ("en", "vi"):
        head, *rows = (shared / f"data/bmlama17/{code}.tsv").read_text(encoding="utf-8").splitlines()
        rows = [row for row in rows if numbers.startswith("any") or row.split("\t")[2].count(", ") == 9]
        at = min(at, len(rows) - 60)
        rows = rows if code == "en" else [*rows[:at], *rows[at + 1 :], rows[-1]]
        (tmp_path / f"bmlama17/{code}.tsv").write_text("\n".join([head, *rows]), encoding="utf-8")
    with pytest.raises(CrossinError, match=r"vi.tsv, line \d+: .* rows are shifted") as error:
        load_parallel("bmlama17", data_dir=tmp_path, languages=["en", "vi"])
    line = int(str(error.value).partition("line ")[2].partition(":")[0])
    assert at <= line <= at + 50
