"""Whole rendered strings: what a model is shown, Chinese punctuation included."""

from __future__ import annotations

import pytest
from jinja2 import Environment

from recipes.common.wording import (
    FRAMES,
    chat_template,
    frame,
    language_tag,
    render_instruction,
    render_pivot,
    render_translation,
)


@pytest.mark.parametrize(
    ("kind", "in_lang", "out_lang", "expected"),
    [
        ("bracket", "vi", "zh", "[zh]"),
        ("none", "vi", "zh", ""),
        ("natural", "en", "zh", "Answer in Chinese."),
        ("natural", "zh", "es", "请用西班牙文回答。"),
        ("natural", "vi", "en", "Hãy trả lời bằng tiếng Anh."),
        ("natural", "es", "vi", "Responde en vietnamita."),
        ("natural", "id", "ms", "Jawablah dalam bahasa Melayu."),
        ("natural", "sw", "zh", "Answer in Chinese."),  # no Swahili wording: English
        ("natural", "zh", "sw", "Answer in Swahili."),  # no Chinese name for Swahili: English
    ],
)
def test_language_tag(kind: str, in_lang: str, out_lang: str, expected: str) -> None:
    assert language_tag(kind, in_lang, out_lang) == expected


@pytest.mark.parametrize(
    ("input_", "tag", "position", "expected"),
    [
        ("", "", "end", "Do it."),
        ("this", "", "end", "Do it.\n\nthis"),
        ("", "[zh]", "end", "Do it.\n\n[zh]"),
        ("this", "[zh]", "end", "Do it.\n\nthis [zh]"),
        ("this", "Answer in Chinese.", "end", "Do it.\n\nthis\n\nAnswer in Chinese."),
        ("this", "[zh]", "start", "[zh]\n\nDo it.\n\nthis"),
    ],
)
def test_render_instruction(input_: str, tag: str, position: str, expected: str) -> None:
    assert render_instruction("Do it.", input_, tag, position) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("en", "vi", "Translate the following text from English into Vietnamese.\n\nX"),
        ("zh", "en", "请把下面的文字从中文翻译成英文。\n\nX"),
        ("es", "zh", "Traduce el siguiente texto del español al chino.\n\nX"),
        ("vi", "es", "Hãy dịch đoạn văn sau từ tiếng Việt sang tiếng Tây Ban Nha.\n\nX"),
        ("sw", "en", "Translate the following text from Swahili into English.\n\nX"),
    ],
)
def test_render_translation(source: str, target: str, expected: str) -> None:
    assert render_translation("X", source, target) == expected


def test_render_pivot() -> None:
    assert render_pivot("Q?", "A.", "答。", "zh") == (
        "Instruction in English: Q?\n\nAnswer in English: A.\n\nAnswer in Chinese: 答。"
    )
    assert render_pivot("Q?", "A.", "A.", "en") == "Instruction in English: Q?\n\nAnswer in English: A."


def test_frames() -> None:
    assert frame("P", "C") == ("### Instruction:\nP\n\n### Response:\n", "C")
    assert frame("P", "C", "plain") == ("P\n\n", "C")
    assert frame("Q: x\nAnswer:", "C", "space") == ("Q: x\nAnswer:", " C")
    assert frame("has {prompt} in it", "C", "plain") == ("has {prompt} in it\n\n", "C")
    with pytest.raises(KeyError):
        frame("P", "C", "unknown")


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("prompt", ["P", "quotes ' and \" and {{ braces }}", "two\nlines\n\n中文。"])
def test_chat_template_renders_the_frame(name: str, prompt: str) -> None:
    """transformers renders chat templates with trim_blocks and lstrip_blocks."""
    template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(chat_template(name))
    user = {"role": "user", "content": prompt}
    before, after = frame(prompt, "an answer", name)
    asked = template.render(messages=[user], eos_token="</s>", add_generation_prompt=True)
    assert asked == before
    whole = template.render(messages=[user, {"role": "assistant", "content": "an answer"}], eos_token="</s>")
    assert whole == before + after + "</s>"
