"""Replies: what is accepted as the requested object, and what a request's key depends on."""

from __future__ import annotations

import email.utils
import json
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


PLAIN = "¿Por qué caen las hojas en otoño?"
WRAPPED = [
    f"```\n{PLAIN}\n```",
    f"```markdown\n{PLAIN}\n```\n",
    f"Here is the translation:\n\n{PLAIN}",
    f"Sure! Here's the translation into Spanish:\n```text\n{PLAIN}\n```",
    f"**Translation:** {PLAIN}",
    f"Traducción al español: {PLAIN}",
    f"以下是翻译：\n{PLAIN}",
    f'"{PLAIN}"',
    f"«{PLAIN}»",
    f'Here is the translation: "{PLAIN}"',
    f"The text asks why leaves fall.</think>\n{PLAIN}",
    f"<think>Leaves.</think>{PLAIN}",
    f"[THINK]Leaves.[/THINK] {PLAIN}",
    f"<|channel|>analysis<|message|>Leaves.<|channel|>final<|message|>{PLAIN}",
]
REFUSED = [
    f"<think>Leaves ... {PLAIN}",
    f"{PLAIN}\n```",
    f"Claro, con gusto:\n{PLAIN}",
    f"{PLAIN}\n\nNote: I kept the question mark.",
]


def test_what_models_put_around_a_text_is_taken_off() -> None:
    request = make_request({}, {"text": "Why do leaves fall in autumn?"}, "en", "es", 0)
    for reply in (PLAIN, *WRAPPED):
        assert read_reply(request, reply, joint=False) == {"text": PLAIN}, reply
        if "think" not in reply.casefold() and "channel" not in reply:
            assert read_reply(request, json.dumps({"text": reply}), joint=True) == {"text": PLAIN}, reply
    for reply in REFUSED:
        with pytest.raises(FormatError):
            read_reply(request, reply, joint=False)


@pytest.mark.parametrize(
    ("source", "translation"),
    [
        ('"Yes," she said.', '"Sí", dijo.'),
        ('She said "yes".', '"Sí", dijo ella.'),
        ("Translation: yes", "Traducción: sí"),
        ("Put this into French: yes", "Traduce esto al francés: sí"),
        ("Both or neither", '"Ambos" o "ninguno"'),
        ("Two things:\n- one\n- two", "Dos cosas:\n- una\n- dos"),
        ("One.\n\nTwo.", "Uno.\n\nDos."),
        ("Use ⟦0⟧ here: now", "Usa ⟦0⟧ aquí: ahora"),
        ('"Both" and "each"', '"Ambos" y "cada"'),
    ],
)
def test_what_belongs_to_a_translation_stays(source: str, translation: str) -> None:
    request = make_request({}, {"text": source}, "en", "es", 0)
    assert read_reply(request, translation, joint=False) == {"text": translation}


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
