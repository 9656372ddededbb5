"""A run's frame as its tokenizer's chat template: training, evaluation and serving all render this template.

Chat clients (`apply_chat_template`, vLLM's chat API, llama.cpp) add nothing to what a template renders. So it has to
hold everything that was trained: BOS, the end of the answer, and no date of today.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError
from recipes.common.wording import chat_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FROZEN_DATE = datetime.date(2024, 7, 26)
"""Put in the place of today's date: the one that Llama 3.1's template falls back to where there is no clock."""

_CLOCK = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_PROBE = ("What falls from clouds?", "Rain falls.")


def set_frame(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Give the tokenizer the chat template of a frame (a key of `FRAMES`, or chat: its own), and its EOS.

    The template then begins with BOS if the tokenizer puts one before texts, and EOS is the token that ends an answer.

    Raises:
        CrossinError: frame chat without a chat template, or with one that shows no text or ends in no single token.
    """
    if name != "chat":
        tokenizer.chat_template = chat_template(name)
    else:
        tokenizer.chat_template = freeze_date(_own_template(tokenizer))
    bos = tokenizer.bos_token
    if bos and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id and not _render(tokenizer)[1].startswith(bos):
        tokenizer.chat_template = "{{ bos_token }}" + str(tokenizer.chat_template)
    if name == "chat":
        _set_eos(tokenizer)


def freeze_date(template: str) -> str:
    """The template with a fixed date, so that its tokens are the same tomorrow."""
    return _CLOCK.sub(lambda match: repr(FROZEN_DATE.strftime(match.group(2))), template)


def render(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str) -> tuple[str, str]:
    """A row in the tokenizer's chat template: up to where the model's answer begins, and with its answer.

    Raises:
        CrossinError: the template fails, or leaves out the prompt or the completion.
    """
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    try:
        head = str(tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, tokenize=False))
        whole = str(tokenizer.apply_chat_template(messages, tokenize=False))
    except Exception as error:  # whatever a template raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CrossinError(f"{_name(tokenizer)}: chat template fails: {reason[0]}; use frame: headers") from error
    for what, text, shown in (("prompt", prompt, head), ("prompt", prompt, whole), ("completion", completion, whole)):
        if text.strip() not in shown:
            raise CrossinError(
                f"{_name(tokenizer)}: the chat template does not show the {what} {text[:60]!r} as it is (it may expect "
                "content in parts): use frame: headers"
            )
    return head, whole


def encode(tokenizer: PreTrainedTokenizerBase, rendered: str) -> list[int]:
    """Ids of a rendered text, as chat clients encode it."""
    return list(tokenizer(rendered, add_special_tokens=False)["input_ids"])


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Ids that the model is given for a prompt; without a chat template those of the text alone."""
    if not tokenizer.chat_template:
        return list(tokenizer(prompt)["input_ids"])
    messages = [{"role": "user", "content": prompt}]
    return encode(tokenizer, str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)))


def set_stop(generation_config: Any, tokenizer: Any) -> None:
    """Add the tokenizer's EOS, which was taught, to the tokens at which generation stops."""
    old = generation_config.eos_token_id
    old = old if isinstance(old, list) else [] if old is None else [old]
    ids = list(dict.fromkeys([tokenizer.eos_token_id, *old]))
    generation_config.eos_token_id = ids if len(ids) > 1 else ids[0]


def _own_template(tokenizer: PreTrainedTokenizerBase) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise CrossinError(
            f"{_name(tokenizer)} has no chat template: use frame: headers (or plain, space) instead of chat"
        ) from error


def _render(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    return render(tokenizer, *_PROBE)


def _set_eos(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make the token with which the template ends an answer the tokenizer's EOS; base models have another one."""
    before = _render(tokenizer)
    end = before[1].rpartition(_PROBE[1])[2].strip()
    if not end:  # EOS is appended
        return
    last = encode(tokenizer, end)[-1]
    if last == tokenizer.eos_token_id:
        return
    if last not in tokenizer.added_tokens_decoder:
        raise CrossinError(
            f"{_name(tokenizer)}: the chat template ends an answer with {end!r}, which is not a token of its own, so a "
            "model could not stop there: use frame: headers, or a tokenizer that has the token"
        )
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(last)
    if _render(tokenizer) != before:
        raise CrossinError(
            f"{_name(tokenizer)}: the chat template ends an answer with {end!r} and writes eos_token elsewhere: use "
            "frame: headers"
        )


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return f"tokenizer {tokenizer.name_or_path}"
