"""Releases: what goes in, what it says of itself, that others can load it, that it never takes anything's place."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from crossin_metrics.errors import CrossinError
from crossin_metrics.sets.loading import find_file, load_file
from recipes.cross_xquad.items import Item, Version, write_items
from recipes.cross_xquad.release.data_set import release
from tests.recipes.cross_xquad.released_items import FACTS, decided, finding, items

TOKEN = "hf_ThisMustNeverBeSeenAnywhere"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def mixed() -> list[Item]:
    """24 items: one accepted with an edit, one accepted by two people, one rejected, one undecided, one sent back."""
    out = items()
    out[0] = decided(out[0], "accept", edit="<b>Eve</b> | *Ada*")
    out[1] = decided(out[1], "reject")
    out[2] = replace(out[2], findings=(finding("is_right"),))
    out[3] = decided(out[3], "redo", "CD")
    out[4] = decided(out[4], "accept", "CD, EF")
    return out


def front_matter(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


# -- what goes in -----------------------------------------------------------------------------------------------------


def test_only_accepted_items_in_the_order_of_the_source(tmp_path: Path) -> None:
    given = mixed()
    made = release(list(reversed(given)), tmp_path / "r", FACTS)
    data = load_file(tmp_path / "r" / "cross_xquad.jsonl")
    assert data.ids == tuple(item.id for item in given if item.id not in ("q001", "q002", "q003"))
    assert data.languages == ("en", "zh", "vi", "es")
    assert data.hash == made["data_hash"]
    assert data.items["en"][0].choices == given[0].versions["en"].choices  # the reviewer's wording
    assert data.gold == tuple(item.gold for item in given if item.id in data.ids)
    counts = made["counts"]
    assert counts == {
        **{"released": 21, "by_people": 2, "edited": 1, "rejected": 1, "redo": 1, "waiting": 1, "incomplete": 0}
    }
    provenance = json.loads((tmp_path / "r" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["counts"] == counts
    assert provenance["reviewers"] == {"AB": 2, "CD": 2, "EF": 1}
    assert provenance["findings"] == {
        "is_right": {"waiting": 1},
        "odd_length": {"accepted by people": 2, "redo": 1, "reject": 1},
    }
    assert provenance["facts"] == FACTS
    first = provenance["questions"][0]
    assert (first["id"], first["reviewer"], first["edited"], first["article"]) == ("q000", "AB", ["en"], 0)
    assert all(b"for colleagues only" not in content for content in contents(tmp_path / "r").values())


def test_an_item_without_some_language_stays_out_and_is_counted(tmp_path: Path) -> None:
    given = items()
    del given[5].versions["vi"]
    made = release(given, tmp_path / "r", FACTS)
    assert (made["counts"]["released"], made["counts"]["incomplete"]) == (23, 1)
    assert given[5].id not in load_file(tmp_path / "r" / "cross_xquad.jsonl").ids


def test_languages_without_the_fact_are_those_of_the_items(tmp_path: Path) -> None:
    facts = {key: value for key, value in FACTS.items() if key != "languages"}
    made = release(items(languages=("en", "es")), tmp_path / "r", facts)
    assert made["n_languages"] == 2
    card = (tmp_path / "r" / "README.md").read_text(encoding="utf-8")
    assert """--metadata '{"data_dir": "THIS_FOLDER", "languages": ["en", "es"]}'""" in card


# -- that others can load it ------------------------------------------------------------------------------------------


def test_datasets_loads_every_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    release(mixed(), tmp_path / "r", FACTS)
    data = load_file(tmp_path / "r" / "cross_xquad.jsonl")
    whole = datasets.load_dataset(str(tmp_path / "r"))  # no config named: the default one
    assert list(whole) == ["test"]
    assert whole["test"]["id"] == list(data.ids)
    assert whole["test"][3]["Chinese"]["choices"] == list(data.items["zh"][3].choices)
    for code in data.languages:
        rows = datasets.load_dataset(str(tmp_path / "r"), code)["test"]
        assert rows.column_names == ["id", "context", "question", "choices", "answer", "gold", "target", "input"]
        for row, item, gold in zip(rows, data.items[code], data.gold, strict=True):
            assert (row["context"], row["question"], tuple(row["choices"])) == (
                item.context,
                item.question,
                item.choices,
            )
            assert (row["answer"], row["gold"], row["target"]) == (item.choices[gold], gold, "ABCD"[gold])
            assert row["input"] == f"{item.context}\n\n{item.question}"
    parquet = load_file(tmp_path / "r" / "data" / "all" / "test.parquet", name="cross_xquad")
    assert parquet.hash == data.hash


def test_the_harness_finds_it_and_evaluates(tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    made = release(mixed(), tmp_path / "r", FACTS)
    assert find_file(tmp_path / "r", "cross_xquad") == tmp_path / "r" / "cross_xquad.jsonl"
    manager = TaskManager(metadata={"data_dir": str(tmp_path / "r"), "bootstrap": 0})
    results = lm_eval.simple_evaluate(model="dummy", tasks=["cross_xquad"], task_manager=manager, bootstrap_iters=0)
    assert results["results"]["cross_xquad"]["n_questions,none"] == 21
    assert f"data:{made['data_hash']}" in results["configs"]["cross_xquad"]["metadata"]["signature"]


def test_what_the_hub_reads(tmp_path: Path) -> None:
    release(mixed(), tmp_path / "r", FACTS)
    card = front_matter(tmp_path / "r")
    assert card["license"] == "cc-by-sa-4.0"
    assert card["language"] == ["en", "zh", "vi", "es"]
    assert card["size_categories"] == ["n<1K"]
    assert card["task_categories"] == ["question-answering", "multiple-choice"]
    assert [config["config_name"] for config in card["configs"]] == ["all", "en", "zh", "vi", "es"]
    paths = [one["path"] for config in card["configs"] for one in config["data_files"]]
    assert all((tmp_path / "r" / path).is_file() for path in paths)
    described = yaml.safe_load((tmp_path / "r" / "eval.yaml").read_text(encoding="utf-8"))
    # names the hub knows: https://github.com/huggingface/huggingface.js/blob/main/packages/tasks/src/eval.ts
    assert described["evaluation_framework"] == "inspect-ai"
    assert set(described) == {"name", "description", "evaluation_framework", "tasks"}
    for task, config in zip(described["tasks"], card["configs"][1:], strict=True):
        assert (task["config"], task["split"]) == (config["config_name"], "test")
        assert set(task) == {"id", "config", "split", "field_spec", "solvers", "scorers"}
        assert set(task["field_spec"].values()) == {"input", "target", "choices"}


def test_the_card_tells_everything_that_was_asked(tmp_path: Path) -> None:
    release(mixed(), tmp_path / "r", {**FACTS, "checks": {"judge": True, "none": None}})
    card = (tmp_path / "r" / "README.md").read_text(encoding="utf-8")
    for said in (
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
        assert said in card, said
    hashes = json.loads(json.dumps({n: hashlib.sha256(c).hexdigest() for n, c in contents(tmp_path / "r").items()}))
    for name, digest in hashes.items():
        if name not in ("README.md", "SHA256SUMS"):
            assert f"| {name} | `{digest}` |" in card
    sums = dict(
        reversed(line.split("  ")) for line in (tmp_path / "r" / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    assert sums == {name: digest for name, digest in hashes.items() if name != "SHA256SUMS"}


def test_facts_cannot_break_the_card(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> | --- \n# heading `x`"
    facts = {**FACTS, "model": nasty, "model_licence": nasty, "stages": {nasty: {nasty: nasty}}, nasty: nasty}
    release(items(), tmp_path / "r", facts)
    card = (tmp_path / "r" / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in card
    assert "\n# heading" not in card
    assert front_matter(tmp_path / "r")["license"] == "cc-by-sa-4.0"
    odd = {**FACTS, "source_licence": "My: own\n# terms"}
    release(items(), tmp_path / "odd", odd)
    assert front_matter(tmp_path / "odd")["license_name"] == "my-own-terms"
    assert front_matter(tmp_path / "odd")["license"] == "other"


# -- same bytes, one place --------------------------------------------------------------------------------------------


def test_the_same_items_and_facts_give_the_same_bytes(tmp_path: Path) -> None:
    release(mixed(), tmp_path / "a", FACTS)
    shuffled = {key: FACTS[key] for key in reversed(FACTS)}
    shuffled["stages"] = {key: FACTS["stages"][key] for key in reversed(FACTS["stages"])}
    release(list(reversed(mixed())), tmp_path / "b", shuffled)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    before = set((tmp_path / "a").iterdir())
    release(mixed(), tmp_path / "a", FACTS)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert before == set((tmp_path / "a").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # nothing left behind


def test_a_later_release_of_the_same_build_takes_the_place(tmp_path: Path) -> None:
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
    with pytest.raises(CrossinError, match=r"the release of another build \(model differ\)"):
        release(mixed(), folder, {**FACTS, "model": "lab/other"})
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"notes.txt, which does not belong to the release"):
        release(mixed(), folder, FACTS)
    (folder / "notes.txt").unlink()
    (folder / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"README.md was changed by hand"):
        release(mixed(), folder, FACTS)
    (folder / "README.md").write_bytes(before["README.md"])
    assert contents(folder) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(CrossinError, match="holds files but no release"):
        release(mixed(), tmp_path / "other", FACTS)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(CrossinError, match="not a folder"):
        release(mixed(), tmp_path / "file", FACTS)
    (tmp_path / "empty").mkdir()
    release(mixed(), tmp_path / "empty", FACTS)
    assert contents(tmp_path / "empty") == before


def test_a_failing_write_leaves_the_old_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "r"
    release(mixed(), folder, FACTS)
    before = contents(folder)
    real = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target) == folder and not str(source).endswith(".old"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CrossinError, match=r"cannot write .*No space left"):
        release(items(), folder, FACTS)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


# -- bad input --------------------------------------------------------------------------------------------------------


def test_what_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "r"

    def english(item: Item, **fields: Any) -> Item:
        return replace(item, versions={**item.versions, "en": replace(item.versions["en"], **fields)})

    clean = items(2)
    labelled = english(clean[1], choices=("(A) a", "(B) b", "(C) c", "(D) d"))
    half = english(clean[1], question="Who \ud83d?")
    three = english(clean[1], choices=("a", "b", "c"))
    stale = decided(clean[1], "accept")
    stale = replace(stale, versions={**stale.versions, "en": Version("Other.", "Who?", ("a", "b", "c", "d"))})
    unapplied = decided(clean[1], "accept", edit="new words")
    unapplied = replace(unapplied, versions=clean[1].versions)
    rejected = [decided(item, "reject") for item in clean]
    for given, facts, message in (
        ([], FACTS, "none of 0 questions is accepted"),
        (rejected, FACTS, "none of 8 questions is accepted in all of en, zh, vi, es"),
        (items(2, ("en", "es")), FACTS, "none of 8 questions is accepted in all of"),
        ([clean[0], labelled], FACTS, r"id q001, language en: its options read back as a \| b \| c \| d; take labels"),
        ([clean[0], half], FACTS, "id q001, language en: half of a surrogate pair"),
        ([clean[0], three], FACTS, r"id q001: gold index 1 with \[3, 4\] choices"),
        ([clean[0], clean[0]], FACTS, "question ids are not unique"),
        ([clean[0], stale], FACTS, "id q001: AB accepted another content than it has now"),
        ([clean[0], unapplied], FACTS, "id q001, language en: an edit by AB is not applied"),
        (clean, {k: v for k, v in FACTS.items() if k not in ("model", "source_sha256")}, "source_sha256, model"),
        (clean, {**FACTS, "model": ""}, "facts without model"),
        (clean, {**FACTS, "extra": Path("x")}, "facts are not JSON"),
        (clean, {**FACTS, "extra": float("nan")}, "facts are not JSON"),
        (clean, {**FACTS, "languages": ["en", "tlh"]}, "unknown language 'tlh'"),
    ):
        with pytest.raises(CrossinError, match=message):
            release(given, folder, facts)
        assert list(tmp_path.iterdir()) == [], message
    with pytest.raises(CrossinError, match="'cross_xquad' is no data set repository; write owner/name"):
        release(clean, folder, FACTS, push_to_hub="cross_xquad")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CrossinError, match="cannot write"):
        release(clean, tmp_path / "file" / "r", FACTS)


# -- the recipe -------------------------------------------------------------------------------------------------------


def test_the_recipe_ends_in_a_release_twice_the_same(tmp_path: Path) -> None:
    """The real driver, its five stages and a scripted endpoint; a second build elsewhere gives the same bytes."""
    from recipes import build_cross_xquad
    from recipes.cross_xquad.config import STAGES
    from tests.helpers.scripted_server import serve
    from tests.recipes.cross_xquad.world import N_QUESTIONS, server, write_world

    data = write_world(tmp_path / "data")
    for name in ("one", "two"):
        with serve(server(script=lambda seen: "perfect")) as state:
            given = ["--output_dir", tmp_path / name, "--data_dir", data, "--base_url", state.base_url]
            given += ["--model", "scripted", "--licence", "Apache-2.0", "--stages", *STAGES]
            assert build_cross_xquad.main([str(one) for one in given]) == 0
    first = tmp_path / "one" / "release"
    assert contents(first) == contents(tmp_path / "two" / "release")
    assert len(load_file(first / "cross_xquad.jsonl")) == N_QUESTIONS
    card = (first / "README.md").read_text(encoding="utf-8")
    assert f"| {N_QUESTIONS} | in the set |" in card
    assert "Nobody has reviewed it yet." in card
    for place in (str(tmp_path), "127.0.0.1", str(Path.home())):
        assert all(place.encode() not in content for content in contents(first).values())


# -- the hub ----------------------------------------------------------------------------------------------------------


class CommitHub:
    """The addresses that a pull request with small files touches: metadata check, preupload, commit."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.seen: list[str] = []
        self.tokens: set[str | None] = set()
        self.commits: list[dict[str, Any]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                hub.seen.append(self.path)
                self.answer(404, {})

            def do_POST(self) -> None:
                hub.seen.append(self.path)
                hub.tokens.add(self.headers.get("Authorization"))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                url = urlsplit(self.path)
                if hub.status != 200:
                    self.answer(hub.status, {"error": f"refused {self.headers.get('Authorization')}"})
                elif url.path == "/api/validate-yaml":
                    self.answer(200, {"errors": [], "warnings": []})
                elif "/preupload/" in url.path:
                    files = json.loads(body)["files"]
                    kind = {"uploadMode": "regular", "shouldIgnore": False}
                    self.answer(200, {"files": [{**file, **kind} for file in files]})
                else:
                    lines = [json.loads(line) for line in body.splitlines()]
                    hub.commits.append({"path": url.path, "query": parse_qs(url.query), "lines": lines})
                    made = {"commitUrl": f"{hub.url}/datasets/lab/x/commit/0a", "commitOid": "0a" * 20}
                    self.answer(200, {**made, "pullRequestUrl": f"{hub.url}/datasets/lab/x/discussions/3"})

            def answer(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub() -> Iterator[CommitHub]:
    made = CommitHub()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


_SCRIPT = """
import json, sys
from pathlib import Path
from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.items import read_items
from recipes.cross_xquad.release.data_set import release
try:
    facts = json.loads(Path("facts.json").read_text(encoding="utf-8"))
    made = release(read_items(Path("items.jsonl")), Path("r"), facts, push_to_hub="lab/x", dry_run=sys.argv[1] == "dry")
    print(made.get("pull_request"), file=sys.stderr)
except CrossinError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def push(folder: Path, how: str, hub: CommitHub, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since the hub's library reads its address when it is imported."""
    write_items(folder / "items.jsonl", mixed())
    (folder / "facts.json").write_text(json.dumps(FACTS), encoding="utf-8")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    known |= {"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "HF_HOME": str(folder / "hf")}
    known |= {"HF_ENDPOINT": hub.url, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment}
    command = [sys.executable, "-c", _SCRIPT, how]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=known, cwd=folder, timeout=120)


def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(tmp_path: Path, hub: CommitHub) -> None:
    done = push(tmp_path, "dry", hub, HF_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "None\n")
    payload = json.loads(done.stdout)
    files = contents(tmp_path / "r")
    assert (payload["repository"], payload["repo_type"], payload["create_pr"]) == ("lab/x", "dataset", True)
    assert payload["files"] == [
        {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    ]
    assert (hub.seen, hub.tokens) == ([], set())
    assert TOKEN not in done.stdout


def test_a_push_opens_a_pull_request_with_every_file(tmp_path: Path, hub: CommitHub) -> None:
    done = push(tmp_path, "push", hub, HF_TOKEN=TOKEN)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.endswith(f"{hub.url}/datasets/lab/x/discussions/3\n")
    (commit,) = hub.commits
    assert (commit["path"], commit["query"]) == ("/api/datasets/lab/x/commit/main", {"create_pr": ["1"]})
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in commit["lines"]
        if line["key"] == "file"
    }
    assert sent == contents(tmp_path / "r")
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr + str(commit)


def test_a_push_without_a_token_or_right_says_so(tmp_path: Path, hub: CommitHub) -> None:
    without = push(tmp_path, "push", hub)
    assert without.returncode == 2
    assert without.stderr == ("push_to_hub needs a token that may write: set the environment variable HF_TOKEN\n")
    assert not (tmp_path / "r").exists()
    hub.status = 403
    refused = push(tmp_path, "push", hub, HF_TOKEN=TOKEN)
    assert refused.returncode == 2
    assert refused.stderr.startswith("push_to_hub lab/x: ")
    assert TOKEN not in refused.stderr
    assert hub.commits == []
    assert (tmp_path / "r" / "README.md").is_file()  # the set stays on this machine, to be pushed later
