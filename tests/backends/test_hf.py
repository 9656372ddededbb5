"""crossin-hf gives what the stock model gives, and takes the stock way where it must."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from crossin_metrics.backends.hf import CrossinHF
from crossin_metrics.errors import CrossinError
from tests.backends import tiny

SHAPES = [
    "letters",
    "several tokens",
    "shared passage",
    "past the limit",
    "empty context",
    "repeated",
    "one prompt continues another",
    "mixed",
]
PACKED = ["gemma3", "gemma2", "llama", "mistral", "gpt2"]


@pytest.fixture(scope="module")
def models() -> dict[str, torch.nn.Module]:
    return {}


@pytest.fixture
def build(models):
    """(family, arguments) -> crossin-hf and stock hf around one and the same model."""

    def make(kind: str, **kwargs) -> tuple[CrossinHF, HFLM]:
        made = models.setdefault(kind, tiny.model(kind))
        words = tiny.tokenizer()
        kwargs = {"batch_size": 3, "max_length": 160, **kwargs}
        stock = {key: value for key, value in kwargs.items() if key != "pack_tokens"}
        return CrossinHF(made, tokenizer=words, **kwargs), HFLM(made, tokenizer=words, **stock)

    return make


def assert_same(ours: list, theirs: list) -> None:
    assert len(ours) == len(theirs)
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a[0] == pytest.approx(b[0], abs=1e-3), number
        assert a[1] is b[1], number


def test_options_of_a_bfloat16_model_do_not_tie():
    made = tiny.model("llama").bfloat16()
    words = [token for token in tiny.tokenizer().get_vocab() if token.startswith(" ")]
    requests = [Instance("loglikelihood", {}, ("A B C Q:", word), 0) for word in words]
    arguments = {"tokenizer": tiny.tokenizer(), "batch_size": 3, "max_length": 160}
    ours = CrossinHF(made, **arguments)
    values = [value for value, _ in ours.loglikelihood(requests)]
    rounded = [v for v, _ in HFLM(made, softmax_dtype="float32", **arguments).loglikelihood(requests)]
    assert ours._why_stock is None
    assert len(set(values)) == len(words) > len(set(rounded))  # the stock model's logits tie
    assert values == pytest.approx(rounded, rel=0.02, abs=0.06)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", PACKED)
def test_same_as_stock(build, requests_by_shape, kind, shape):
    ours, theirs = build(kind)
    requests = requests_by_shape[shape]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))
    assert ours._why_stock is None  # it did go the packed way


def test_the_models_tell_options_apart(build, requests_by_shape):
    """The comparison above means something: answers differ, and some options are the greedy ones."""
    ours, _ = build("gemma3")
    context = requests_by_shape["letters"][0].args[0]
    words = [token for token in tiny.tokenizer().get_vocab() if token not in ("<s>", "</s>", "<pad>", "<unk>")]
    answers = ours.loglikelihood([Instance("loglikelihood", {}, (context, word), 0) for word in words])
    assert max(a for a, _ in answers) - min(a for a, _ in answers) > 1
    assert sum(greedy for _, greedy in answers) == 1


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_small_packs_carry_what_they_share(build, requests_by_shape, attention, monkeypatch):
    """Packs of a few tokens go on from the keys and values of the pack before."""
    from crossin_metrics.backends import hf

    monkeypatch.setattr(hf, "PACK_ROWS", 6)
    ours, theirs = build("gemma3", pack_tokens=24)
    ours._block = 7  # blocks of queries that cut across prompts
    before = ours.model.config._attn_implementation
    ours.model.set_attn_implementation(attention)
    carried = []
    forward = ours._forward

    def counting(pack, past, keep):
        carried.append(len(pack.past))
        return forward(pack, past, keep)

    try:
        ours._packs_work()  # tried before counting begins
        monkeypatch.setattr(ours, "_forward", counting)
        for shape in ("shared passage", "mixed"):
            requests = requests_by_shape[shape]
            assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))
    finally:
        ours.model.set_attn_implementation(before)
    assert max(carried) >= 40


@pytest.mark.parametrize("batch_size", [1, 3, "auto:2"])
def test_batch_sizes(build, requests_by_shape, batch_size):
    ours, theirs = build("llama", batch_size=batch_size, max_batch_size=4)
    requests = requests_by_shape["mixed"]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_side_of_the_tokenizer_does_not_matter(build, requests_by_shape, side):
    ours, theirs = build("gemma3")
    ours.tokenizer.padding_side = theirs.tokenizer.padding_side = side
    requests = requests_by_shape["several tokens"]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))


@pytest.mark.parametrize(
    ("kind", "reason"), [("t5", "encoder-decoder"), ("bloom", "position_ids")], ids=["encoder-decoder", "alibi"]
)
def test_models_that_cannot_be_packed_go_the_stock_way(build, requests_by_shape, kind, reason):
    ours, theirs = build(kind)
    requests = requests_by_shape["shared passage"] + requests_by_shape["letters"]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))
    assert reason in ours._why_stock


def test_a_model_that_ignores_the_mask_is_found_out(build, requests_by_shape, monkeypatch):
    ours, theirs = build("llama")
    monkeypatch.setattr(ours, "_mask", lambda pack: None)  # plain causal attention over the pack
    requests = requests_by_shape["letters"]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))
    assert "differ" in ours._why_stock


def test_only_what_cannot_be_packed_goes_the_stock_way(build, requests_by_shape, monkeypatch):
    ours, _ = build("llama")
    seen = []
    stock = HFLM._loglikelihood_tokens
    monkeypatch.setattr(
        HFLM, "_loglikelihood_tokens", lambda self, requests, **k: seen.extend(requests) or stock(self, requests, **k)
    )
    ours.loglikelihood(requests_by_shape["letters"] + requests_by_shape["past the limit"])
    assert len(seen) == 4  # the other four just fit
    assert all(len(context) + len(option) > 161 for _, context, option in seen)


def test_memory_runs_out(build, requests_by_shape, monkeypatch):
    ours, theirs = build("llama")
    ours._packs_work()
    forward = ours._forward
    sizes = []

    def scarce(pack, past, keep):
        if len(pack.tokens) > 150:
            raise torch.OutOfMemoryError("no room")
        sizes.append(len(pack.tokens))
        return forward(pack, past, keep)

    monkeypatch.setattr(ours, "_forward", scarce)
    requests = requests_by_shape["shared passage"] + requests_by_shape["letters"]
    assert_same(ours.loglikelihood(requests), theirs.loglikelihood(requests))
    assert len(sizes) > 1


def test_perplexity_and_generation_are_the_stock_ones(build, requests_by_shape):
    ours, theirs = build("gemma3")
    texts = [Instance("loglikelihood_rolling", {}, (r.args[0],), 0) for r in requests_by_shape["letters"][::4]]
    assert ours.loglikelihood_rolling(texts) == pytest.approx(theirs.loglikelihood_rolling(texts), abs=1e-3)
    prompts = [
        Instance("generate_until", {}, (r.args[0], {"until": ["\n"], "max_gen_toks": 6}), 0)
        for r in requests_by_shape["letters"][::8]
    ]
    ours.loglikelihood(requests_by_shape["letters"])  # scoring leaves the model as it was
    assert ours.generate_until(prompts) == theirs.generate_until(prompts)


def test_use_cache_serves_every_answer_again(build, requests_by_shape, tmp_path, monkeypatch):
    ours, theirs = build("gemma3")
    requests = requests_by_shape["mixed"]
    expected = theirs.loglikelihood(requests)
    assert_same(CachingLM(ours, str(tmp_path / "cache.db")).loglikelihood(requests), expected)
    monkeypatch.setattr(ours, "_forward", None)  # nothing may be computed any more
    again = CachingLM(ours, str(tmp_path / "cache.db")).loglikelihood(requests)
    assert_same([(a, bool(b)) for a, b in again], expected)


def test_answers_reach_the_cache_while_the_run_goes_on(build, requests_by_shape, tmp_path, monkeypatch):
    """A run that is stopped loses only the pack at hand."""
    ours, _ = build("llama", pack_tokens=64)
    ours._packs_work()
    cached = CachingLM(ours, str(tmp_path / "cache.db"))
    forward, calls = ours._forward, []

    def stopping(pack, past, keep):
        calls.append(pack)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(pack, past, keep)

    monkeypatch.setattr(ours, "_forward", stopping)
    with pytest.raises(KeyboardInterrupt):
        cached.loglikelihood(requests_by_shape["letters"])
    cached.dbdict.commit()
    assert len(cached.dbdict) == sum(len({n for n, _, _ in pack.targets}) for pack in calls[:2]) > 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint folder of the tiny llama, with an adapter beside it."""
    from peft import LoraConfig, get_peft_model

    root = tmp_path_factory.mktemp("checkpoints")
    tiny.model("llama").save_pretrained(root / "model")
    tiny.tokenizer().save_pretrained(root / "model")
    torch.manual_seed(1)
    adapted = get_peft_model(tiny.model("llama"), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(root / "adapter")
    return root


def test_adapter(folder, requests_by_shape):
    arguments = {"pretrained": str(folder / "model"), "device": "cpu", "dtype": "float32", "batch_size": 2}
    requests = requests_by_shape["mixed"]
    plain = CrossinHF(**arguments).loglikelihood(requests)
    ours = CrossinHF(**arguments, peft=str(folder / "adapter"))
    answers = ours.loglikelihood(requests)
    assert ours._why_stock is None
    assert_same(answers, HFLM(**arguments, peft=str(folder / "adapter")).loglikelihood(requests))
    assert max(abs(a[0] - b[0]) for a, b in zip(answers, plain, strict=True)) > 0.1


TASK = """
task: tiny_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{passage}}}}\\nQ:{{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_mutual_info
"""


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat template"])
def test_a_task_of_the_harness(build, requests_by_shape, tmp_path, chat, monkeypatch):
    """Any multiple-choice task: whole options, mutual information (empty contexts), chat template."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [
        {"passage": request.args[0], "question": f" {n}", "choices": ["Bob", "ka ke", "A", "ki"], "gold": n % 4}
        for n, request in enumerate(requests_by_shape["letters"][::3])
    ]
    file = tmp_path / "rows.json"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (tmp_path / "tiny_choices.yaml").write_text(TASK.format(file=file), encoding="utf-8")
    results = []
    for lm in build("gemma3"):
        run = simple_evaluate(
            model=lm,
            tasks=["tiny_choices"],
            task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
            apply_chat_template=chat,
            bootstrap_iters=0,
        )
        results.append(run)
    ours, theirs = results
    assert ours["results"] == theirs["results"]
    for a, b in zip(ours["samples"]["tiny_choices"], theirs["samples"]["tiny_choices"], strict=True):
        assert a["arguments"] == b["arguments"]
        assert_same([tuple(r[0]) for r in a["resps"]], [tuple(r[0]) for r in b["resps"]])


def test_wrong_folders_are_refused(folder):
    with pytest.raises(CrossinError, match="no such model folder"):
        CrossinHF(str(folder / "absent"), device="cpu")
    with pytest.raises(CrossinError, match=r"is an adapter.*peft="):
        CrossinHF(str(folder / "adapter"), device="cpu")
    with pytest.raises(CrossinError, match=r"adapter_config\.json is missing"):
        CrossinHF(str(folder / "model"), device="cpu", peft=str(folder / "model"))


def test_broken_config(tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"config\.json"):
        CrossinHF(str(tmp_path), device="cpu")


def test_unknown_hub_name(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CrossinError, match="cannot load the model") as caught:
        CrossinHF("nobody-here/no-such-model-at-all", device="cpu")
    assert "\n" not in str(caught.value)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_log_softmax_of_some_tokens_is_that_of_all(dtype):
    """Also where logits tie, rows repeat and rows are not asked for."""
    from crossin_metrics.backends.hf import log_softmax_at

    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(37, 500, generator=generator)).to(dtype)
    logits[:20, 17] = logits[:20, 400] = logits[:20].amax(dim=-1)
    rows = torch.randint(0, 36, (300,), generator=generator)
    tokens = torch.randint(0, 500, (300,), generator=generator)
    tokens[:60], tokens[60:90], tokens[90:120] = logits[rows[:60]].argmax(dim=-1), 17, 400
    whole = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    chosen, greedy = log_softmax_at(logits, rows, tokens, torch.float32)
    assert torch.equal(chosen, whole[rows, tokens])
    first = [int((row == row.max()).nonzero()[0]) for row in logits]
    assert greedy == [token == first[row] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)]
    assert 60 <= sum(greedy) < 300
