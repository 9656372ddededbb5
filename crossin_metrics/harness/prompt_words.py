"""The words of the prompt in each row's own language: passage, question, answer, and the punctuation after them.

A language is here only if its words are vouched for and the answer parser reads its answer cue; others are asked in
English, and the signature names them.
"""

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
    "af": Words("Teks", "Vraag", "Antwoord"),
    "ar": Words("النص", "السؤال", "الإجابة"),
    "az": Words("Mətn", "Sual", "Cavab"),
    "be": Words("Тэкст", "Пытанне", "Адказ"),
    "bg": Words("Текст", "Въпрос", "Отговор"),
    "bn": Words("অনুচ্ছেদ", "প্রশ্ন", "উত্তর"),
    "bs": Words("Tekst", "Pitanje", "Odgovor"),
    "ca": Words("Text", "Pregunta", "Resposta"),
    "cs": Words("Text", "Otázka", "Odpověď"),
    "da": Words("Tekst", "Spørgsmål", "Svar"),
    "de": Words("Text", "Frage", "Antwort"),
    "el": Words("Κείμενο", "Ερώτηση", "Απάντηση"),
    "en": Words("Passage", "Question", "Answer"),
    "es": Words("Texto", "Pregunta", "Respuesta"),
    "et": Words("Tekst", "Küsimus", "Vastus"),
    "eu": Words("Testua", "Galdera", "Erantzuna"),
    "fa": Words("متن", "پرسش", "پاسخ"),
    "fi": Words("Teksti", "Kysymys", "Vastaus"),
    "fil": Words("Talata", "Tanong", "Sagot"),
    "fr": Words("Texte", "Question", "Réponse", " :"),
    "gl": Words("Texto", "Pregunta", "Resposta"),
    "he": Words("טקסט", "שאלה", "תשובה"),
    "hi": Words("अनुच्छेद", "प्रश्न", "उत्तर"),
    "hr": Words("Tekst", "Pitanje", "Odgovor"),
    "hu": Words("Szöveg", "Kérdés", "Válasz"),
    "hy": Words("Տեքստ", "Հարց", "Պատասխան"),
    "id": Words("Bacaan", "Pertanyaan", "Jawaban"),
    "it": Words("Testo", "Domanda", "Risposta"),
    "ja": Words("文章", "質問", "答え", "：", ""),
    "ka": Words("ტექსტი", "კითხვა", "პასუხი"),
    "ko": Words("지문", "질문", "정답"),
    "lt": Words("Tekstas", "Klausimas", "Atsakymas"),
    "lv": Words("Teksts", "Jautājums", "Atbilde"),
    "mk": Words("Текст", "Прашање", "Одговор"),
    "mr": Words("उतारा", "प्रश्न", "उत्तर"),
    "ms": Words("Petikan", "Soalan", "Jawapan"),
    "ne": Words("अनुच्छेद", "प्रश्न", "उत्तर"),
    "nl": Words("Tekst", "Vraag", "Antwoord"),
    "no": Words("Tekst", "Spørsmål", "Svar"),
    "pl": Words("Tekst", "Pytanie", "Odpowiedź"),
    "pt": Words("Texto", "Pergunta", "Resposta"),
    "ro": Words("Text", "Întrebare", "Răspuns"),
    "ru": Words("Текст", "Вопрос", "Ответ"),
    "sk": Words("Text", "Otázka", "Odpoveď"),
    "sl": Words("Besedilo", "Vprašanje", "Odgovor"),
    "sq": Words("Teksti", "Pyetja", "Përgjigjja"),
    "sr": Words("Текст", "Питање", "Одговор"),
    "sv": Words("Text", "Fråga", "Svar"),
    "sw": Words("Kifungu", "Swali", "Jibu"),
    "ta": Words("பத்தி", "கேள்வி", "பதில்"),
    "te": Words("వచనం", "ప్రశ్న", "సమాధానం"),
    "th": Words("ข้อความ", "คำถาม", "คำตอบ"),
    "tr": Words("Metin", "Soru", "Cevap"),
    "uk": Words("Текст", "Питання", "Відповідь"),
    "ur": Words("متن", "سوال", "جواب"),
    "vi": Words("Đoạn văn", "Câu hỏi", "Đáp án"),
    "zh": Words("文章", "问题", "答案", "：", ""),
}
