"""The words by which answers are announced, denied and refused, one table per language; `answers.py` reads with them.

Every pattern is matched on cleaned text (NFKC, so full-width colons and brackets are ASCII), ignoring case.
All languages are tried on every text, because models often answer a Malay question in English or Chinese.
"""

from __future__ import annotations

import re

# Each cue ends where the answer itself begins. `gap` may hold words between announcement and verb ("the answer
# *to the question* is"): a gap with a negation or another letter voids the cue.
CUES: dict[str, tuple[str, ...]] = {
    "en": (
        r"\b(?:answers?|(?:correct|right|best|appropriate|accurate|proper|suitable|fitting|likely|closest|final)\s+"
        r"(?:\w+\s+)?(?:option|choice|response|one|statement|conclusion))\b(?P<{gap}>[^.\n:;]{{0,80}}?)"
        r"(?:\b(?:is|was|would\ be|should\ be|must\ be|will\ be|has\ to\ be)\b|:|\s-(?=\s))"
        r"(?:\s+(?:most\ likely|likely|probably|therefore|thus|clearly|definitely|simply|indeed|actually))?",
        r"\b(?:I|we)(?:\s+would|\s+will|'d|'ll)?\s+(?:choose|chose|pick|select|go\ with|opt\ for)\b",
        r"\b(?:supports?|corresponds\ to|matches)\s+(?=option\b|choice\b|answer\b)",
    ),
    "zh": (
        r"(?:答案|选项|选择|回答)(?P<{gap}>[^。\n;,:]{{0,24}}?)(?:应该?是|应为|是|为|:)",
        r"(?:答案】?|应选择?|故选择?|应该选择?|可选择?|选择|选)\s*:?\s*(?=\(?[A-J](?![A-Za-z]))",
        r"的(?:是|为)\s*:?\s*(?=\(?[A-J](?![A-Za-z]))",
    ),
    "vi": (
        r"\b(?:đáp\ án|câu\ trả\ lời|trả\ lời|(?:lựa\ chọn|phương\ án|kết\ luận|nhận\ định)(?=[^.\n:]{{0,20}}"
        r"(?:đúng|chính\ xác|phù\ hợp|hợp\ lý|tốt\ nhất)))\b(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:sẽ\ )?là\b|:)",
        r"\b(?:vậy|nên|tôi|ta|hãy)\s+chọn\b",
        r"(?<!lựa\ )\bchọn\s*(?:đáp\ án|phương\ án)?\s*:?\s*(?=\(?[A-J]\b)",
    ),
    "es": (
        r"\b(?:respuesta|mejor\ opción|(?:opción|alternativa|elección|afirmación)(?=\s+(?:más\s+)?"
        r"(?:correcta|adecuada|apropiada|acertada|precisa|probable)))\b(?P<{gap}>[^.\n:;]{{0,60}}?)"
        r"(?:\b(?:es|sería|será|debe\ ser|debería\ ser)\b|:)",
        r"\bla\s+(?:opción\s+)?correcta\s+es\b",
        r"\b(?:elijo|elegiría|escojo|escogería|selecciono|me\ quedo\ con)\b",
    ),
    "id": (
        r"\b(?:jawaban(?:nya)?|(?:pilihan|opsi|pernyataan)(?=[^.\n:]{{0,30}}(?:benar|tepat|sesuai|akurat)))\b"
        r"(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:adalah|ialah|yaitu|merupakan)\b|:)",
        r"\bjawa[bp]annya\s+(?=\(?[A-J]\b)",
        r"\bsaya\s+(?:akan\s+)?(?:memilih|pilih)\b",
    ),
    "ms": (
        r"\b(?:jawapan(?:nya)?|(?:pilihan|opsyen|kenyataan)(?=[^.\n:]{{0,30}}(?:betul|tepat|sesuai)))\b"
        r"(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:adalah|ialah|iaitu|merupakan)\b|:)",
    ),
    "fil": (
        r"\b(?:sagot|kasagutan|tugon|tamang\ (?:pagpipilian|opsyon|pagpili))\b(?P<{gap}>[^.\n:;]{{0,60}}?)"
        r"(?:\b(?:ay|ang)\b|:)",
        r"\bpinipili\s+ko\b",
    ),
    "fr": (r"\bréponse\b(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:est|serait)\b|:)",),
    "de": (r"\bantwort\b(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:ist|lautet|wäre)\b|:)",),
    "pt": (r"\bresposta\b(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:é|seria)\b|:)",),
    "it": (r"\brisposta\b(?P<{gap}>[^.\n:;]{{0,60}}?)(?:\b(?:è|sarebbe)\b|:)",),
    "ru": (r"\bответ\b(?P<{gap}>[^.\n:;]{{0,40}}?)(?:[:—-]|\bэто\b|\bбудет\b)",),
    "ja": (r"(?:答え|正解|解答|回答)(?P<{gap}>[^。\n:]{{0,12}}?)(?:は|:)",),
    "ko": (r"(?:정답|답)(?P<{gap}>[^.\n:]{{0,12}}?)(?:은|는|:)",),
    "th": (r"คำตอบ(?P<{gap}>[^\n:]{{0,30}}?)(?:คือ|:)",),
    "ar": (r"(?:الإجابة|الجواب)(?P<{gap}>[^.\n:]{{0,30}}?)(?:\bهي\b|\bهو\b|:)",),
    "hi": (r"उत्तर(?P<{gap}>[^।\n:]{{0,30}}?)(?:है|:)",),
    "tr": (r"\b(?:cevap|yanıt)\b(?P<{gap}>[^.\n:]{{0,30}}?):",),
    "sw": (r"\bjibu\b(?P<{gap}>[^.\n:]{{0,40}}?)(?:\bni\b|:)",),
}

