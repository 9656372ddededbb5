"""A real `vllm serve` with a small chat model: letters as crossin-vllm scores them, thoughts on and off, cut counts.

The server runs first and is stopped before the engine of crossin-vllm starts: a small machine has room for one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from crossin_metrics.answers import read_answer
from crossin_metrics.backends.api import CrossinAPI
from tests.helpers.vllm_server import free_port, vllm_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed"),
]

LENGTH = 1024
ROWS = 16
PROMPTS = ["p1", "p2", "p3", "p4", "p5", "native"]
BUDGET = 40  # tokens: enough for most thoughts of this model, not for all
# The model's own template; where thinking is asked for, it shows an example thought and opens the next one.
TEMPLATE = """{%- set thinks = enable_thinking is defined and enable_thinking -%}
{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}
{%- if thinks %}{{ '<|im_start|>user\nThe capital of France?\nA. Rome\nB. Paris\nAnswer:<|im_end|>
<|im_start|>assistant
<think>\nParis is the capital of France, so A is wrong.\n</think>\n\nB<|im_end|>\n' }}{% endif -%}
{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' + ('<think>\n' if thinks else '') }}{% endif -%}"""

Results = tuple[dict[str, Any], list[dict[str, Any]]]  # scores, sample log in order


@pytest.fixture(scope="module")
def checkpoint() -> str:
    from crossin_metrics.demo_model import demo_model

    return str(demo_model("smollm2-135m-instruct"))


def evaluate(
    model: Any, repo: Path, task: str, chat: bool, gen_kwargs: dict[str, Any] | None = None, **metadata: Any
) -> Results:
    manager = TaskManager(include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata=metadata)
    found = simple_evaluate(
        model=model, tasks=[task], task_manager=manager, limit=ROWS, apply_chat_template=chat, bootstrap_iters=0,
        gen_kwargs=gen_kwargs,
    )  # fmt: skip
    return found["results"][task], found["samples"][task]


def command(out: Path, model: str, arguments: str, task: str, *extra: str) -> Results:
    """The same by the command that the READMEs show."""
    argv = [
        sys.executable,
        "-m",
        "crossin_metrics.cli",
        "eval",
        "--tasks",
        task,
        "--limit",
        str(ROWS),
        "--model",
        model,
    ]
    argv += ["--model_args", arguments, "--output_path", str(out), "--log_samples", *extra]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    (results,), (samples,) = out.rglob("results_*.json"), out.rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    return json.loads(results.read_text(encoding="utf-8"))["results"][task], sorted(rows, key=lambda row: row["doc_id"])


@pytest.fixture(scope="module")
def served(checkpoint: str, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Results]:
    """Everything that is asked of the server, which is stopped then."""
    folder, port, found = tmp_path_factory.mktemp("server"), free_port(), {}
    template = folder / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    url = f"http://127.0.0.1:{port}/v1"
    greedy = {"temperature": 0, "max_gen_toks": BUDGET}
    with vllm_server(checkpoint, port, folder, LENGTH, ("--dtype", "float32", "--chat-template", str(template))):
        model = CrossinAPI(base_url=url, model="gemma")
        for chat in (False, True):
            found["letters", chat] = evaluate(model, repo, "crossin_mini", chat)
        local = f"base_url={url}/completions,model=gemma,tokenizer={checkpoint},tokenizer_backend=huggingface"
        found["letters", "local"] = command(folder / "a", "local-completions", local, "crossin_mini")
        for prompt in PROMPTS:
            for thinking in (True, False):
                found[prompt, thinking] = evaluate(
                    model, repo, "crossin_mini_gen", True, greedy, prompt=prompt, enable_thinking=thinking
                )
        found["plain"] = evaluate(model, repo, "crossin_mini_gen", False, greedy)
        found["plain", "local"] = command(
            folder / "b", "local-completions", local, "crossin_mini_gen", "--gen_kwargs", f"max_gen_toks={BUDGET}"
        )
        chat_url = f"base_url={url}/chat/completions,model=gemma,num_concurrent=8,tokenizer={checkpoint}"
        for thinking in (True, False):
            found["chat", thinking, "local"] = command(
                folder / f"c{thinking}", "local-chat-completions", chat_url, "crossin_mini_gen",
                "--apply_chat_template", "--gen_kwargs", f"temperature=0,max_gen_toks={BUDGET}",
                "--metadata", json.dumps({"enable_thinking": thinking}),
            )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def engine(served: dict[Any, Results], checkpoint: str) -> Iterator[Any]:
    """crossin-vllm in this process, once the server is gone."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from crossin_metrics.backends.vllm import CrossinVLLM

    lm = CrossinVLLM(checkpoint, dtype="float32", max_model_len=LENGTH, enforce_eager=True)
    yield lm
    lm.model.llm_engine.engine_core.shutdown()


def logprobs(row: dict[str, Any]) -> list[float]:
    return [float(logprob) for logprob, _ in row["filtered_resps"]]


def assert_same_letters(ours: Results, theirs: Results) -> None:
    """Letters seen have the same log-probabilities, the others lower ones than their bounds; picks are the same."""
    seen = bounded = 0
    for row, other in zip(ours[1], theirs[1], strict=True):
        lowest = min(logprobs(row))
        for mine, exact in zip(logprobs(row), logprobs(other), strict=True):
            if mine == lowest and exact < mine - 1e-3:  # not among the likeliest tokens
                bounded += 1
            else:
                assert mine == pytest.approx(exact, abs=1e-3)
                seen += 1
        assert row["answer"] == other["answer"]
    print(f"{seen} letters equal, {bounded} within their bounds")
    assert seen > 0.8 * ROWS * 4
    for key in ("acc,none", "consistency,none", "ac3,none"):
        assert ours[0][key] == pytest.approx(theirs[0][key])


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_letters_are_those_of_crossin_vllm(served: dict[Any, Results], engine: Any, repo: Path, chat: bool) -> None:
    assert_same_letters(served["letters", chat], evaluate(engine, repo, "crossin_mini", chat))


def test_letters_are_those_of_local_completions(served: dict[Any, Results]) -> None:
    assert_same_letters(served["letters", False], served["letters", "local"])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_thoughts_are_set_aside_and_cut_ones_counted(served: dict[Any, Results], prompt: str) -> None:
    scores, rows = served[prompt, True]
    texts = [row["resps"][0][0] for row in rows]
    cut = [row["finish"] == "length" and "</think>" not in text for row, text in zip(rows, texts, strict=True)]
    closed = 0
    for row, text, is_cut in zip(rows, texts, cut, strict=True):
        thought, mark, answer = text.rpartition("</think>")
        if mark:
            closed += 1
            read = read_answer(answer, row["doc"]["options"], row["doc"]["language"])
            assert row["answer"] == (None if read is None else row["doc"]["order"][read])
            assert row["thought"] >= len(thought)
        if is_cut:
            assert (row["answer"], row["rule"]) == (None, "cut")
    unread = [row["finish"] == "length" and row["answer"] is None for row in rows]
    assert scores["n_cut,none"] == sum(unread) >= sum(cut)
    assert closed > 0


@pytest.mark.parametrize("prompt", PROMPTS)
def test_without_thoughts_only_what_is_unanswered_is_cut(served: dict[Any, Results], prompt: str) -> None:
    scores, rows = served[prompt, False]
    assert not any("<think>" in row["resps"][0][0] for row in rows)
    assert scores["n_cut,none"] == sum(row["finish"] == "length" and row["answer"] is None for row in rows)
    assert {row["finish"] for row in rows} <= {"length", "stop"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(("p1", True), ("chat", True, "local")), (("p1", False), ("chat", False, "local")), ("plain", ("plain", "local"))],
)
def test_the_harness_own_models_give_the_same_answers_and_cuts(
    served: dict[Any, Results], ours: Any, theirs: Any
) -> None:
    """They do not say why an output ended: what was cut is counted in tokens."""
    same = 0
    for row, other in zip(served[ours][1], served[theirs][1], strict=True):
        if row["resps"] == other["resps"]:  # greedy, but the batches differ
            same += 1
            assert (row["answer"], row["rule"]) == (other["answer"], other["rule"]), row["resps"]
    print(f"{same} of {ROWS} outputs alike")
    assert same > 0.6 * ROWS
    assert served[theirs][0]["n_cut,none"] == sum(row["rule"] == "cut" for row in served[theirs][1])
