"""How `_gen` tasks generate: presets, what the signature says of them, and what reaches the model.

Everything is set once, with `--metadata` (preset, thinking, effort, repeats ...) and `--gen_kwargs` (token budget,
temperature and any other sampling parameter).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.options import TaskOptions

logger = logging.getLogger("lm_eval.crossin")

PRESETS: dict[str, dict[str, Any]] = {
    # An answer of a plain model is a letter or a sentence; a base model continues with the next question.
    "plain": {
        "do_sample": False,
        "temperature": 0.0,
        "max_gen_toks": 128,
        "until": ["\nQuestion:", "\nPassage:", "\n\n\n"],
    },
    # Temperature and top_p as DeepSeek-R1's and Qwen3's model cards ask (greedy thoughts loop). They allow 32,768
    # tokens; 8,192 end nearly all thoughts about a multiple-choice question. No `until`: it could end a thought.
    "thinking": {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "max_gen_toks": 8192, "until": []},
}

_BUDGETS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # the harness's names of one thing


def generation_kwargs(options: TaskOptions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model is asked with: the preset, overridden by what the task file and `--gen_kwargs` give.

    One name of the token budget remains (`max_gen_toks`); `do_sample` follows the temperature, so that every backend
    does the same; `until` is dropped where the model thinks, since it could end a thought.

    Raises:
        CrossinError: a token budget below 1, or repeats without sampling.
    """
    kwargs = {**PRESETS[options.preset], **given}
    budgets = [kwargs.pop(name) for name in reversed(_BUDGETS) if kwargs.get(name) is not None]
    kwargs["max_gen_toks"] = int(budgets[0])  # an alias can only come from the user
    if kwargs["max_gen_toks"] < 1:
        raise CrossinError(f"{options.task}: a token budget of {kwargs['max_gen_toks']} leaves no room for an answer")
    kwargs["temperature"] = float(kwargs.get("temperature") or 0.0)
    kwargs["do_sample"] = kwargs["temperature"] > 0
    if not kwargs["do_sample"]:
        kwargs.pop("top_p", None)
        if options.repeats > 1:
            raise CrossinError(f"{options.task}: repeats need sampling: add --gen_kwargs temperature=0.6")
    if options.preset == "thinking" and kwargs.get("until"):
        logger.warning("%s: `until` is not sent: it could end a thought; the reader ends the text", options.task)
        kwargs["until"] = []
    return kwargs


def generation_signature(options: TaskOptions, kwargs: Mapping[str, Any]) -> str:
    """Return what differs from the plain preset, as `name=value,...` in alphabetical order; "" where nothing does."""
    said = {name: kwargs.get(name) for name in {*kwargs, *PRESETS["plain"]}}
    said = {name: value for name, value in said.items() if value != PRESETS["plain"].get(name)}
    said.pop("do_sample", None)  # follows the temperature
    said |= template_arguments(options)
    said |= {name: value for name in ("think_end_token", "thought_marks") if (value := getattr(options, name))}
    if options.repeats > 1:
        said["repeats"] = options.repeats
    text = ",".join(f"{name}={_short(said[name])}" for name in sorted(said))
    return text.replace("|", "¦").replace("\n", "\\n")  # a signature is one line, its fields set off by "|"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def template_arguments(options: TaskOptions) -> dict[str, Any]:
    """Return the arguments of the chat template: `enable_thinking`, `reasoning_effort` and the user's own."""
    own = {"enable_thinking": options.enable_thinking, "reasoning_effort": options.reasoning_effort}
    return {**(options.chat_template_args or {}), **{name: value for name, value in own.items() if value is not None}}


def instruct_model(options: TaskOptions, model: Any) -> dict[str, Any]:
    """Give a model the chat-template arguments; return what a chat API needs added to each request.

    Raises:
        CrossinError: the model has no place for them.
    """
    arguments = template_arguments(options)
    if not arguments:
        return {}
    kinds = {kind.__name__ for kind in type(model).__mro__}
    if kinds & {"LocalChatCompletion", "CrossinAPI"}:
        effort = arguments.pop("reasoning_effort", None)
        extra: dict[str, Any] = {} if effort is None else {"reasoning_effort": effort}
        return extra | ({"chat_template_kwargs": arguments} if arguments else {})
    if not hasattr(model, "chat_template_args"):
        raise CrossinError(
            f"{options.task}: {type(model).__name__} takes no chat-template arguments ({', '.join(arguments)}); "
            "use hf, vllm, crossin-hf, crossin-vllm, local-chat-completions or crossin-api"
        )
    if "VLLM" in kinds and "enable_thinking" in arguments:  # it passes this one beside the others
        model.enable_thinking = arguments.pop("enable_thinking")
    model.chat_template_args = {**(model.chat_template_args or {}), **arguments}
    return {}
