"""Releases: what goes in, what the card says, that others can load it, and that nothing else is overwritten."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import find_file, load_file
from recipes.cross_xquad.items import Item
from recipes.cross_xquad.release.data_set import release
from tests.recipes.cross_xquad.released_items import FACTS, contents, decided, finding, items, mixed

LANGUAGES = ["en", "zh", "vi", "es"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A release of `mixed()`, to read only, and what `release` returned."""
    folder = tmp_path_factory.mktemp("release") / "r"
    return folder, release(list(reversed(mixed())), folder, FACTS)


def front_matter(folder: Path) -> Any:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


# -- what goes in -----------------------------------------------------------------------------------------------------


def test_only_accepted_items_in_the_order_of_the_source(made: tuple[Path, dict[str, Any]]) -> None:
    folder, result = made
    given = mixed()
    data = load_file(folder / "cross_xquad.jsonl")
    assert data.ids == tuple(item.id for item in given if item.id not in ("q001", "q002", "q003"))
    assert list(data.languages) == LANGUAGES
    assert data.hash == result["data_hash"]
    assert data.items["en"][0].choices == given[0].versions["en"].choices  # the reviewer's wording
    assert data.gold == tuple(item.gold for item in given if item.id in data.ids)
    counts = {"released": 21, "by_people": 2, "edited": 1, "rejected": 1, "redo": 1, "waiting": 1, "incomplete": 0}
    assert result["counts"] == counts
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["counts"] == counts
    assert provenance["reviewers"] == {"AB": 2, "CD": 2, "EF": 1}
    assert provenance["findings"] == {
        "is_right": {"waiting": 1},
        "odd_length": {"accepted by people": 2, "redo": 1, "reject": 1},
    }
    assert provenance["facts"] == FACTS
    first = provenance["questions"][0]
    assert (first["id"], first["reviewer"], first["edited"], first["article"]) == ("q000", "AB", ["en"], 0)
    assert all(b"for colleagues only" not in content for content in contents(folder).values())


def test_an_item_without_some_language_is_left_out_and_counted(tmp_path: Path) -> None:
    given = items()
    del given[5].versions["vi"]
    result = release(given, tmp_path / "r", FACTS)
    assert (result["counts"]["released"], result["counts"]["incomplete"]) == (23, 1)
    assert given[5].id not in load_file(tmp_path / "r" / "cross_xquad.jsonl").ids


# -- that others can load it ------------------------------------------------------------------------------------------


