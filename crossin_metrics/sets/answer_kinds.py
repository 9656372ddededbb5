"""The kind of an answer, by its form alone: number, date, name or phrase; for any script, exact for none.

Known limits: names are found by capitals, so scripts without them (Arabic, Devanagari, Han, Thai) have none; a date has
a digit, a number has one or is written in Han.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

KINDS = ("number", "date", "name", "phrase")

_HAN_NUMERALS = re.compile(r"[第约約近]?[零〇一二三四五六七八九十百千万萬亿億兆两兩半几幾]+")
_LONGEST_NAME = 6  # tokens; longer runs of capitals are headings or sentences
_LONGEST_DATE = 6
_PARTICLE = 3  # letters of a word that names may write small: of, de, von, del, the
_YEAR = re.compile(r"(?<![\d.,])(?:1\d{3}|20\d{2})(?!\d|[.,]\d)")  # as a number of its own: 1066, 1960s
# Months, units and eras that make a number a date; beginnings of words where a language inflects them.
_DATE_WORDS = re.compile(
    r"\b(?:jan|feb|march|april|ma[yi]\b|june|july|august|septemb|octob|novemb|decemb|"
    r"enero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|"
    r"märz|juni|juli|oktober|dezember|ianuarie|februarie|martie|aprilie|iunie|iulie|septembrie|octombrie|noiembrie|"
    r"decembrie|ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık|"
    r"январ|феврал|март|апрел|ма[йя]\b|июн|июл|август|сентябр|октябр|ноябр|декабр|год|век|"
    r"ιανουαρ|φεβρουαρ|μαρτ|απριλ|μα[ΐιί]ου|ιουν|ιουλ|αυγουστ|αύγουστ|σεπτεμβρ|οκτωβρ|νοεμβρ|δεκεμβρ|"
    r"يناير|فبراير|مارس|أبريل|إبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر|عام|سنة|القرن|"
    r"जनवरी|फ़रवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर|"
    r"januari|februari|maret|mei\b|agustus|desember|ogos|disember|enero|pebrero|hunyo|hulyo|setyembre|oktubre|"
    r"ngày|tháng|năm|thế kỷ|century|siglo|jahrhundert|secol|yüzyıl|abad|tahun|taon)"
    r"|มกราคม|กุมภาพันธ์|มีนาคม|เมษายน|พฤษภาคม|มิถุนายน|กรกฎาคม|สิงหาคม|กันยายน|ตุลาคม|พฤศจิกายน|ธันวาคม|พ\.ศ|ค\.ศ|ศตวรรษ"
    r"|\d\s*年|\d\s*月|\d\s*日|世纪|世紀|年代"
)


@lru_cache(maxsize=65536)
def kind(option: str) -> str:
    """One of `KINDS`, by form alone; see the module's limits."""
    text = " ".join(unicodedata.normalize("NFKC", option).split()).strip(" .,;:!?。，；：！？\"'“”‘’«»()[]")
    words = [word for word in re.split(r"[\s\-–—/]+", text) if any(c.isalnum() for c in word)]
    digits = any(unicodedata.category(c) == "Nd" for c in text)
    short = len(words) <= _LONGEST_DATE and len(text) <= 40
    ascii_digits = "".join(str(unicodedata.decimal(c, c)) for c in text)
    if digits and short and (_YEAR.search(ascii_digits) or _DATE_WORDS.search(ascii_digits.casefold())):
        return "date"
    if (digits and short) or _HAN_NUMERALS.fullmatch(text):
        return "number"
    letters = [word for word in words if any(c.isalpha() for c in word)]
    capitals = [word for word in letters if next(c for c in word if c.isalpha()).isupper()]
    small = [word for word in letters if word not in capitals]
    if letters and letters[0] in capitals and len(words) <= _LONGEST_NAME and all(len(w) <= _PARTICLE for w in small):
        return "name"
    return "phrase"
