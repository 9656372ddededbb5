"""Replies: what is accepted as the requested object, and what a request's key depends on."""

from __future__ import annotations

import email.utils
import math
import time

import pytest

from recipes.llm.endpoint import retry_after
from recipes.llm.replies import FormatError, read_reply
from recipes.translation.engines.base import make_request


def test_joint_replies_are_objects_of_exactly_these_fields() -> None:
    request = make_request({}, {"instruction": "a", "output": "b"}, "en", "es", 0)
    good = '{"instruction": " uno ", "output": "dos"}'
    for text in (good, f"```json\n{good}\n```", f"<think>hm {{}}</think>\n{good}"):
        assert read_reply(request, text, joint=True) == {"instruction": "uno", "output": "dos"}
    for text in ("", "uno", good[:-3], f"Here: {good}", "[1]", '{"instruction": "x"}', good.replace('"dos"', "2"),
                 '{"instruction": "a", "output": "b", "input": "c"}', '{"instruction": "a", "output": "\\ud800"}',
                 '{"instruction": "a", "output": "caf\ufffd"}'):  # fmt: skip
        with pytest.raises(FormatError):
            read_reply(request, text, joint=True)


def test_a_key_changes_with_whatever_changes_the_answer() -> None:
    def key(**changes: object) -> str:
        given = {"identity": {"model": "m", "seed": 0}, "fields": {"output": "x"}, "source": "en", "target": "es"}
        return make_request(**{**given, "attempt": 0, **changes}).key  # type: ignore[arg-type]

    keys = [key(), key(identity={"model": "n", "seed": 0}), key(identity={"model": "m", "seed": 1}), key(target="zh"),
            key(fields={"input": "x"}), key(fields={"output": "y"}), key(attempt=1), key(source="de")]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == key(identity={"seed": 0, "model": "m"})


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("3") == 3.0
    for no_pause in ("0", "-3", "inf", "nan", email.utils.formatdate(0, usegmt=True)):
        assert retry_after(no_pause) is None  # the usual backoff
    assert retry_after("1e9") == 3600.0
    assert math.isclose(retry_after(email.utils.formatdate(time.time() + 30, usegmt=True)) or 0, 30, abs_tol=1.5)
    assert retry_after(None) is None
    assert retry_after("soon") is None
