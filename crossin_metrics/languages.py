"""Every fact of a language once: codes, names, script, direction, spaces, length of its texts.

Inside the project a language is its code (`en`, `zh`, `fil`). Foreign names (SeaEval's "Chinese", a hub's "zh-CN",
FLORES' "zho_Hans") become codes at the edge, by :func:`language_code` and :func:`log_language`. To add a language, add
one row to `LANGUAGES` and, if you can vouch for them, its prompt words in `harness/prompt_words.py` and its answer cues
in `answers/cues.py`; a language without these is asked and read with the English ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from crossin_metrics.errors import CrossinError


class Language(NamedTuple):
    """One language.

    Attributes:
        code: ISO 639-1, or 639-2 where there is none.
        iso3: ISO 639-2/T.
        flores: FLORES-200 code, which NLLB and many harness tasks use: language and script. Latin, which FLORES lacks,
            has one of the same form.
        english, native: its names.
        script: Unicode script; Japanese, which mixes three, counts as Han.
        length: median characters of a text for one character of its English original.
        compression: median zlib compression ratio of a text's UTF-8 bytes; 1.74 in English.
    """

    code: str
    iso3: str
    flores: str
    english: str
    native: str
    script: str
    length: float = 1.1
    compression: float = 1.75

    @property
    def direction(self) -> str:
        """ "rtl" or "ltr", as in HTML's `dir`."""
        return "rtl" if self.script in ("Arabic", "Hebrew") else "ltr"

    @property
    def spaced(self) -> bool:
        """Whether its words are written with spaces between them."""
        return self.script not in ("Han", "Khmer", "Lao", "Myanmar", "Thai")

    @property
    def scripts(self) -> tuple[str, ...]:
        """Unicode scripts of its letters."""
        return ("Han", "Hiragana", "Katakana") if self.code == "ja" else (self.script,)


