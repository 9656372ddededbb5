"""The words of the prompt in each row's own language: passage, question, answer, and the punctuation after them."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """Labels of a prompt's pieces; `space` goes between the answer cue and the answer."""

    passage: str
    question: str
    answer: str
    colon: str = ":"
    space: str = " "


WORDS: dict[str, Words] = {
    "ar": Words("النص", "السؤال", "الإجابة"),
    "bn": Words("অনুচ্ছেদ", "প্রশ্ন", "উত্তর"),
    "de": Words("Text", "Frage", "Antwort"),
    "el": Words("Κείμενο", "Ερώτηση", "Απάντηση"),
    "en": Words("Passage", "Question", "Answer"),
    "es": Words("Texto", "Pregunta", "Respuesta"),
    "fil": Words("Talata", "Tanong", "Sagot"),
    "fr": Words("Texte", "Question", "Réponse", " :"),
    "hi": Words("अनुच्छेद", "प्रश्न", "उत्तर"),
    "id": Words("Bacaan", "Pertanyaan", "Jawaban"),
    "it": Words("Testo", "Domanda", "Risposta"),
    "ja": Words("文章", "質問", "答え", "：", ""),
    "ko": Words("지문", "질문", "정답"),
    "ms": Words("Petikan", "Soalan", "Jawapan"),
    "pt": Words("Texto", "Pergunta", "Resposta"),
    "ro": Words("Text", "Întrebare", "Răspuns"),
    "ru": Words("Текст", "Вопрос", "Ответ"),
    "sw": Words("Kifungu", "Swali", "Jibu"),
    "ta": Words("பத்தி", "கேள்வி", "பதில்"),
    "th": Words("ข้อความ", "คำถาม", "คำตอบ"),
    "tr": Words("Metin", "Soru", "Cevap"),
    "vi": Words("Đoạn văn", "Câu hỏi", "Đáp án"),
    "zh": Words("文章", "问题", "答案", "：", ""),
}
