"""Names and ids that try to be markup, formulas or terminal sequences stay text in every file and on every terminal."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import one_line
from crossin_metrics.exports.every_eval_ever import eval_records
from crossin_metrics.exports.hf_eval_results import benchmark_yaml, eval_results
from crossin_metrics.exports.model_card import BEGIN, END, model_card
from crossin_metrics.signature import signature_fields, signature_line
from crossin_metrics.text_tables import csv_cell, csv_text, csv_value, markdown_table, md, md_code, plain, terminal
from recipes.mixes.card import card as mix_card
from recipes.mixes.config import MixConfig
from recipes.tuning.cards import adapter_card
from recipes.tuning.cards import model_card as merged_card
from tests.conftest import REPO
from tests.exports.test_exports import make_run, records
from tests.helpers.cli import crossin

markdown_it = pytest.importorskip("markdown_it")

HOSTILE = (
    "<script>alert(1)</script>",
    "x\n\n<img src=x onerror=alert(1)>",
    "x\r<b>y</b>",
    "x\u2028<i>z",
    "a` <u>b</u> `c",
    "``` \n<hr>",
    "[click](javascript:alert(1))",
    "![i](http://evil/x.png)",
    "<http://evil>",
    "a|b|c\n|---|\n|<s>|",
    "# heading\n# two",
    "*x* __y__ ~~z~~",
    "-->\n<p>",
    "&lt;b&gt;&#60;b&#62;",
    "\\<b>\\",
    "=cmd|' /C calc'!A0",
    "+1+1|x",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "＝1+1",
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31mred",
    "a\x00b\x7fc",
    "\u202egnp.exe",
    "a\u2066b\u2069",
    "---\nbase_model: other/model\n---",
    "x: y\nz: [w",
    "{{ 7*7 }}{% raw %}",
    "'; DROP TABLE",
    "\ufeff=1",
    "'=1",
)


TAKES_EFFECT = ("html_block", "html_inline", "link_open", "image", "s_open", "fence", "hr")


def markup(text: str) -> list[str]:
    """What a Markdown reader with tables makes of a text that is not text, code, a table or our own heading or list."""
    reader = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = []
    for token in reader.parse(text):
        for one in [token, *(token.children or [])]:
            if one.type in TAKES_EFFECT and one.content.strip() not in (BEGIN, END):
                found.append(f"{one.type}: {one.content or one.attrs}")
    return found


def assert_calm(text: str) -> None:
    """No control character but line ends and tabs, nothing that turns the direction of writing."""
    turning = "\u202e\u2066\u2069\u2028"
    bad = {c for c in text if (unicodedata.category(c) == "Cc" and c not in "\n\r\t") or c in turning}
    assert not bad


def assert_no_formula(text: str) -> None:
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            for line in cell.splitlines() or [""]:
                start = line.strip().lstrip("\u200b\ufeff")[:1]
                if start and start in "=+-@＝＋－＠":
                    float(cell)  # raises where it is no number


@pytest.mark.parametrize("text", HOSTILE)
def test_each_target_language_has_one_function_that_keeps_text_text(text: str) -> None:
    assert not markup("\n".join(["para " + md(text), "", "- " + md_code(text), "", *markdown_table(["h"], [[text]])]))
    for made in (md(text), md_code(text), plain(text), one_line(text)):
        assert_calm(made)
        assert "\n" not in made
        assert "\r" not in made
    assert_calm(terminal(text))
    assert_no_formula(csv_text([[text]]))
    line = signature_line({"task": text, "prompt": "p1"})
    assert len(line.splitlines()) == 1
    assert signature_fields(line)["prompt"] == "p1"


@given(st.text(alphabet=st.sampled_from("'=+-@＝\t\n \u200b\ufeff1ab"), max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    written = csv_cell(text)
    assert isinstance(written, str)
    assert csv_value(written) == text
    assert_no_formula(csv_text([[text]]))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_is_markup(text: str) -> None:
    assert not markup(f"x {md(text)}\n\n- {md_code(text)}")


@pytest.mark.parametrize("text", HOSTILE)
def test_exports(text: str) -> None:
    run = make_run(task="cross_mmlu", signature=f"crossin|task:cross_mmlu|prompt:{text}|s:3")
    made = records(run)
    card = model_card(made)
    _, block, body = card.split("---\n", 2)
    assert yaml.safe_load(block)["model-index"][0]["name"] == "lion-7b"
    assert not markup(body)
    assert_calm(card)
    for files in (eval_results(made), {"eval.yaml": benchmark_yaml(made)}):
        for content in files.values():
            assert yaml.safe_load(content)
            assert_calm(content)
    for content in eval_records(made, organization=text, now=0.0).values():
        assert "\x1b" not in content


def table_of(text: str) -> str:
    """A prediction table whose model, mode, prompt and ids are hostile."""
    rows: list[list[object]] = [["id", "language", "answer", "gold", "model", "task", "prompt"]]
    for number in range(4):
        for language, answer in (("en", number % 2), ("es", 0), ("zh", 1)):
            rows.append([f"{number}{text}", language, answer, number % 2, f"m{text}", f"t{text}", f"p{text}"])
    return csv_text(rows)


@pytest.mark.parametrize("text", [HOSTILE[i] for i in (0, 1, 4, 9, 15, 21, 22, 24)])
def test_commands(tmp_path: Path, text: str) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text(table_of(text), encoding="utf-8", newline="")
    done = crossin("score", table, "--out", tmp_path / "scores.txt", "--bootstrap", "20")
    assert done.returncode == 0, done.stderr
    compared = crossin("compare", table, table, "--resamples", "100")
    report = crossin("report", table, "--out", tmp_path / "report", "--no-plots", "--title", text, "--resamples", "100")
    assert report.returncode == 0, report.stderr
    written = (tmp_path / "scores.txt").read_text(encoding="utf-8")
    for command in (done, compared, report):
        assert_calm(command.stdout + command.stderr + written)
    for path in (tmp_path / "report").rglob("*"):
        if path.suffix == ".md":
            assert not markup(path.read_text(encoding="utf-8")), path
        elif path.suffix == ".csv":
            assert_no_formula(path.read_text(encoding="utf-8"))
        if path.suffix in (".md", ".csv", ".tex"):
            assert "\x1b" not in path.read_text(encoding="utf-8"), path
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_cards_of_recipes(text: str, tmp_path: Path) -> None:
    run: dict[str, Any] = {
        "model": {"id": text},
        "recipe": {"title": "tuned on a mix", "method": "Completions only."},
        "parameters": {"trained": 1, "lora": 1, "whole_modules": 0, "single_embeddings": 0},
        "steps": 1,
        "tokens_seen": 1,
        "seeds": {"seed": 0},
        "options": dict.fromkeys(
            ("learning_rate", "lr_scheduler_type", "global_batch_size", "lora_r", "lora_alpha", "lora_dropout"), 1
        ),
        "mix": {"parts": {"base": {"kept": 1, "label_tokens": 1}}},
    }
    check: dict[str, Any] = {"logit_difference": 0.0, "kl": 0.0, "top1": 1.0}
    merged = {"base": text, "dtype": "float32", "parameters": 1, "tied": True, "prompts": 1}
    merged |= {"after_merging": check, "after_loading_back": check}
    for made in (adapter_card(run), merged_card(tmp_path / "adapter", merged)):
        head, body = made.removeprefix("---\n").split("\n---\n", 1)
        assert yaml.safe_load(head)["base_model"] == text
        assert not markup(body)
    source = {"name": text, "revision": text, "languages": ["en"], "n_rows": 1, "dropped": {text: 1}, "licence": text}
    facts: dict[str, Any] = {"n_rows": 1, "n_noisy": 0, "parts": {}, "pairs": [], "lengths": [], "content_sha256": "0"}
    facts |= {"sources": {"base": source | {"sha256": "0"}}, "parquet_sha256": "0", "pyarrow": "1", "fingerprint": "0"}
    assert not markup(mix_card(MixConfig(output_dir="unused"), facts).split("---\n", 2)[2])


def test_only_these_modules_write_csv() -> None:
    """Cells of every other table pass through `csv_cell`."""
    found = set()
    for tree in ("crossin_metrics", "recipes"):
        for path in (REPO / tree).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "csv.writer(" in text or "csv.DictWriter(" in text:
                assert "csv_cell" in text or "safe_cell" in text, path
                found.add(path.name)
    assert found == {"text_tables.py", "finish.py", "table.py"}
