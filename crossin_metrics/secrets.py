"""Access tokens and passwords: recognised, to be refused in options and masked in what is printed or kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
_WORD = (
    r"(?:api_?|access_|secret_|private_|subscription_|account_)key|password|passwd|passphrase|secret|authorization|"
    r"credentials?|cookie|(?<![a-z]_)token|(?:access|client|auth|bearer|refresh|session|security|hf|hub|api|user)_token"
)
_NAME = re.compile(rf"(?:[a-z0-9]+_)*?(?:{_WORD})")  # eos_token and max_tokens are none
# How the tokens of well-known services begin. A digit is asked for where the start is also a word or a language code.
_TOKEN = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\b(?:sk-|xai-|nvapi-|glpat-|gsk_|pplx-)(?=[\w-]*\d)[\w-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\bgithub_pat_\w{20,}|\bxox[abeprs]-[\w-]{10,}|\bA[KS]IA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*",
    re.ASCII,
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.ASCII)
_LOGIN = re.compile(r"(//)[^\s/@'\"]+@")
# name=value, "name": "value"
_PAIR = re.compile(r"(?<![\w-])([A-Za-z][\w-]*)(\s*=\s*['\"]?|['\"]\s*:\s*['\"])([^\s,;&?'\"{}]+)", re.ASCII)
_NO_SECRET = {"", MASK, "none", "null", "true", "false", "empty"}  # EMPTY: what servers without a key are sent


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret: `api_key`, `hub-token`, `Authorization`, not `eos_token`.

    >>> [is_secret_name(name) for name in ("apiKey", "x-api-key", "HF_TOKEN", "eos_token", "api_key_env", "max_tokens")]
    [True, True, True, False, False, False]
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return _NAME.fullmatch(snake) is not None


def secret_place(value: Any, place: str = "") -> str | None:
    """Where a secret is in an option's value, as `extra_body.api_key`; None if there is none.

    Looks into mappings, lists and JSON texts, at names and at values that look like a service's token.

    >>> secret_place({"a": [{"api_key": "x"}]}, "extra_body")
    'extra_body.a.api_key'
    """
    if isinstance(value, Mapping):
        for name, one in value.items():
            where = f"{place}.{name}" if place else str(name)
            if is_secret_name(str(name)) and isinstance(one, str) and one.strip().lower() not in _NO_SECRET:
                return where
            if found := secret_place(one, where):
                return found
        return None
    if isinstance(value, (list, tuple, set)):
        return next((found for one in value if (found := secret_place(one, place))), None)
    if not isinstance(value, str):
        return None
    if value.lstrip()[:1] in ("{", "["):
        try:
            return secret_place(json.loads(value), place)
        except (ValueError, RecursionError):
            pass
    return place or "a value" if masked(value, environment={}) != value else None


def masked(text: str, known: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> str:
    """The text with :data:`MASK` for every secret in it.

    Args:
        text: a message, a server's reply, a command line.
        known: secrets in use, masked wherever they occur.
        environment: its variables with a secret's name are masked too; None: those of this process.

    >>> masked("https://me:pw@host/v1?api_key=abc refused", environment={})
    'https://***@host/v1?api_key=*** refused'
    """
    variables = os.environ if environment is None else environment
    values = {*known, *(value for name, value in variables.items() if is_secret_name(name))}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= 6:  # a shorter one is a word that occurs by itself
            text = text.replace(value, MASK)
    text = _BEARER.sub(rf"\1 {MASK}", _TOKEN.sub(MASK, _LOGIN.sub(rf"\1{MASK}@", text)))
    return _PAIR.sub(_masked_pair, text)


def _masked_pair(match: re.Match[str]) -> str:
    name, between, value = match.groups()
    if not is_secret_name(name) or value.lower() in _NO_SECRET or value.lower() in ("bearer", "basic"):
        return match[0]
    return f"{name}{between}{MASK}"
