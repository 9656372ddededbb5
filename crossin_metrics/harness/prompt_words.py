"""The words of the prompt in each row's own language: question, answer, and the punctuation after them.

A language is here only if its words are vouched for and the answer parser reads its answer cue; others are asked in
English, and the signature names them.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """Labels of a prompt's pieces; `space` goes between the answer cue and the answer."""

    question: str
    answer: str
    colon: str = ":"
    space: str = " "


WORDS: dict[str, Words] = {
    "af": Words("Vraag", "Antwoord"),
    "ar": Words("السؤال", "الإجابة"),
    "az": Words("Sual", "Cavab"),
    "be": Words("Пытанне", "Адказ"),
    "bg": Words("Въпрос", "Отговор"),
    "bn": Words("প্রশ্ন", "উত্তর"),
    "bs": Words("Pitanje", "Odgovor"),
    "ca": Words("Pregunta", "Resposta"),
    "cs": Words("Otázka", "Odpověď"),
    "da": Words("Spørgsmål", "Svar"),
    "de": Words("Frage", "Antwort"),
    "el": Words("Ερώτηση", "Απάντηση"),
    "en": Words("Question", "Answer"),
    "es": Words("Pregunta", "Respuesta"),
    "et": Words("Küsimus", "Vastus"),
    "eu": Words("Galdera", "Erantzuna"),
    "fa": Words("پرسش", "پاسخ"),
    "fi": Words("Kysymys", "Vastaus"),
    "fil": Words("Tanong", "Sagot"),
    "fr": Words("Question", "Réponse", " :"),
    "gl": Words("Pregunta", "Resposta"),
    "he": Words("שאלה", "תשובה"),
    "hi": Words("प्रश्न", "उत्तर"),
    "hr": Words("Pitanje", "Odgovor"),
    "hu": Words("Kérdés", "Válasz"),
    "hy": Words("Հարց", "Պատասխան"),
    "id": Words("Pertanyaan", "Jawaban"),
    "it": Words("Domanda", "Risposta"),
    "ja": Words("質問", "答え", "：", ""),
    "ka": Words("კითხვა", "პასუხი"),
    "ko": Words("질문", "정답"),
    "lt": Words("Klausimas", "Atsakymas"),
    "lv": Words("Jautājums", "Atbilde"),
    "mk": Words("Прашање", "Одговор"),
    "mr": Words("प्रश्न", "उत्तर"),
    "ms": Words("Soalan", "Jawapan"),
    "ne": Words("प्रश्न", "उत्तर"),
    "nl": Words("Vraag", "Antwoord"),
    "no": Words("Spørsmål", "Svar"),
    "pl": Words("Pytanie", "Odpowiedź"),
    "pt": Words("Pergunta", "Resposta"),
    "ro": Words("Întrebare", "Răspuns"),
    "ru": Words("Вопрос", "Ответ"),
    "sk": Words("Otázka", "Odpoveď"),
    "sl": Words("Vprašanje", "Odgovor"),
    "sq": Words("Pyetja", "Përgjigjja"),
    "sr": Words("Питање", "Одговор"),
    "sv": Words("Fråga", "Svar"),
    "sw": Words("Swali", "Jibu"),
    "ta": Words("கேள்வி", "பதில்"),
    "te": Words("ప్రశ్న", "సమాధానం"),
    "th": Words("คำถาม", "คำตอบ"),
    "tr": Words("Soru", "Cevap"),
    "uk": Words("Питання", "Відповідь"),
    "ur": Words("سوال", "جواب"),
    "vi": Words("Câu hỏi", "Đáp án"),
    "zh": Words("问题", "答案", "：", ""),
}