def test_datasets_loads_every_config(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    folder, _ = made
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    data = load_file(folder / "cross_xquad.jsonl")
    whole = datasets.load_dataset(str(folder))  # no config named: the default one
    assert list(whole) == ["test"]
    assert whole["test"]["id"] == list(data.ids)
    assert whole["test"][3]["Chinese"]["choices"] == list(data.items["zh"][3].choices)
    for code in data.languages:
        rows = datasets.load_dataset(str(folder), code)["test"]
        assert rows.column_names == ["id", "context", "question", "choices", "answer", "gold", "target", "input"]
        for row, item, gold in zip(rows, data.items[code], data.gold, strict=True):
            assert [row["context"], row["question"], *row["choices"]] == [item.context, item.question, *item.choices]
            assert (row["answer"], row["gold"], row["target"]) == (item.choices[gold], gold, "ABCD"[gold])
            assert row["input"] == f"{item.context}\n\n{item.question}"
    parquet = load_file(folder / "data" / "all" / "test.parquet", name="cross_xquad")
    assert parquet.hash == data.hash


def test_the_harness_evaluates_it(made: tuple[Path, dict[str, Any]]) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    folder, result = made
    assert find_file(folder, "cross_xquad") == folder / "cross_xquad.jsonl"
    manager = TaskManager(metadata={"data_dir": str(folder), "bootstrap": 0})
    results = lm_eval.simple_evaluate(model="dummy", tasks=["cross_xquad"], task_manager=manager, bootstrap_iters=0)
    assert results["results"]["cross_xquad"]["n_questions,none"] == 21
    assert f"data:{result['data_hash']}" in results["configs"]["cross_xquad"]["metadata"]["signature"]


def test_metadata_for_the_hub(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    card = front_matter(folder)
    assert card["license"] == "cc-by-sa-4.0"
    assert card["language"] == LANGUAGES
    assert card["size_categories"] == ["n<1K"]
    assert card["task_categories"] == ["question-answering", "multiple-choice"]
    assert [config["config_name"] for config in card["configs"]] == ["all", *LANGUAGES]
    assert all((folder / one["path"]).is_file() for config in card["configs"] for one in config["data_files"])
    described = yaml.safe_load((folder / "eval.yaml").read_text(encoding="utf-8"))
    # names the hub knows: https://github.com/huggingface/huggingface.js/blob/main/packages/tasks/src/eval.ts
    assert described["evaluation_framework"] == "inspect-ai"
    assert set(described) == {"name", "description", "evaluation_framework", "tasks"}
    for task, config in zip(described["tasks"], card["configs"][1:], strict=True):
        assert (task["config"], task["split"]) == (config["config_name"], "test")
        assert set(task) == {"id", "config", "split", "field_spec", "solvers", "scorers"}
        assert set(task["field_spec"].values()) == {"input", "target", "choices"}


def test_the_card_says_how_the_set_was_made(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    release(mixed(), folder, {**FACTS, "checks": {"judge": True, "none": None}})
    card = (folder / "README.md").read_text(encoding="utf-8")
    for text in (
        "inherited from the source",
        "arXiv 1910.11856",
        "hub:google/xquad@0a1b2c",
        "5" * 64,
        "lab/writer-7b",
        "temperature: 0.0",
        "- **distractors**: items 24\n- **check**:",
        "AB (2), CD (2), EF (1)",
        "`odd_length` | accepted by people 2, redo 1, reject 1",
        "| 21 | in the set |",
        "differs from chance",
        "judge: yes, none: none",
    ):
        assert text in card, text
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents(folder).items()}
    del hashes["SHA256SUMS"]
    sums = [line.split("  ") for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    assert {name: digest for digest, name in sums} == hashes
    for name, digest in hashes.items():
        assert name == "README.md" or f"| {name} | `{digest}` |" in card


def test_the_card_names_languages_other_than_the_papers(tmp_path: Path) -> None:
    release(items(languages=("en", "es")), tmp_path / "r", {**FACTS, "languages": ["en", "es"]})
    card = (tmp_path / "r" / "README.md").read_text(encoding="utf-8")
    assert """--metadata '{"data_dir": "THIS_FOLDER", "languages": ["en", "es"]}'""" in card


def test_facts_cannot_break_the_card(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> | --- \n# heading `x`"
    facts = {**FACTS, "model": nasty, "model_licence": nasty, "stages": {nasty: {nasty: nasty}}, nasty: nasty}
    release(items(), tmp_path / "r", facts)
    card = (tmp_path / "r" / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in card
    assert "\n# heading" not in card
    assert front_matter(tmp_path / "r")["license"] == "cc-by-sa-4.0"
    release(items(), tmp_path / "odd", {**FACTS, "source_licence": "My: own\n# terms"})
    assert front_matter(tmp_path / "odd")["license_name"] == "my-own-terms"
    assert front_matter(tmp_path / "odd")["license"] == "other"


# -- same bytes, one place --------------------------------------------------------------------------------------------


def test_the_same_items_and_facts_give_the_same_bytes(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shuffled = {key: FACTS[key] for key in reversed(FACTS)}
    shuffled["stages"] = {key: FACTS["stages"][key] for key in reversed(FACTS["stages"])}
    for _ in range(2):  # the second replaces the first
        release(mixed(), tmp_path / "r", shuffled)
        assert contents(tmp_path / "r") == contents(made[0])
    assert [path.name for path in tmp_path.iterdir()] == ["r"]  # nothing left behind


def test_a_later_release_of_the_same_build_replaces_it(tmp_path: Path) -> None:
    first = release(mixed(), tmp_path / "r", FACTS)
    later = mixed()
    later[2] = decided(later[2], "accept")
    second = release(later, tmp_path / "r", {**FACTS, "stages": {"check": {"n_items": 25}}})
    assert (first["n_questions"], second["n_questions"]) == (21, 22)
    assert len(load_file(tmp_path / "r" / "cross_xquad.jsonl")) == 22


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    release(mixed(), folder, FACTS)
    before = contents(folder)

    def refused(place: Path, words: str, facts: dict[str, Any] = FACTS) -> None:
        with pytest.raises(CrossinError, match=words):
            release(mixed(), place, facts)

    refused(folder, r"another build \(model differ\)", {**FACTS, "model": "lab/other"})
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    refused(folder, "notes.txt, which does not belong")
    (folder / "notes.txt").unlink()
    (folder / "README.md").write_text("mine", encoding="utf-8")
    refused(folder, "README.md was changed by hand")
    (folder / "README.md").write_bytes(before["README.md"])
    assert contents(folder) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine", encoding="utf-8")
    refused(tmp_path / "other", "holds files but no release")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    refused(tmp_path / "file", "not a folder")
    refused(tmp_path / "file" / "r", "cannot write")


def test_a_failing_write_leaves_the_old_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "r"
    release(mixed(), folder, FACTS)
    before = contents(folder)
    real = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target) == folder and ".old" not in str(source):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CrossinError, match=r"cannot write .*No space left"):
        release(items(), folder, FACTS)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


# -- bad input --------------------------------------------------------------------------------------------------------


def english(item: Item, *choices: str) -> Item:
    return replace(item, versions={**item.versions, "en": replace(item.versions["en"], choices=choices)})


CLEAN = items(2)


@pytest.mark.parametrize(
    ("given", "languages", "message"),
    [
        ([], LANGUAGES, "none of 0 questions is accepted"),
        ([decided(item, "reject") for item in CLEAN], LANGUAGES, "none of 8 questions is accepted in all of en, zh"),
        ([replace(item, findings=(finding(),)) for item in CLEAN], LANGUAGES, "none of 8 questions is accepted"),
        (items(2, ("en", "es")), LANGUAGES, "none of 8 questions is accepted in all of"),
        ([CLEAN[0], english(CLEAN[1], "(A) a", "(B) b", "(C) c", "(D) d")], LANGUAGES, r"id q001, .*: .* a \| b \| c"),
        ([CLEAN[0], english(CLEAN[1], "a", "b", "c")], LANGUAGES, r"id q001: gold index 1 with \[3, 4\] choices"),
        ([CLEAN[0], CLEAN[0]], LANGUAGES, "question ids are not unique"),
    ],
)
def test_bad_items_write_nothing(tmp_path: Path, given: list[Item], languages: list[str], message: str) -> None:
    with pytest.raises(CrossinError, match=message):
        release(given, tmp_path / "r", {**FACTS, "languages": languages})
    assert list(tmp_path.iterdir()) == []
