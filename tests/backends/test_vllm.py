"""crossin-vllm gives what the stock model gives, on a real vLLM; one engine serves all tests but the last."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM

from crossin_metrics.errors import CrossinError
from tests.conftest import REPO

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: its backend is not tested"),
]

LIMIT = 256  # max_model_len, short enough that a few rows pass it


@pytest.fixture(scope="module")
def checkpoint() -> str:
    from crossin_metrics.demo_model import demo_model

    return str(demo_model())


@pytest.fixture(scope="module")
def adapter(checkpoint, tmp_path_factory) -> Path:
    """A LoRA adapter with random weights, strong enough to change answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    config = LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(base, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(checkpoint, adapter):
    """The one engine: float32, adapters possible, the plain model unless a test sets `lora_request`."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from crossin_metrics.backends.vllm import CrossinVLLM

    lm = CrossinVLLM(
        checkpoint,
        dtype="float32",
        max_model_len=LIMIT,
        enforce_eager=True,
        lora_local_path=str(adapter),
        batch_size="auto",
    )
    lm.adapter_request, lm.lora_request = lm.lora_request, None
    yield lm
    lm.model.llm_engine.engine_core.shutdown()


@pytest.fixture
def lm(engine):
    engine.model.reset_prefix_cache()
    yield engine
    engine.lora_request = None


def instances(pairs: list[tuple[str, str]]) -> list[Instance]:
    return [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]


def stock(lm, requests: list[Instance]) -> list[tuple[float, bool]]:
    """What `--model vllm` answers, from the same engine."""
    from crossin_metrics.backends.vllm import VLLM

    own = type(lm)._loglikelihood_tokens
    type(lm)._loglikelihood_tokens = VLLM._loglikelihood_tokens
    try:
        return VLLM.loglikelihood(lm, requests, disable_tqdm=True)
    finally:
        type(lm)._loglikelihood_tokens = own


def assert_same(ours: list, theirs: list, within: float = 1e-3) -> None:
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a[0] == pytest.approx(b[0], abs=within), number
        assert bool(a[1]) is bool(b[1]), number


def test_workers_are_told_to_keep_few_shapes(engine):
    """They inherit it when the engine starts; `bench_memory.py` shows what it saves."""
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"


PASSAGE = "The museum by the harbour opens at nine and closes at five, but on Mondays it stays shut all day. " * 2
SHAPES = {
    "letters": [
        (f"Question: {q}\nA. red\nB. seven\nC. Paris\nD. water\nAnswer:", f" {letter}")
        for q in ("What is the capital of France?", "How many days has a week?", "法国的首都是哪里？")
        for letter in "ABCD"
    ],
    "several tokens, shared passage": [
        (f"{PASSAGE}\nQuestion: {q}\nAnswer:", f" {option}")
        for q in ("When does the museum open?", "Where is it?")
        for option in ("at nine", "at five", "by the harbour", "on Mondays", "nine")
    ],
    "greedy": [("The capital of France is", f" {w}") for w in ("Paris", "Paris.", "London", "the", "a", "Paris,")],
    "greedy after a shared beginning": [
        ("1, 2, 3, 4, 5, 6, 7,", option)
        for option in (" 8, 9, 10", " 8, 9, 11", " 8, 1", " 9, 10", " 8", " 8,", " 7, 9")
    ],
    "past the limit": [(PASSAGE * 8, " A"), (PASSAGE * 8, " on Mondays"), (PASSAGE, " A")],
    "empty context": [("", "Paris"), ("", "The capital of France")],
    "the same request twice": [("One two three", " four"), ("One two three", " four"), ("One two", " three four")],
    "more options than one request may ask for": [("A number:", f" {chr(0x4E00 + 7 * n)}") for n in range(150)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_same_as_stock(lm, shape):
    requests = instances(SHAPES[shape])
    assert_same(lm.loglikelihood(requests, disable_tqdm=True), stock(lm, requests))


def test_mixed_and_again_from_a_warm_prefix_cache(lm):
    requests = instances([pair for pairs in SHAPES.values() for pair in pairs[:6]])
    first = lm.loglikelihood(requests, disable_tqdm=True)
    assert_same(first, stock(lm, requests))
    assert_same(lm.loglikelihood(requests, disable_tqdm=True), first)
    assert any(greedy for _, greedy in first)
    assert not all(greedy for _, greedy in first)


def test_letters_of_a_question_are_one_request(lm, monkeypatch):
    sent = []
    generate = lm._model_generate
    monkeypatch.setattr(lm, "_model_generate", lambda requests, **k: sent.append(requests) or generate(requests, **k))
    lm.loglikelihood(instances(SHAPES["letters"]), disable_tqdm=True)
    assert [len(requests) for requests in sent] == [3]


def test_options_that_begin_alike_are_computed_once(lm, monkeypatch):
    """Each place of the tree of options is generated once, whatever the number of options that pass it."""
    options = (" a red house on the hill", " a red house by the sea", " a red horse", " a", " the sea", " a red house")
    pairs = [("In the picture there is", option) for option in options]
    sent = []
    generate = lm._model_generate

    def counting(requests, sampling_params, **kwargs):
        sent.append(sum(params.max_tokens for params in sampling_params))
        return generate(requests, sampling_params=sampling_params, **kwargs)

    monkeypatch.setattr(lm, "_model_generate", counting)
    ours = lm.loglikelihood(instances(pairs), disable_tqdm=True)
    monkeypatch.setattr(lm, "_model_generate", generate)
    assert_same(ours, stock(lm, instances(pairs)))
    encoded = [lm.tokenizer.encode(context + option) for context, option in pairs]
    start = len(lm.tokenizer.encode(pairs[0][0]))
    assert sent[0] == len({tuple(ids[:i]) for ids in encoded for i in range(start, len(ids))})


def test_adapter(lm):
    requests = instances(SHAPES["letters"] + SHAPES["several tokens, shared passage"])
    plain = lm.loglikelihood(requests, disable_tqdm=True)
    lm.lora_request = lm.adapter_request
    lm.model.reset_prefix_cache()
    adapted = lm.loglikelihood(requests, disable_tqdm=True)
    assert_same(adapted, stock(lm, requests))
    assert max(abs(a[0] - b[0]) for a, b in zip(adapted, plain, strict=True)) > 0.1


def test_same_as_crossin_hf(lm, checkpoint):
    """Two engines, one model: float32 answers agree to the accuracy of their different kernels."""
    from crossin_metrics.backends.hf import CrossinHF

    requests = instances(SHAPES["letters"] + SHAPES["several tokens, shared passage"])
    other = CrossinHF(checkpoint, dtype="float32", device="cpu", batch_size=1)
    assert_same(lm.loglikelihood(requests, disable_tqdm=True), other.loglikelihood(requests, disable_tqdm=True), 0.01)


def test_use_cache(lm, tmp_path, monkeypatch):
    requests = instances(SHAPES["letters"])
    first = CachingLM(lm, str(tmp_path / "cache.db")).loglikelihood(requests)
    monkeypatch.setattr(lm, "_model_generate", None)  # nothing may be computed any more
    assert_same(CachingLM(lm, str(tmp_path / "cache.db")).loglikelihood(requests), first)


ROWS = [(f"{n} + {n + 1} =", f" {option}") for n in range(200) for option in (2 * n, 2 * n + 1)]


def keep_asked(lm, asked: Path, kill_after: int = 0) -> None:
    """Write down what each chunk of 256 tokens asks; SIGKILL before the answers of chunk `kill_after` are kept."""
    from crossin_metrics.backends import vllm

    vllm.CHUNK, kept, keep = 256, 0, lm._keep

    def keeping(answered) -> None:
        nonlocal kept
        kept += 1
        if kept == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        with asked.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(key) + "\n" for key, _ in answered)
        keep(answered)

    lm._keep = keeping


def killed_run(checkpoint: str, folder: Path) -> None:
    """Ask all rows with an engine of its own, until the process is killed."""
    from crossin_metrics.backends.vllm import CrossinVLLM

    made = CrossinVLLM(checkpoint, dtype="float32", max_model_len=LIMIT, enforce_eager=True)
    (folder / "children").write_text(" ".join(str(p.pid) for p in psutil.Process().children(recursive=True)))
    keep_asked(made, folder / "before.jsonl", kill_after=4)
    CachingLM(made, str(folder / "cache.db")).loglikelihood(instances(ROWS))


def test_a_killed_run_resumes(lm, checkpoint, tmp_path, monkeypatch):
    """What was answered before a kill is not asked again."""
    from crossin_metrics.backends import vllm

    code = "import sys; from pathlib import Path; from tests.backends.test_vllm import killed_run; "
    code += "killed_run(sys.argv[1], Path(sys.argv[2]))"
    command, log = [sys.executable, "-c", code, checkpoint, str(tmp_path)], tmp_path / "log"
    with log.open("wb") as file:  # not a pipe: vLLM's engine outlives a killed run and would keep it open
        done = subprocess.run(command, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}, stderr=file, timeout=600)
    for pid in (tmp_path / "children").read_text().split():
        if psutil.pid_exists(int(pid)):
            psutil.Process(int(pid)).kill()
    said = log.read_text(encoding="utf-8", errors="replace")
    assert done.returncode == -signal.SIGKILL, said[-3000:]
    assert re.search(r"Scoring options: .* \d+/400 \[.*<", said)  # how much is done, and the time left

    expected = lm.loglikelihood(instances(ROWS), disable_tqdm=True)
    monkeypatch.setattr(lm, "_keep", lm._keep)  # undone at the end, as is
    monkeypatch.setattr(vllm, "CHUNK", vllm.CHUNK)
    keep_asked(lm, tmp_path / "after.jsonl")
    assert_same(CachingLM(lm, str(tmp_path / "cache.db")).loglikelihood(instances(ROWS)), expected)
    before, after = ((tmp_path / name).read_text().splitlines() for name in ("before.jsonl", "after.jsonl"))
    assert 100 < len(before) < 400
    assert sorted(before + after) == sorted(json.dumps(pair) for pair in ROWS)


def test_perplexity_and_generation_work(lm):
    text = Instance("loglikelihood_rolling", {}, (PASSAGE,), 0)
    (total,) = lm.loglikelihood_rolling([text], disable_tqdm=True)
    assert -400 < total < -50
    prompt = Instance("generate_until", {}, ("1, 2, 3, 4, 5, 6, 7,", {"until": ["\n"], "max_gen_toks": 4}), 0)
    assert "8" in lm.generate_until([prompt], disable_tqdm=True)[0]


TASK = """
task: tiny_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list:
  - metric: acc
  - metric: acc_norm
"""


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat template"])
def test_a_task_of_the_harness(lm, tmp_path, monkeypatch, chat):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from crossin_metrics.backends.vllm import VLLM, CrossinVLLM

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [
        {"question": "What is the capital of France?", "choices": ["Paris", "New York", "Rome"], "gold": 0},
        {"question": "How many days has a week?", "choices": ["two", "seven", "twenty-two"], "gold": 1},
    ]
    file = tmp_path / "rows.json"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (tmp_path / "tiny_choices.yaml").write_text(TASK.format(file=file), encoding="utf-8")
    if chat:
        monkeypatch.setattr(lm.tokenizer, "chat_template", "{% for m in messages %}<{{ m.content }}>{% endfor %}")
        monkeypatch.setattr(lm, "hf_chat_template", lm.tokenizer.chat_template)

    def run():
        return simple_evaluate(
            model=lm,
            tasks=["tiny_choices"],
            task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
            apply_chat_template=chat,
            bootstrap_iters=0,
        )

    ours = run()
    monkeypatch.setattr(CrossinVLLM, "_loglikelihood_tokens", VLLM._loglikelihood_tokens)
    theirs = run()
    assert ours["results"] == theirs["results"]
    for a, b in zip(ours["samples"]["tiny_choices"], theirs["samples"]["tiny_choices"], strict=True):
        assert a["arguments"] == b["arguments"]
        assert_same([r[0] for r in a["resps"]], [r[0] for r in b["resps"]])


def test_adapters_vllm_cannot_serve(checkpoint, adapter, tmp_path):
    """Refused before anything is loaded."""
    from crossin_metrics.backends.vllm import CrossinVLLM

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    for change, message in (
        ({"r": 64}, "rank 64, above max_lora_rank=16; set max_lora_rank=64"),
        ({"modules_to_save": ["embed_tokens", "lm_head"]}, "merge_adapter"),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
        with pytest.raises(CrossinError, match=message):
            CrossinVLLM(checkpoint, lora_local_path=str(tmp_path))


def test_the_command_line(checkpoint, tmp_path):
    """`crossin eval --model crossin-vllm`, a process and an engine of its own."""
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "crossin_metrics.cli", "eval", "--tasks", "crossin_mini", "--limit", "4"]
    command += ["--model", "crossin-vllm", "--output_path", str(tmp_path), "--log_samples", "--model_args"]
    command += [f"pretrained={checkpoint},dtype=bfloat16,max_model_len=512,enforce_eager=True"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = tmp_path.rglob("results_*.json")
    scores = json.loads(results.read_text(encoding="utf-8"))["results"]["crossin_mini"]
    assert "acc,none" in scores
    assert scores["n_tied,none"] == 0
    (samples,) = tmp_path.rglob("samples_*.jsonl")
    rows = [json.loads(line)["filtered_resps"] for line in samples.read_text(encoding="utf-8").splitlines()]
    gaps = np.array([float(option[0]) - float(row[0][0]) for row in rows for option in row[1:]])
    # Logits of bfloat16 are multiples of 1/64 above 1: differences of options would be, too.
    assert not np.allclose(64 * gaps, np.round(64 * gaps), atol=1e-2)


def test_on_a_cpu_the_engine_sleeps_as_soon_as_it_waits(monkeypatch):
    """vLLM's own readers poll for a second first."""
    import zmq
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    from crossin_metrics.backends import engines
    from crossin_metrics.backends.vllm import on_cpu

    if not on_cpu():
        pytest.skip("elsewhere a step is too short for sleeping")
    monkeypatch.setattr(SpinCondition, "__init__", SpinCondition.__init__)  # restored afterwards
    polls = []
    for change in (lambda: None, engines.sleep_at_once_on_a_cpu):
        change()
        condition = SpinCondition(is_reader=True, context=zmq.Context.instance(), notify_address="inproc://nobody")
        polls.append(condition.busy_loop_s)
    assert polls == [1, 0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_head_in_pieces_gives_vllms_logits(monkeypatch, dtype, with_bias):
    """bfloat16 heads are cast in pieces, the last one smaller; float16 ones in vLLM's own way."""
    import torch
    from vllm.model_executor.layers.logits_processor import LogitsProcessor
    from vllm.model_executor.layers.vocab_parallel_embedding import UnquantizedEmbeddingMethod

    from crossin_metrics.backends import heads

    sizes = []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, out: sizes.append(b.shape[1]) or mm(a, b, out=out))
    monkeypatch.setattr(LogitsProcessor, "_apply_head", LogitsProcessor._apply_head)  # put back at the end
    heads.cast_heads_in_pieces()
    monkeypatch.setattr(heads, "PIECE", 64 * 40 // torch.get_num_threads())
    torch.manual_seed(0)
    weight, hidden, bias = (torch.randn(*shape).to(getattr(torch, dtype)) for shape in ((100, 64), (7, 64), (100,)))
    head = SimpleNamespace(weight=weight, quant_method=UnquantizedEmbeddingMethod())
    processor = SimpleNamespace(head_dtype=torch.float32)
    bias = bias if with_bias else None
    found = LogitsProcessor._apply_head(processor, head, hidden, bias)
    expected = torch.nn.functional.linear(hidden.float(), weight.float(), bias if bias is None else bias.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert sizes == ([40, 40, 20] if dtype == "bfloat16" else [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a process when its parent ends")
def test_the_engine_ends_with_a_killed_client(checkpoint, tmp_path):
    """SIGKILL while rows are asked: neither the engine nor a worker lives on."""
    code = f"""
import sys
if __name__ == "__main__":
    from crossin_metrics.backends.vllm import CrossinVLLM
    CrossinVLLM({checkpoint!r}, dtype="bfloat16", max_model_len=128, enforce_eager=True)
    print("ready", flush=True)
    sys.stdin.read()
"""
    script = tmp_path / "client.py"
    script.write_text(code)
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPO)}
    with (
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(script)], env=environment, stdin=-1, stdout=-1, stderr=errors, text=True
        ) as client,
    ):
        assert client.stdout is not None
        ready = any(line == "ready\n" for line in client.stdout)
        started = psutil.Process(client.pid).children(recursive=True) if ready else []
        client.kill()
    assert ready, (tmp_path / "errors").read_text()[-3000:]
    assert started  # the engine, its worker, multiprocessing's resource tracker
    _, alive = psutil.wait_procs(started, timeout=60)
    for process in alive:
        process.kill()
    assert alive == []