# What follows a letter that is thereby named as the answer: "(B) is correct".
ENDORSED: dict[str, str] = {
    "en": r"(?:is|would\ be|must\ be|seems)\s+(?:therefore\s+|thus\s+|most\s+likely\s+|likely\s+)?"
    r"(?:the\s+)?(?:most\s+)?(?:correct|right|best|accurate|appropriate|answer)\b",
    "zh": r"(?:选?项)?\s*(?:是|为)?(?:最)?(?:正确|恰当|合适|符合(?:题意|要求|条件))",
    "vi": r"(?:chính\s+)?là\s+(?:đáp\ án|câu\ trả\ lời|lựa\ chọn|phương\ án)(?!\s+(?:sai|không))|"
    r"là\s+đúng|đúng(?!\s+hay)",
    "es": r"(?:es|sería)\s+(?:la\s+)?"
    r"(?:(?:respuesta|opción)\b(?!\s+(?:incorrecta|errónea))|(?:más\s+)?(?:correcta|adecuada))",
    "id": r"(?:adalah|ialah|merupakan)?\s*(?:jawaban\s+|pilihan\s+)?(?:yang\s+)?(?:paling\s+)?(?:benar|tepat)\b",
    "ms": r"(?:adalah|ialah|merupakan)?\s*(?:jawapan\s+|pilihan\s+)?(?:yang\s+)?(?:paling\s+)?(?:betul|tepat)\b",
    "fil": r"ang\s+(?:(?:aking\s+)?(?:tamang\s+)?sagot|tama)\b|ay\s+(?:ang\s+)?tama",
}

# The word "option" before a letter; also skipped between a cue and its letter.
OPTION_WORD = (
    r"(?:(?:the|la|el|ang|的)\s+)?(?:option|choice|answer|letter|opción|alternativa|letra|respuesta|选项|答案|选择|"
    r"lựa\ chọn|đáp\ án|phương\ án|câu|pilihan|jawaban|jawapan|opsi|opsyen|huruf|titik|sagot|pagpipilian|opsyon)"
    r"(?:\s+(?:number|letter|đúng|correcta))?"
)

# Words after which a bare capital still is a letter: "the answer is A because".
CONNECTIVE = (
    r"(?:because|since|as|for|which|that|based|due|with|therefore|"
    r"porque|ya\ que|pues|debido|puesto|dado|因为|由于|吧|项|选项|"
    r"vì|bởi|do|dựa|karena|kerana|sebab|disebabkan|dahil|sapagkat|kasi|parce|car|weil|da)"
)

# What may stand between the beginning of a clause and a bare letter that is its subject: "so B is correct".
SO = (
    r"(?:\b(?:so|thus|hence|therefore|then|that|only|and|but|vậy|nên|jadi|maka|kaya|por\ (?:lo\ )?tanto|así\ que)|"
    r"因此|所以|故|只有|可见|显然|认为)"
)

# Between two letters that are named together.
TOGETHER = (
    r"(?:,|/|&|\+|、|;|and|or|y|o|u|e|和|或者?|及|与|还是|và|hoặc|hay|dan|atau|at|dan/atau|and/or|et|ou|und|oder)"
)

NEGATION: dict[str, str] = {
    "en": r"\bnot\b|n't\b|\bcannot\b|\bno\b|\bnever\b|\bneither\b|\bnor\b|\bnone\b|\bexcept\b|\bincorrect\b|\bwrong\b|"
    r"\bfalse\b|\bunlikely\b|\brather\ than\b|\binstead\ of\b|\bunlike\b|\beliminate\b|\brule\ out\b",
    "zh": r"不|没|非(?!洲|常)|无|错|未",
    "vi": r"\bkhông\b|\bchẳng\b|\bchưa\b|\bsai\b",
    "es": r"\bno\b|\bnunca\b|\bni\b|\bningun[oa]?\b|\bningún\b|\bincorrect[oa]\b|\bfals[oa]\b|\bexcepto\b|\bsin\b",
    "id": r"\btidak\b|\bbukan\b|\btak\b|\btanpa\b|\bsalah\b|\bkecuali\b|\bbelum\b|\btiada\b",
    "fil": r"\bhindi\b|\bwala(?:ng)?\b|\bmali(?:ng)?\b|\bmaliban\b|\bhuwag\b",
    "other": r"\bne\s+\w+\s+pas\b|\bnicht\b|\bkeine?\b|\bnão\b|\bnon\b|\bне\b|"
    r"ない|않|아니|ไม่|\bليس|नहीं|\bdeğil|\bsi(?:yo|\ )\b",
}

