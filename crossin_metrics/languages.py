"""The one table of languages: ISO 639 code, English name, the language's own name, script.

Inside the project a language is its code (`en`, `zh`, `fil`). Foreign names (SeaEval's "Chinese", a hub's
"zh-CN", "zho_Hans") are turned into codes at the edge, by :func:`language_code`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from crossin_metrics.errors import CrossinError


class Language(NamedTuple):
    """One language: ISO 639-1 code (639-2 where there is none), names, Unicode script name."""

    code: str
    english: str
    native: str
    script: str
    iso3: str

    @property
    def direction(self) -> str:
        """`rtl` or `ltr`, as in HTML's `dir`."""
        return "rtl" if self.script in ("Arabic", "Hebrew") else "ltr"

    @property
    def spaced(self) -> bool:
        """Whether words have spaces between them."""
        return self.script not in ("Han", "Thai")


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


# ISO 639-1, so that a table may hold any of these languages; https://www.loc.gov/standards/iso639-2/php/code_list.php
_ISO_639_1 = frozenset(
    """aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka
    kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl
    nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw
    ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu""".split()  # noqa: SIM905
)


# The FLORES script tag that a language of the table is usually written in; another script stays a language of its own.
_USUAL_SCRIPT = {
    "Latin": "latn",
    "Arabic": "arab",
    "Bengali": "beng",
    "Greek": "grek",
    "Devanagari": "deva",
    "Hangul": "hang",
    "Tamil": "taml",
    "Thai": "thai",
    "Cyrillic": "cyrl",
}


_HAN_SCRIPT = {"zh": "hans", "ja": "jpan"}


def log_language(name: str, *, strict: bool = False) -> str:
    """The code of a language named in a log or a table, also outside the project's table of languages.

    A FLORES code becomes the table's code where the script is that language's usual one (`eng_Latn` -> `en`,
    `zho_Hans` -> `zh`), else it is kept in lower case (`ace_arab`, `zho_hant`, `hin_latn`): 122 Belebele variants
    stay 122 languages. A two-letter locale loses its country (`pt_br` -> `pt`).

    Args:
        name: a code or an English or native name.
        strict: refuse three-letter codes that are not in the table, since a slip cannot be told from a language.

    Raises:
        CrossinError: no language code.
    """
    key = name.strip().casefold().replace("-", "_")
    tagged = re.fullmatch(r"([a-z]{2,3})_([a-z]{4})", key)
    if tagged:
        try:
            code = language_code(tagged[1])
        except CrossinError:
            return key
        usual = _HAN_SCRIPT.get(code) or _USUAL_SCRIPT.get(LANGUAGES[code].script)
        return code if usual == tagged[2] else key
    try:
        return language_code(name)
    except CrossinError:
        bare = key.split("_")[0]
        if bare in _ISO_639_1 or (not strict and re.fullmatch(r"[a-z]{2,3}(_\w+)?", key)):
            return bare if bare in _ISO_639_1 else key
        raise


def language_name(code: str) -> str:
    """English and own name of a language, as `Spanish (Español)`."""
    language = LANGUAGES[code]
    return language.english if language.english == language.native else f"{language.english} ({language.native})"
