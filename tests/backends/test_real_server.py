"""A real `vllm serve` with a small chat model: letters as crossin-vllm scores them, thoughts on and off, cut counts.

The server runs first and is stopped before the engine of crossin-vllm starts: a small machine has room for one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
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
TOLERANCE = 5e-4  # two processes that batch differently, in float32; below 1e-4 was seen
PROMPTS = ["p1", "p2", "p3", "p4", "p5", "native"]
BUDGET = 32  # tokens: enough for most thoughts of this model, not for all
GREEDY = {"temperature": 0, "max_gen_toks": BUDGET}
LIMIT = {"crossin_mini": 16, "crossin_mini_gen": 8}  # rows
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
        model=model, tasks=[task], task_manager=manager, limit=LIMIT[task], apply_chat_template=chat, bootstrap_iters=0,
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
        str(LIMIT[task]),
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
def server(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ExitStack]]:
    """The API's address, and what stops the server."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    template = folder / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    extra = ("--dtype", "float32", "--chat-template", str(template))
    with ExitStack() as running:
        running.enter_context(vllm_server(checkpoint, port, folder, LENGTH, extra))
        yield f"http://127.0.0.1:{port}/v1", running


@pytest.fixture(scope="module")
def local(server: tuple[str, ExitStack], checkpoint: str) -> str:
    """Arguments of the harness's local-completions."""
    return f"base_url={server[0]}/completions,model=gemma,num_concurrent=8,tokenizer={checkpoint}"


@pytest.fixture(scope="module")
def letters(server: tuple[str, ExitStack], local: str, repo: Path, tmp_path_factory: Any) -> dict[Any, Results]:
    model = CrossinAPI(base_url=server[0], model="gemma")
    found = {chat: evaluate(model, repo, "crossin_mini", chat) for chat in (False, True)}
    folder = tmp_path_factory.mktemp("letters")
    return found | {"local": command(folder, "local-completions", local, "crossin_mini")}


@pytest.fixture(scope="module")
def texts(server: tuple[str, ExitStack], repo: Path) -> dict[Any, Results]:
    """What crossin-api generates: with every prompt, thinking and not, and without the chat template."""
    model, task = CrossinAPI(base_url=server[0], model="gemma"), "crossin_mini_gen"
    found: dict[Any, Results] = {
        (prompt, thinking): evaluate(model, repo, task, True, GREEDY, prompt=prompt, enable_thinking=thinking)
        for prompt in PROMPTS
        for thinking in (True, False)
    }
    return found | {"plain": evaluate(model, repo, task, False, GREEDY)}


@pytest.fixture(scope="module")
def engine(letters: dict[Any, Results], server: tuple[str, ExitStack], checkpoint: str) -> Iterator[Any]:
    """crossin-vllm in this process, once the server is stopped."""
    server[1].close()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from crossin_metrics.backends.vllm import CrossinVLLM

    lm = CrossinVLLM(checkpoint, dtype="float32", max_model_len=LENGTH, enforce_eager=True)
    yield lm
    lm.model.llm_engine.engine_core.shutdown()


def logprobs(row: dict[str, Any]) -> list[float]:
    return [float(logprob) for logprob, _ in row["filtered_resps"]]


def assert_same_letters(ours: Results, theirs: Results, chat: bool = False) -> None:
    """Letters seen have the same log-probabilities, the others lower ones than their bounds; picks are the same.

    The harness counts the newline that ends a chat prompt to the option ("\\nA"), as it does with all trailing blanks;
    a server scores the letter alone. So a row's letters all differ by that newline's log-probability.
    """
    seen = bounded = 0
    for row, other in zip(ours[1], theirs[1], strict=True):
        mine, exact = logprobs(row), logprobs(other)
        newline = max(exact) - max(mine) if chat else 0.0
        assert -0.05 < newline < TOLERANCE
        for ours_one, theirs_one in zip(mine, exact, strict=True):
            if ours_one == min(mine) and theirs_one - newline < ours_one - 1e-3:  # not among the likeliest tokens
                bounded += 1
            else:
                assert theirs_one - newline == pytest.approx(ours_one, abs=TOLERANCE)
                seen += 1
        assert row["answer"] == other["answer"]
    print(f"{seen} letters equal, {bounded} within their bounds")
    assert seen > 0.8 * (seen + bounded)
    for key in ("acc,none", "consistency,none", "ac3,none"):
        assert ours[0][key] == pytest.approx(theirs[0][key])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_thoughts_are_set_aside_and_cut_ones_counted(texts: dict[Any, Results], prompt: str) -> None:
    scores, rows = texts[prompt, True]
    outputs = [row["resps"][0][0] for row in rows]
    cut = [row["finish"] == "length" and "</think>" not in text for row, text in zip(rows, outputs, strict=True)]
    closed = 0
    for row, text, is_cut in zip(rows, outputs, cut, strict=True):
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
def test_without_thoughts_only_what_is_unanswered_is_cut(texts: dict[Any, Results], prompt: str) -> None:
    scores, rows = texts[prompt, False]
    assert not any("<think>" in row["resps"][0][0] for row in rows)
    assert scores["n_cut,none"] == sum(row["finish"] == "length" and row["answer"] is None for row in rows)
    assert {row["finish"] for row in rows} <= {"length", "stop"}


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "not thinking"])
def test_local_chat_completions_gives_the_same_answers_and_cuts(
    texts: dict[Any, Results], server: tuple[str, ExitStack], checkpoint: str, tmp_path: Path, thinking: bool
) -> None:
    arguments = f"base_url={server[0]}/chat/completions,model=gemma,num_concurrent=8,tokenizer={checkpoint}"
    theirs = command(
        tmp_path, "local-chat-completions", arguments, "crossin_mini_gen", "--apply_chat_template",
        "--gen_kwargs", f"temperature=0,max_gen_toks={BUDGET}",
        "--metadata", json.dumps({"enable_thinking": thinking}),
    )  # fmt: skip
    assert_same_texts(texts["p1", thinking], theirs)


def test_local_completions_gives_the_same_answers_and_cuts(
    texts: dict[Any, Results], local: str, tmp_path: Path
) -> None:
    budget = f"max_gen_toks={BUDGET}"
    assert_same_texts(
        texts["plain"], command(tmp_path, "local-completions", local, "crossin_mini_gen", "--gen_kwargs", budget)
    )


def assert_same_texts(ours: Results, theirs: Results) -> None:
    """The harness's models do not say why an output ended: what was cut is counted in tokens."""
    same = 0
    for row, other in zip(ours[1], theirs[1], strict=True):
        if row["resps"] == other["resps"]:  # greedy, but the batches differ
            same += 1
            assert (row["answer"], row["rule"]) == (other["answer"], other["rule"]), row["resps"]
    print(f"{same} of {len(ours[1])} outputs alike")
    assert same > 0.6 * len(ours[1])
    assert theirs[0]["n_cut,none"] == sum(row["rule"] == "cut" for row in theirs[1])


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_letters_are_those_of_crossin_vllm(letters: dict[Any, Results], engine: Any, repo: Path, chat: bool) -> None:
    assert_same_letters(letters[chat], evaluate(engine, repo, "crossin_mini", chat), chat)


def test_letters_are_those_of_local_completions(letters: dict[Any, Results]) -> None:
    assert_same_letters(letters[False], letters["local"])
