"""The one table of languages: ISO 639 code, English name, the language's own name, script.

Inside the project a language is its code (`en`, `zh`, `fil`). Foreign names (SeaEval's "Chinese", a hub's
"zh-CN", "zho_Hans") are turned into codes at the edge, by :func:`language_code`.
"""

from __future__ import annotations

from typing import NamedTuple

from crossin_metrics.errors import CrossinError


class Language(NamedTuple):
    """One language: ISO 639-1 code (639-2 where there is none), names, Unicode script name."""

    code: str
    english: str
    native: str
    script: str
    iso3: str


LANGUAGES: dict[str, Language] = {
    row.code: row
    for row in (
        Language("ar", "Arabic", "العربية", "Arabic", "ara"),
        Language("bn", "Bengali", "বাংলা", "Bengali", "ben"),
        Language("de", "German", "Deutsch", "Latin", "deu"),
        Language("el", "Greek", "Ελληνικά", "Greek", "ell"),
        Language("en", "English", "English", "Latin", "eng"),
        Language("es", "Spanish", "Español", "Latin", "spa"),
        Language("fil", "Filipino", "Filipino", "Latin", "fil"),
        Language("fr", "French", "Français", "Latin", "fra"),
        Language("hi", "Hindi", "हिन्दी", "Devanagari", "hin"),
        Language("id", "Indonesian", "Bahasa Indonesia", "Latin", "ind"),
        Language("it", "Italian", "Italiano", "Latin", "ita"),
        Language("ja", "Japanese", "日本語", "Han", "jpn"),
        Language("ko", "Korean", "한국어", "Hangul", "kor"),
        Language("ms", "Malay", "Bahasa Melayu", "Latin", "msa"),
        Language("pt", "Portuguese", "Português", "Latin", "por"),
        Language("ro", "Romanian", "Română", "Latin", "ron"),
        Language("ru", "Russian", "Русский", "Cyrillic", "rus"),
        Language("sw", "Swahili", "Kiswahili", "Latin", "swa"),
        Language("ta", "Tamil", "தமிழ்", "Tamil", "tam"),
        Language("th", "Thai", "ไทย", "Thai", "tha"),
        Language("tr", "Turkish", "Türkçe", "Latin", "tur"),
        Language("vi", "Vietnamese", "Tiếng Việt", "Latin", "vie"),
        Language("zh", "Chinese", "中文", "Han", "zho"),
    )
}

_ALIASES: dict[str, str] = {
    **{row.english.lower(): row.code for row in LANGUAGES.values()},
    **{row.native.lower(): row.code for row in LANGUAGES.values()},
    **{row.iso3: row.code for row in LANGUAGES.values()},
    "tagalog": "fil",
    "tl": "fil",
    "tgl": "fil",
    "zsm": "ms",
    "arb": "ar",
    "swh": "sw",
    "castilian": "es",
    "mandarin": "zh",
    "cmn": "zh",
}


def language_code(name: str) -> str:
    """Return the project's code for a language's code or name.

    Args:
        name: an ISO 639 code ("zh", "zho"), a tagged code ("zh-CN", "zho_Hans") or an English or native name
            ("Chinese", "Tiếng Việt"), in any case.

    Raises:
        CrossinError: the name is not in the table.
    """
    key = name.strip().lower()
    for candidate in (key, key.replace("-", "_").split("_")[0]):
        if candidate in LANGUAGES:
            return candidate
        if candidate in _ALIASES:
            return _ALIASES[candidate]
    raise CrossinError(f"unknown language {name!r}; known: {', '.join(sorted(LANGUAGES))} (or their English names)")
