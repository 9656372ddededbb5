"""The dry run: what a translation would ask and cost, without asking."""

from __future__ import annotations

from collections import Counter

from recipes.translation.engines.base import ATTEMPTS
from recipes.translation.run import Translation

# Measured with Gemma 3's vocabulary (262,144 words) on XQuAD passages: 4.8 characters of English a token; a translation
# takes a token for each 2.3 (Greek) to 4.5 (Chinese) characters of its English, 3.5 in the middle.
PROMPT_CHARACTERS_PER_TOKEN = 4.8
SOURCE_CHARACTERS_PER_REPLY_TOKEN = 3.5


def estimate(translation: Translation) -> str:
    """Rows, requests and tokens of a run, as a Markdown table. Tokens are estimated from characters."""
    kinds = Counter(kind for kind, _ in translation.left_out.values())
    characters = prompts = requests = absent = 0
    seen: set[str] = set()
    for row, language in translation.work():
        for part in translation.parts(row, language, 0):
            if part.request.key in seen:
                continue
            seen.add(part.request.key)
            requests += 1
            if part.request.key not in translation.store:
                absent += 1
                characters += sum(len(text) for text in part.request.fields.values())
                prompts += translation.engine.prompt_characters(part.request)
    lines = [
        ("rows read", len(translation.rows)),
        *((f"not translated: {kind}", count) for kind, count in kinds.most_common()),
        (
            f"rows to translate into {', '.join(translation.languages)}",
            len(translation.rows) - len(translation.left_out),
        ),
        ("requests, first attempt", requests),
        ("... answered already", requests - absent),
        ("... to ask", absent),
        ("characters to translate", characters),
        ("prompt tokens, about", round(prompts / PROMPT_CHARACTERS_PER_TOKEN)),
        ("reply tokens, about", round(characters / SOURCE_CHARACTERS_PER_REPLY_TOKEN)),
        (f"requests at most, were all asked {ATTEMPTS} times", absent * ATTEMPTS),
    ]
    return "\n".join(["| dry run | count |", "|---|---|", *(f"| {name} | {count} |" for name, count in lines)])
