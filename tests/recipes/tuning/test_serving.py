"""A model tuned on the mini mix answers through `generate`, vLLM's chat and the harness with the same greedy text."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.sft_crossin import main
from recipes.tuning.loss_masks import load_rows, mask_rows
from recipes.tuning.merge import merge
from tests.helpers import vllm_server as real
from tests.helpers.tiny_models import arguments
from tests.helpers.vllm_server import free_port, vllm_server

pytestmark = pytest.mark.slow
model = real.model

TOKENS = 24


def test_three_doors(model: str, tmp_path: Path, repo: Path) -> None:
    run = tmp_path / "run"
    mix = repo / "recipes" / "configs" / "mix" / "mini_x2x.yaml"
    config = tmp_path / "config.yaml"  # `[]` needs a file
    config.write_text("lora_modules_to_save: []\n", encoding="utf-8")
    options = {"learning_rate": 1e-4, "max_steps": 8, "max_length": 512}
    assert main(["--config", str(config), *arguments(run, Path(model), mix, **options)]) == 0
    merge(run / "adapter", run / "merged", dtype="float32")  # rounding could turn a tie
    rows = load_rows(run / "mix")
    prompts = [row["prompt"] for row in rows.select(range(0, 40, 8))]
    tokenizer = AutoTokenizer.from_pretrained(run / "adapter")
    trained, _ = mask_rows(rows, tokenizer, "headers", max_length=512)
    trained_prompts = [
        ids[: labels.index(next(label for label in labels if label >= 0))]
        for ids, labels in zip(trained["input_ids"], trained["labels"], strict=True)
    ][0:40:8]

    generated = [generate(model, run / "adapter", prompt) for prompt in prompts]
    assert [ids for ids, _ in generated] == trained_prompts
    texts = [text for _, text in generated]
    assert len(set(texts)) > 1
    assert all(texts)

    assert harness(model, run / "adapter", prompts) == texts

    port = free_port()
    with vllm_server(str(run / "merged"), port, tmp_path, extra=("--dtype", "float32")):
        replies = [chat(port, prompt) for prompt in prompts]
    assert [reply["usage"]["prompt_tokens"] for reply in replies] == list(map(len, trained_prompts))
    assert [reply["choices"][0]["message"]["content"].strip() for reply in replies] == texts


def generate(base: str, adapter: Path, prompt: str) -> tuple[list[int], str]:
    """Ids of the prompt, and the answer, of transformers and PEFT."""
    from peft import PeftModel

    tokenizer = AutoTokenizer.from_pretrained(adapter)
    network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    given = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = network.generate(**given, max_new_tokens=TOKENS, do_sample=False)[0].tolist()
    n = given["input_ids"].shape[1]
    return ids[:n], str(tokenizer.decode(ids[n:], skip_special_tokens=True)).strip()


def harness(base: str, adapter: Path, prompts: list[str]) -> list[str]:
    """Answers of the harness's own model class, asked as a generation task asks."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    network = HFLM(base, peft=str(adapter), tokenizer=str(adapter), dtype="float32", device="cpu", batch_size=1)
    requests = []
    for number, prompt in enumerate(prompts):
        text = network.apply_chat_template([{"role": "user", "content": prompt}])
        settings = {"until": [], "max_gen_toks": TOKENS, "do_sample": False}
        requests.append(Instance("generate_until", {}, (text, settings), number))
    return [answer.strip() for answer in network.generate_until(requests)]


def chat(port: int, prompt: str) -> dict[str, Any]:
    body = {"model": "gemma", "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": TOKENS}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer
