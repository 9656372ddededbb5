"""`likelihood: mean` ranks options as BMLAMA's authors do, and logs, readers and signatures say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from crossin_metrics.backends.hf import CrossinHF
from crossin_metrics.errors import CrossinError
from crossin_metrics.runs.sample_logs import read_sample_log
from tests.backends import tiny
from tests.sets.test_bmlama import EN, HEAD


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two facts in "two" languages, in letters that the tiny tokenizer knows."""
    folder = tmp_path_factory.mktemp("facts") / "bmlama17"
    folder.mkdir()
    for code in ("en", "es"):
        (folder / f"{code}.tsv").write_text("\n".join([HEAD, *EN]) + "\n", encoding="utf-8")
    return folder.parent


def run(repo: Path, facts: Path, tokenizer: Path | None, **metadata: Any) -> tuple[dict[str, Any], list[Any]]:
    made = CrossinHF(tiny.model("llama"), tokenizer=tiny.tokenizer(), batch_size=3, max_length=160)
    given = {"data_dir": str(facts), "languages": ["en", "es"], "bootstrap": 0, **metadata}
    given |= {"tokenizer": str(tokenizer)} if tokenizer else {}
    manager = TaskManager(include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata=given)
    found = simple_evaluate(model=made, tasks=["bmlama17_cf"], task_manager=manager, log_samples=True)
    return found["configs"]["bmlama17_cf"]["metadata"], found["samples"]["bmlama17_cf"]


def test_the_mean_is_the_loss_of_the_whole_sentence(repo: Path, facts: Path, tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "words")
    metadata, samples = run(repo, facts, tmp_path / "words")
    assert "|answers:cf-mean|" in metadata["signature"]
    model, words = tiny.model("llama"), tiny.tokenizer()
    for sample in samples:
        losses = []  # means over tokens, as the authors rank
        for sentence in sample["doc"]["choices"]:
            ids = torch.tensor([words(sentence)["input_ids"]])
            losses.append(float(model(input_ids=ids, labels=ids).loss.detach()))
        by_option = [-losses[sample["doc"]["order"].index(option)] for option in range(len(losses))]
        assert sample["logprobs"] == pytest.approx(by_option, abs=1e-4)
        assert sample["answer"] == by_option.index(max(by_option))
    log = tmp_path / "samples_bmlama17_cf_2026-01-01T00-00-00.jsonl"
    log.write_text("".join(json.dumps(sample, default=str) + "\n" for sample in samples), encoding="utf-8")
    rows = [row for run_key, row in read_sample_log(log) if "norm" not in run_key.variant]
    assert [list(row.logprobs or ()) for row in rows] == [sample["logprobs"] for sample in samples]
    broken = json.loads(log.read_text(encoding="utf-8").splitlines()[0]) | {"logprobs": [1.0]}
    log.write_text(json.dumps(broken) + "\n", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"line 1.*logprobs must be 2 numbers"):
        list(read_sample_log(log))


def test_the_sum_needs_no_tokenizer_and_the_mean_says_that_it_does(repo: Path, facts: Path) -> None:
    metadata, samples = run(repo, facts, None, likelihood="sum")
    assert "|answers:cf|" in metadata["signature"]
    assert "logprobs" not in samples[0]
    with pytest.raises(CrossinError, match=r"needs the model's tokenizer: give tokenizer=FOLDER"):
        run(repo, facts, None)
    with pytest.raises(CrossinError, match="likelihood must be one of sum, mean, not 'average'"):
        run(repo, facts, None, likelihood="average")
