"""A letter is scored where a model would say it: one BOS, no stray space, one token, in every kind of tokenizer.

The kinds: Gemma (sentencepiece-like, adds BOS), SmolLM2 (Llama architecture, byte-level BPE, no BOS added) and a
GPT-2-like byte-level BPE trained here; each with and without a chat template. The requests are those that the harness
builds, encoded by the harness's own HFLM.
"""

from __future__ import annotations

from typing import Any

import pytest

GEMMA_CHAT = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _gpt2_like() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from crossin_metrics.sets.loading import load_parallel

    data = load_parallel("crossin_mini")
    texts = [
        item.question + "\nA. a\nB. b\nC. c\nD. d\nAnswer: A B C D" for items in data.items.values() for item in items
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


def _checkpoint_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    from crossin_metrics.demo_model import demo_model
    from crossin_metrics.errors import CrossinError

    try:
        return AutoTokenizer.from_pretrained(demo_model(name))
    except CrossinError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["gemma", "smollm2", "gpt2-like"])
def lm(request: pytest.FixtureRequest) -> Any:
    """The harness's HFLM over a tiny random model with one kind of tokenizer."""
    from lm_eval.models.huggingface import HFLM
    from transformers import LlamaConfig, LlamaForCausalLM

    if request.param == "gpt2-like":
        tokenizer = _gpt2_like()
        tokenizer.chat_template = CHATML
    elif request.param == "gemma":
        tokenizer = _checkpoint_tokenizer("gemma-3-270m")
        tokenizer.chat_template = GEMMA_CHAT
    else:
        tokenizer = _checkpoint_tokenizer("smollm2-135m-instruct")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = HFLM(pretrained=LlamaForCausalLM(config), tokenizer=tokenizer, batch_size=4)
    model.kind = request.param
    return model


@pytest.mark.parametrize("prompt", ["p1", "p2", "p3", "p4", "p5", "native"])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("shots", [0, 2])
def test_letters_are_one_token_in_context(load_task: Any, lm: Any, prompt: str, chat: bool, shots: int) -> None:
    task = load_task("crossin_mini", prompt=prompt)
    task.set_config(key="num_fewshot", value=shots)
    task.build_all_requests(
        limit=8,
        rank=0,
        world_size=1,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        chat_template=lm.apply_chat_template if chat else None,
        tokenizer_name=lm.tokenizer_name if chat else "",
    )
    tokenizer = lm.tokenizer
    for number in range(0, len(task.instances), 4):
        encoded = [lm._encode_pair(*instance.args) for instance in task.instances[number : number + 4]]
        contexts = {tuple(context) for context, _ in encoded}
        assert len(contexts) == 1  # the letter changes nothing before it
        context = list(contexts.pop())
        bos = tokenizer.bos_token_id
        if lm.kind == "gemma":
            assert context[0] == bos
            assert context.count(bos) == 1
        elif lm.kind == "gpt2-like":
            assert bos not in context
        # The harness moves a chat turn's final line break from the context to the continuation: all letters share it.
        shared = {tuple(continuation[:-1]) for _, continuation in encoded}
        assert len(shared) == 1
        assert tokenizer.decode(shared.pop()).strip() == ""
        letters = [tokenizer.decode([continuation[-1]]) for _, continuation in encoded]
        spaced = not chat and task.instances[number].doc["space"] == " "
        if lm.kind == "gemma":  # its single-token decoding drops the leading space; look at the piece itself
            letters = [tokenizer.convert_ids_to_tokens(c[-1]).replace("▁", " ") for _, c in encoded]
        assert letters == [f"{' ' if spaced else ''}{letter}" for letter in "ABCD"]
        if not chat:
            assert all(len(continuation) == 1 for _, continuation in encoded)


def test_option_texts_follow_one_space(load_task: Any, lm: Any) -> None:
    task = load_task("crossin_mini_cf")
    task.build_all_requests(limit=8, rank=0, world_size=1)
    for instance in task.instances:
        context, continuation = instance.args
        assert context == context.rstrip()
        assert continuation == f" {continuation.strip()}"
        head, tail = lm._encode_pair(context, continuation)
        assert lm.tokenizer.decode([*head, *tail], skip_special_tokens=True).endswith(continuation)
