"""Every sentence that recipes add to the data: prompts of mix rows, and the frame that tuning and evaluation share.

A mix row's `prompt` is the rendered instruction, its `completion` the answer, both without surrounding white space.
`frame` turns them into the text that the model sees; tuning and evaluation call the same function.
"""

from __future__ import annotations

from crossin_metrics.languages import LANGUAGES

# Each language's name in the languages that the natural sentences are written in.
_NAMES: dict[str, dict[str, str]] = {
    spoken: dict(zip(("en", "zh", "vi", "es", "id", "ms", "fil"), names.split("|"), strict=True))
    for spoken, names in {
        "zh": "英文|中文|越南文|西班牙文|印尼文|马来文|菲律宾文",
        "vi": "tiếng Anh|tiếng Trung|tiếng Việt|tiếng Tây Ban Nha|tiếng Indonesia|tiếng Mã Lai|tiếng Philippines",
        "es": "inglés|chino|vietnamita|español|indonesio|malayo|filipino",
        "id": "bahasa Inggris|bahasa Mandarin|bahasa Vietnam|bahasa Spanyol|bahasa Indonesia|bahasa Melayu|"
        "bahasa Filipino",
        "ms": "bahasa Inggeris|bahasa Cina|bahasa Vietnam|bahasa Sepanyol|bahasa Indonesia|bahasa Melayu|"
        "bahasa Filipino",
        "fil": "Ingles|Tsino|Vietnamese|Espanyol|Indones|Malay|Filipino",
    }.items()
} | {"en": {code: row.english for code, row in LANGUAGES.items()}}

_ANSWER_IN: dict[str, str] = {
    "en": "Answer in {target}.",
    "zh": "请用{target}回答。",
    "vi": "Hãy trả lời bằng {target}.",
    "es": "Responde en {target}.",
    "id": "Jawablah dalam {target}.",
    "ms": "Jawab dalam {target}.",
    "fil": "Sumagot sa wikang {target}.",
}

_TRANSLATE: dict[str, str] = {
    "en": "Translate the following text from {source} into {target}.",
    "zh": "请把下面的文字从{source}翻译成{target}。",
    "vi": "Hãy dịch đoạn văn sau từ {source} sang {target}.",
    "es": "Traduce el siguiente texto del {source} al {target}.",
    "id": "Terjemahkan teks berikut dari {source} ke {target}.",
    "ms": "Terjemahkan teks berikut daripada {source} kepada {target}.",
    "fil": "Isalin ang sumusunod na teksto mula sa {source} patungo sa {target}.",
}


def language_tag(kind: str, in_lang: str, out_lang: str) -> str:
    """The request for an answer in `out_lang`: "[zh]", a sentence in the instruction's language, or "".

    Args:
        kind: "bracket", "natural" or "none". The sentence is English where no other wording is known.
        in_lang: code of the instruction's language.
        out_lang: code of the wanted answer's language.
    """
    if kind == "none":
        return ""
    if kind == "bracket":
        return f"[{out_lang}]"
    spoken = _spoken(in_lang, out_lang)
    return _ANSWER_IN[spoken].format(target=_NAMES[spoken][out_lang])


def render_instruction(instruction: str, input: str = "", tag: str = "", position: str = "end") -> str:
    """Instruction, its input after an empty line if there is one, and the language tag.

    A bracket tag at the end follows the input on its line (as in the released code); a sentence is a paragraph of its
    own.
    """
    if not tag:
        return "\n\n".join(part for part in (instruction, input) if part)
    if position == "start":
        return "\n\n".join(part for part in (tag, instruction, input) if part)
    if input and tag.startswith("["):
        return f"{instruction}\n\n{input} {tag}"
    return "\n\n".join(part for part in (instruction, input, tag) if part)


def render_translation(text: str, source: str, target: str) -> str:
    """The prompt of a translation pair, worded in the source language where that wording is known."""
    spoken = _spoken(source, source, target)
    names = _NAMES[spoken]
    return f"{_TRANSLATE[spoken].format(source=names[source], target=names[target])}\n\n{text}"


def render_pivot(instruction_en: str, output_en: str, output: str, out_lang: str) -> str:
    """A pivot-first completion: the instruction in English, its answer in English, then the wanted answer.

    The order is that of PLUG (arXiv 2311.08711, section 3); the wording is ours.
    """
    name = LANGUAGES[out_lang].english
    head = f"Instruction in English: {instruction_en}\n\nAnswer in English: {output_en}"
    return head if out_lang == "en" else f"{head}\n\nAnswer in {name}: {output}"


FRAMES: dict[str, tuple[str, str]] = {
    # name -> (text around the prompt, text before the completion)
    "plain": ("{prompt}\n\n", ""),
    "headers": ("### Instruction:\n{prompt}\n\n### Response:\n", ""),
    "space": ("{prompt}", " "),  # the harness's default target_delimiter: for prompts that end in "Answer:"
}
"""Frames for models without a chat template."""


def frame(prompt: str, completion: str = "", name: str = "headers") -> tuple[str, str]:
    """The two strings that are concatenated and shown to the model; the loss is on the second.

    Args:
        prompt: a mix row's prompt, or an evaluation question as text.
        completion: a mix row's completion; "" when the model is to write it.
        name: a key of `FRAMES`.

    Raises:
        KeyError: no such frame.
    """
    around, before = FRAMES[name]
    return around.replace("{prompt}", prompt), before + completion


def chat_template(name: str) -> str:
    """The frame as a Jinja chat template, so that a tokenizer carries it to evaluation and serving.

    Rendering a user message followed by an assistant message gives exactly `frame(prompt, completion)` joined, then the
    end-of-sequence token; with `add_generation_prompt` the first string alone. A system message precedes the prompt.
    """
    around, before = FRAMES[name]
    head, tail = around.split("{prompt}")
    return (
        "{%- for message in messages -%}"
        "{%- if message['role'] == 'user' -%}"
        f"{{{{- {head!r} + message['content'] + {tail!r} -}}}}"
        "{%- elif message['role'] == 'assistant' -%}"
        f"{{{{- {before!r} + message['content'] + eos_token -}}}}"
        "{%- else -%}"
        "{{- message['content'] + '\\n\\n' -}}"
        "{%- endif -%}"
        "{%- endfor -%}"
    )


def _spoken(first: str, *named: str) -> str:
    """`first`, if its sentences are known and it can name all of `named`; otherwise English."""
    return first if first in _ANSWER_IN and all(code in _NAMES[first] for code in named) else "en"