# Length and compression: measured on XQuAD passages; id, ms and fil on Cross-LogiQA, whose English has 1.95, scaled to
# 1.74. Not measured: bn and ta (as hi), the compression of ja and ko (as zh) and their lengths (kana and syllable
# blocks say less per character than Han), and all languages without figures: the defaults are the middle of the
# Latin-script languages.
LANGUAGES: dict[str, Language] = {
    row.code: row
    for row in (
        Language("af", "afr", "afr_Latn", "Afrikaans", "Afrikaans", "Latin"),
        Language("am", "amh", "amh_Ethi", "Amharic", "አማርኛ", "Ethiopic"),
        Language("ar", "ara", "arb_Arab", "Arabic", "العربية", "Arabic", 0.87, 2.22),
        Language("az", "aze", "azj_Latn", "Azerbaijani", "Azərbaycanca", "Latin"),
        Language("be", "bel", "bel_Cyrl", "Belarusian", "Беларуская", "Cyrillic"),
        Language("bg", "bul", "bul_Cyrl", "Bulgarian", "Български", "Cyrillic"),
        Language("bn", "ben", "ben_Beng", "Bengali", "বাংলা", "Bengali", 0.98, 2.93),
        Language("bs", "bos", "bos_Latn", "Bosnian", "Bosanski", "Latin"),
        Language("ca", "cat", "cat_Latn", "Catalan", "Català", "Latin"),
        Language("ceb", "ceb", "ceb_Latn", "Cebuano", "Sinugboanon", "Latin"),
        Language("cs", "ces", "ces_Latn", "Czech", "Čeština", "Latin"),
        Language("cy", "cym", "cym_Latn", "Welsh", "Cymraeg", "Latin"),
        Language("da", "dan", "dan_Latn", "Danish", "Dansk", "Latin"),
        Language("de", "deu", "deu_Latn", "German", "Deutsch", "Latin", 1.13, 1.69),
        Language("el", "ell", "ell_Grek", "Greek", "Ελληνικά", "Greek", 1.13, 2.23),
        Language("en", "eng", "eng_Latn", "English", "English", "Latin", 1.00, 1.74),
        Language("es", "spa", "spa_Latn", "Spanish", "Español", "Latin", 1.12, 1.77),
        Language("et", "est", "est_Latn", "Estonian", "Eesti", "Latin"),
        Language("eu", "eus", "eus_Latn", "Basque", "Euskara", "Latin"),
        Language("fa", "fas", "pes_Arab", "Persian", "فارسی", "Arabic"),
        Language("fi", "fin", "fin_Latn", "Finnish", "Suomi", "Latin"),
        Language("fil", "fil", "tgl_Latn", "Filipino", "Filipino", "Latin", 1.19, 1.96),
        Language("fr", "fra", "fra_Latn", "French", "Français", "Latin"),
        Language("ga", "gle", "gle_Latn", "Irish", "Gaeilge", "Latin"),
        Language("gl", "glg", "glg_Latn", "Galician", "Galego", "Latin"),
        Language("gu", "guj", "guj_Gujr", "Gujarati", "ગુજરાતી", "Gujarati"),
        Language("ha", "hau", "hau_Latn", "Hausa", "Hausa", "Latin"),
        Language("he", "heb", "heb_Hebr", "Hebrew", "עברית", "Hebrew"),
        Language("hi", "hin", "hin_Deva", "Hindi", "हिन्दी", "Devanagari", 0.98, 2.93),
        Language("hr", "hrv", "hrv_Latn", "Croatian", "Hrvatski", "Latin"),
        Language("ht", "hat", "hat_Latn", "Haitian Creole", "Kreyòl ayisyen", "Latin"),
        Language("hu", "hun", "hun_Latn", "Hungarian", "Magyar", "Latin"),
        Language("hy", "hye", "hye_Armn", "Armenian", "Հայերեն", "Armenian"),
        Language("id", "ind", "ind_Latn", "Indonesian", "Bahasa Indonesia", "Latin", 1.07, 1.83),
        Language("ig", "ibo", "ibo_Latn", "Igbo", "Igbo", "Latin"),
        Language("it", "ita", "ita_Latn", "Italian", "Italiano", "Latin"),
        Language("ja", "jpn", "jpn_Jpan", "Japanese", "日本語", "Han", 0.45, 1.40),
        Language("ka", "kat", "kat_Geor", "Georgian", "ქართული", "Georgian"),
        Language("kk", "kaz", "kaz_Cyrl", "Kazakh", "Қазақша", "Cyrillic"),
        Language("km", "khm", "khm_Khmr", "Khmer", "ខ្មែរ", "Khmer"),
        Language("kn", "kan", "kan_Knda", "Kannada", "ಕನ್ನಡ", "Kannada"),
        Language("ko", "kor", "kor_Hang", "Korean", "한국어", "Hangul", 0.50, 1.40),
        Language("la", "lat", "lat_Latn", "Latin", "Latina", "Latin"),
        Language("lo", "lao", "lao_Laoo", "Lao", "ລາວ", "Lao"),
        Language("lt", "lit", "lit_Latn", "Lithuanian", "Lietuvių", "Latin"),
        Language("lv", "lav", "lvs_Latn", "Latvian", "Latviešu", "Latin"),
        Language("mk", "mkd", "mkd_Cyrl", "Macedonian", "Македонски", "Cyrillic"),
        Language("ml", "mal", "mal_Mlym", "Malayalam", "മലയാളം", "Malayalam"),
        Language("mr", "mar", "mar_Deva", "Marathi", "मराठी", "Devanagari"),
        Language("ms", "msa", "zsm_Latn", "Malay", "Bahasa Melayu", "Latin", 1.09, 1.85),
        Language("my", "mya", "mya_Mymr", "Burmese", "မြန်မာ", "Myanmar"),
        Language("ne", "nep", "npi_Deva", "Nepali", "नेपाली", "Devanagari"),
        Language("nl", "nld", "nld_Latn", "Dutch", "Nederlands", "Latin"),
        Language("no", "nor", "nob_Latn", "Norwegian", "Norsk", "Latin"),
        Language("pa", "pan", "pan_Guru", "Punjabi", "ਪੰਜਾਬੀ", "Gurmukhi"),
        Language("pl", "pol", "pol_Latn", "Polish", "Polski", "Latin"),
        Language("pt", "por", "por_Latn", "Portuguese", "Português", "Latin"),
        Language("qu", "que", "quy_Latn", "Quechua", "Runasimi", "Latin"),
        Language("ro", "ron", "ron_Latn", "Romanian", "Română", "Latin", 1.10, 1.72),
        Language("ru", "rus", "rus_Cyrl", "Russian", "Русский", "Cyrillic", 1.07, 2.26),
        Language("si", "sin", "sin_Sinh", "Sinhala", "සිංහල", "Sinhala"),
        Language("sk", "slk", "slk_Latn", "Slovak", "Slovenčina", "Latin"),
        Language("sl", "slv", "slv_Latn", "Slovenian", "Slovenščina", "Latin"),
        Language("so", "som", "som_Latn", "Somali", "Soomaali", "Latin"),
        Language("sq", "sqi", "als_Latn", "Albanian", "Shqip", "Latin"),
        Language("sr", "srp", "srp_Cyrl", "Serbian", "Српски", "Cyrillic"),
        Language("sv", "swe", "swe_Latn", "Swedish", "Svenska", "Latin"),
        Language("sw", "swa", "swh_Latn", "Swahili", "Kiswahili", "Latin"),
        Language("ta", "tam", "tam_Taml", "Tamil", "தமிழ்", "Tamil", 0.98, 2.93),
        Language("te", "tel", "tel_Telu", "Telugu", "తెలుగు", "Telugu"),
        Language("th", "tha", "tha_Thai", "Thai", "ไทย", "Thai", 0.93, 2.94),
        Language("tr", "tur", "tur_Latn", "Turkish", "Türkçe", "Latin", 1.00, 1.66),
        Language("uk", "ukr", "ukr_Cyrl", "Ukrainian", "Українська", "Cyrillic"),
        Language("ur", "urd", "urd_Arab", "Urdu", "اردو", "Arabic"),
        Language("uz", "uzb", "uzn_Latn", "Uzbek", "Oʻzbekcha", "Latin"),
        Language("vi", "vie", "vie_Latn", "Vietnamese", "Tiếng Việt", "Latin", 1.02, 1.76),
        Language("wo", "wol", "wol_Latn", "Wolof", "Wolof", "Latin"),
        Language("yo", "yor", "yor_Latn", "Yoruba", "Yorùbá", "Latin"),
        Language("zh", "zho", "zho_Hans", "Chinese", "中文", "Han", 0.31, 1.40),
        Language("zu", "zul", "zul_Latn", "Zulu", "isiZulu", "Latin"),
    )
}