# A condition or an open question before a cue: nothing is claimed.
CONDITION = (
    r"\b(?:if|whether|suppose|assuming|unless|si|nếu|giả\ sử|jika|kalau|apabila|sekiranya|kung)\b|"
    r"\b(?:don't|do\ not|doesn't|not)\s+(?:think|believe|sure)\b|\bdoubt\b|\bno\ creo\b|"
    r"如果|若|假如|假设|是否"
)

# What stands in the place of the answer when there is none.
NO_OPTION = (
    r"(?:none\b|neither\b|not\s+(?:\w+\s+){0,2}(?:listed|among|given|provided|available|present|here|clear|possible)|"
    r"ningun[ao]\b|以上都不|都不|没有|không\ có|tidak\ ada|tiada|wala\b|unclear\b|unknown\b|not\ any)"
)

# Sentences that decline to answer; consulted only where no answer is announced.
REFUSAL = (
    r"\bnone\ of\ (?:the|these|those|them)\b|"
    r"\b(?:can\s?not|can't|unable\ to|could\ not|difficult\ to|impossible\ to)\s+"
    r"(?:\w+\s+)?(?:answer|determine|provide|generate|tell|choose|decide|say|assist|help)\b|"
    r"\bas\ an\ (?:ai|artificial)\b|\b(?:i'm|i\ am|we're)?\s*sorry\b|\bnot\ enough\ (?:information|context)\b|"
    r"\b(?:correct\ )?answer\ is\ not\b|\bplease\ (?:provide|answer|choose|select)\b|\berror\ in\ the\b|"
    r"无法|抱歉|对不起|不确定|不知道|没有正确|以上都不|都不正确|"
    r"\bxin\ lỗi\b|\bkhông\ thể\ (?:trả\ lời|xác\ định)|\bkhông\ có\ (?:đáp\ án|lựa\ chọn|phương\ án)\b|\bkhông\ đủ\b|"
    r"\blo\ siento\b|\bno\ (?:puedo|es\ posible|tengo|hay)\b|\bningun[ao]\ de\ l[ao]s\b|"
    r"\bmaaf\b|\btidak\ (?:dapat|bisa|boleh|ada|cukup)\b|\btiada\ (?:jawapan|pilihan)\b|"
    r"\bpaumanhin\b|\bhindi\ (?:ko|ako|maaaring|matukoy)\b|\bwala(?:ng)?\ (?:sa|tamang)\b"
)

# A writer correcting what it said first: the last statement then counts.
CORRECTION = (
    r"\b(?:wait|correction|on\ second\ thought|i\ made\ a\ mistake|let\ me\ (?:re|correct)|espera|corrección|"
    r"tunggu|koreksi|pembetulan|ralat|teka|khoan|đính\ chính)|等等|更正|"
    r"(?:[.!?。\n]\s*)(?:actually|en\ realidad|sebenarnya|sa\ totoo|thực\ ra|其实|实际上)"
)

# Lines that open another question or another turn: a base model going on.
NEXT_QUESTION = (
    r"\d{1,3}[.)][ ][^\n]{5,400}\?[ ]*(?=\n)|"
    r"(?:\d+[.)][ ]*)?(?:question|q|pregunta|问题|题目|câu\ hỏi|soalan|pertanyaan|tanong|"
    r"katanungan|frage|domanda|pergunta)"
    r"\s*(?:no\.?\s*)?\d*\s*:"
)
TURN = r"(?:user|human|instruction|input|question|system)\b"
NEXT_TURN = r"(?:user|human|system)\s*:|#{2,}\s*" + TURN

# Capital letters that are words of their own, so that one before another word is no label.
WORD_LETTERS: dict[str, str] = {
    "en": "AI",
    "es": "AEO",
    "fr": "A",
    "pt": "AEO",
    "it": "AEIO",
    "vi": "A",
    "fil": "A",
    "ro": "AEO",
}


def compiled_cues() -> re.Pattern[str]:
    """All cues of all languages as one pattern; its groups named `gap...` hold the words to be checked."""
    parts = [cue.format(gap=f"gap_{code}{i}") for code, cues in CUES.items() for i, cue in enumerate(cues)]
    return re.compile("|".join(parts), re.IGNORECASE)


def any_of(table: dict[str, str]) -> str:
    """One alternation over a table's languages."""
    return "(?:" + "|".join(table.values()) + ")"