SIMILAR = ({"id", "ms"},)  # languages that share most of their words, so that identifying one is guessing

_ALIASES: dict[str, str] = {
    **{name: row.code for row in LANGUAGES.values() for name in (row.english.lower(), row.native.lower(), row.iso3)},
    **{row.flores[:3]: row.code for row in LANGUAGES.values()},
    "tagalog": "fil",
    "tl": "fil",
    "castilian": "es",
    "mandarin": "zh",
    "cmn": "zh",
}

# ISO 639-1, so that a table may hold any of these languages; https://www.loc.gov/standards/iso639-2/php/code_list.php
_ISO_639_1 = frozenset(
    """aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka
    kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl
    nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw
    ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu""".split()  # noqa: SIM905
)


def language_code(name: str) -> str:
    """The project's code for a language's code or name.

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


def language_codes(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the codes of several languages, in their order.

    Args:
        names: codes or names, or one string that separates them by commas or spaces.

    Raises:
        CrossinError: no language, an unknown one, or one named twice.
    """
    if isinstance(names, str):
        names = [part for part in re.split(r"[,\s]+", names) if part]
    codes = tuple(language_code(str(name)) for name in names)
    if not codes:
        raise CrossinError("no languages; name at least one, as in en,zh")
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise CrossinError(f"duplicate language {twice} in {', '.join(map(str, names))}")
    return codes


def log_language(name: str, *, strict: bool = False) -> str:
    """The code of a language named in a log or a table, which may be a language outside `LANGUAGES`.

    A FLORES code becomes the table's code if it has that language's usual script (`eng_Latn` -> `en`, `zho_Hans` ->
    `zh`), else it is kept in lower case (`ace_arab`, `zho_hant`, `hin_latn`): 122 Belebele variants stay 122 languages.
    A two-letter locale loses its country (`pt_br` -> `pt`).

    Args:
        name: a code or an English or native name.
        strict: refuse three-letter codes that are not in the table, since a typo looks like a language.

    Raises:
        CrossinError: not a language code.
    """
    key = name.strip().casefold().replace("-", "_")
    tagged = re.fullmatch(r"[a-z]{2,3}_([a-z]{4})", key)
    try:
        code = language_code(name)
    except CrossinError:
        bare = key.split("_")[0]
        if tagged:
            return key
        if bare in _ISO_639_1:
            return bare
        if not strict and re.fullmatch(r"[a-z]{2,3}(_\w+)?", key):
            return key
        raise
    return key if tagged and tagged[1] != LANGUAGES[code].flores[4:].lower() else code


def language_name(code: str) -> str:
    """English and own name of a language, as `Spanish (Español)`."""
    language = LANGUAGES[code]
    return language.english if language.english == language.native else f"{language.english} ({language.native})"
