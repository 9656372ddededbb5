"""Masking, kinds, gates and the reply store, each by itself."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from recipes.common import text_checks as gates
from recipes.llm.endpoint import retry_after
from recipes.llm.replies import FormatError, read_reply
from recipes.llm.store import ReplyStore
from recipes.translation import masking
from recipes.translation.engines.base import make_request
from recipes.translation.kinds import is_code, untranslatable

MARK = "⟦{}⟧"


# -- masking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Run `ls -l` now.", "Run ⟦0⟧ now."),
        ("See https://example.org/a?b=1#c, please.", "See ⟦0⟧, please."),
        ("(see http://example.org/x)", "(see ⟦0⟧)"),
        ("Visit www.example.org/page.", "Visit ⟦0⟧."),
        ("Mail a.b+c@mail.example.org.", "Mail ⟦0⟧."),
        ("Dear {name}, you owe ${amount} and %s for {{item}}.", "Dear ⟦0⟧, you owe ⟦1⟧ and ⟦2⟧ for ⟦3⟧."),
        ("Dear [FIRST NAME], hello [1] and [link](http://e.org).", "Dear ⟦0⟧, hello [1] and [link](⟦1⟧)."),
        ('Click <a href="x">here</a> or <br/>, if 3 < 4 > 2.', "Click ⟦0⟧here⟦1⟧ or ⟦2⟧, if 3 < 4 > 2."),
        ("It cost $1,250.50 in 2020, or 3 dollars, up 5%.", "It cost $⟦0⟧ in ⟦1⟧, or 3 dollars, up ⟦2⟧."),
        ("In the 1990s, at 7:30, on version 3.11.2.", "In the 1990s, at ⟦0⟧, on version ⟦1⟧."),
        (r"Solve \(x^2 = 4\) and $$y = 1$$ for $5 each.", "Solve ⟦0⟧ and ⟦1⟧ for $5 each."),
        ("Before\n```python\nprint(1)\n```\nafter `x`.", "Before\n⟦0⟧\nafter ⟦1⟧."),
        ("A mark of ours: ⟦0⟧ and {x}", "A mark of ours: ⟦0⟧ and ⟦1⟧"),
        ("100% of 50 apples", "⟦0⟧ of 50 apples"),
        ("Just words, 12 of them.", "Just words, 12 of them."),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    result = masking.mask({"a": text}, MARK)
    assert result.fields == {"a": masked}
    assert masking.unmask(result, result.fields) == {"a": text}


@given(
    st.lists(
        st.sampled_from(["{x} ", "`c`", "⟦0⟧", "⟦ 3 ⟧", "1,234", "5", " word ", "\n", "```\ncode\n```\n", "a@b.org "])
    )
)
def test_unmasking_undoes_masking(pieces: list[str]) -> None:
    fields = {"a": "".join(pieces), "b": "".join(reversed(pieces))}
    for numbers in masking.NUMBERS:
        masked = masking.mask(fields, MARK, numbers)
        assert masking.unmask(masked, masked.fields) == fields


@given(st.text(), st.text())
def test_unmasking_undoes_masking_of_any_text(first: str, second: str) -> None:
    fields = {"a": first, "b": second}
    masked = masking.mask(fields, MARK, "all")
    assert masking.unmask(masked, masked.fields) == fields


def test_marks_may_move_within_a_field_and_gain_blanks() -> None:
    masked = masking.mask({"a": "Give {x} to {y}."}, MARK)
    assert masking.unmask(masked, {"a": "Para ⟦ 1 ⟧, dale ⟦0⟧."}) == {"a": "Para {y}, dale {x}."}


@pytest.mark.parametrize(
    ("a", "b"), [("⟦0⟧", "⟦2⟧ x"), ("⟦0⟧ ⟦1⟧ ⟦1⟧", "⟦2⟧"), ("⟦0⟧ ⟦1⟧ ⟦3⟧", "⟦2⟧"), ("⟦0⟧ ⟦2⟧", "⟦1⟧")]
)
def test_lost_doubled_invented_and_swapped_marks_are_refused(a: str, b: str) -> None:
    masked = masking.mask({"a": "{x} and {y}", "b": "{z}"}, MARK)
    with pytest.raises(masking.MaskError):
        masking.unmask(masked, {"a": a, "b": b})


def test_words_are_what_is_left_outside_the_marks() -> None:
    assert not masking.has_words("⟦0⟧ + 5 = ?", MARK)
    assert masking.has_words("⟦0⟧ 个", MARK)


# -- replies -----------------------------------------------------------------------------------------------------------


def test_joint_replies_are_objects_of_exactly_these_fields() -> None:
    request = make_request({}, {"instruction": "a", "output": "b"}, "en", "es", 0)
    good = '{"instruction": " uno ", "output": "dos"}'
    for text in (good, f"```json\n{good}\n```", f"<think>hm {{}}</think>\n{good}"):
        assert read_reply(request, text, joint=True) == {"instruction": "uno", "output": "dos"}
    for text in ("", "uno", good[:-3], f"Here: {good}", "[1]", '{"instruction": "x"}', good.replace('"dos"', "2"),
                 '{"instruction": "a", "output": "b", "input": "c"}', '{"instruction": "a", "output": "\\ud800"}',
                 '{"instruction": "a", "output": "caf\ufffd"}'):  # fmt: skip
        with pytest.raises(FormatError):
            read_reply(request, text, joint=True)


def test_a_key_changes_with_whatever_changes_the_answer() -> None:
    def key(**changes: object) -> str:
        given = {"identity": {"model": "m", "seed": 0}, "fields": {"output": "x"}, "source": "en", "target": "es"}
        return make_request(**{**given, "attempt": 0, **changes}).key  # type: ignore[arg-type]

    keys = [key(), key(identity={"model": "n", "seed": 0}), key(identity={"model": "m", "seed": 1}), key(target="zh"),
            key(fields={"input": "x"}), key(fields={"output": "y"}), key(attempt=1), key(source="de")]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == key(identity={"seed": 0, "model": "m"})


def test_retry_after_is_a_number_or_a_date() -> None:
    import email.utils
    import time

    assert retry_after("3") == 3.0
    assert retry_after("-3") == 0.0
    assert math.isclose(retry_after(email.utils.formatdate(time.time() + 30, usegmt=True)) or 0, 30, abs_tol=1.5)
    assert retry_after(None) is None
    assert retry_after("soon") is None


# -- kinds -------------------------------------------------------------------------------------------------------------

NOT_FOR_TRANSLATION = {
    "translation": [
        "Translate the following sentence into French.",
        "How do you say good morning in Spanish?",
        "Rewrite this sentence in German.",
        "What does the Latin phrase carpe diem mean?",
        "Identify the language of this sentence.",
        "Which language is this text written in?",
        "Explain the meaning of the idiom below.",
    ],
    "spelling_grammar": [
        "Correct the spelling of the word below.",
        "Fix the grammar in this sentence.",
        "Proofread the paragraph.",
        "Add punctuation to the text.",
        "Find the error in the following sentence.",
        "Change the sentence to the passive voice.",
        "Rewrite it in the past tense.",
        "Identify the verb in the following sentence.",
        "Convert this title to title case.",
        "Give the plural form of this noun.",
        "How do you spell the name of this city?",
    ],
    "wordplay": [
        "Make up a pun about cheese.",
        "Write a poem that rhymes.",
        "Compose a haiku about autumn.",
        "Is this word a palindrome?",
        "Solve the riddle.",
        "What does the acronym stand for?",
        "Write a tongue twister.",
    ],
    "letters": [
        "Count the letters in the word banana.",
        "How many vowels are in this sentence?",
        "Name five animals that start with the letter B.",
        "List three fruits starting with 'P'.",
        "Give a name that begins with K.",
        "Sort the list alphabetically.",
        "Unscramble the word.",
        "Reverse the string.",
        "Divide the word into syllables.",
    ],
}
FOR_TRANSLATION = [
    "Name three benefits of walking.",
    "Write a letter to a friend about your holiday.",
    "Write a story about a magic spell.",
    "Which language is spoken in Brazil?",
    "How many people live in the capital of Japan?",
    "Count the apples in the basket.",
    "Describe the main subject of the following text.",
    "Start with a plan and end with a summary.",
    "Convert 50 dollars to Turkish lira.",
    "Explain how a bill becomes law.",
    "Find the error in the following calculation.",
    "Suggest a title for this article.",
    "What is the total number of chairs in the room?",
    "Give advice to a person who begins with running.",
    "Summarise the passage in one sentence.",
    "Write an essay of 200 words on the present state of farming.",
    "Classify the following items as fruit or vegetable.",
    "Compare French and Italian cooking.",
    "What are the characters in this play like?",
    "Explain the term inflation in simple words.",
]


@pytest.mark.parametrize(
    ("kind", "instruction"), [(k, text) for k, texts in NOT_FOR_TRANSLATION.items() for text in texts]
)
def test_kinds_that_are_not_translated(kind: str, instruction: str) -> None:
    found = untranslatable({"instruction": instruction, "input": "", "output": "Something."})
    assert found is not None
    assert found[0] == kind
    assert untranslatable({"instruction": instruction, "input": "", "output": "Something."}, kinds=["foreign"]) is None


@pytest.mark.parametrize("instruction", FOR_TRANSLATION)
def test_ordinary_rows_are_translated(instruction: str) -> None:
    assert untranslatable({"instruction": instruction, "input": "", "output": "It is 5 = 5; that is all."}) is None


def test_code_is_seen_but_not_in_fences_and_not_in_prose() -> None:
    code = "def add(a, b):\n    total = a + b\n    return total\n\nprint(add(1, 2))"
    for snippet in (
        code,
        "SELECT name FROM people WHERE age > 30;",
        "<div>\n<p>Hello</p>\n</div>",
        "for (int i = 0; i < 3; i++) {\n x++;\n}",
        "if 10 <= x <= 20:",
        "total = 0\nfor n in [1, 2]:\n    total += n",
    ):
        assert is_code(snippet), snippet
    for prose in (
        f"Here it is:\n```python\n{code}\n```\nIt adds.",
        "1. Mix the flour.\n2. Add water: a cup.\n3. Bake (an hour).",
        "Q = m * c * dT, which is the heat that the water takes up.",
        "If you are late, call me.",
        "For the sauce: take two eggs.",
        "",
    ):
        assert not is_code(prose), prose


def test_rows_without_words_or_in_another_script_are_seen() -> None:
    assert untranslatable({"instruction": "12 + 5 = ?", "input": "", "output": "17"}) == ("no_words", "12 + 5 = ?")
    found = untranslatable({"instruction": "Say it", "input": "", "output": "Доброе утро, дорогие друзья"})
    assert found is not None
    assert found[0] == "foreign"


def test_few_of_the_packaged_rows_are_taken_for_untranslatable() -> None:
    from recipes.mixes.sources import SourceSpec
    from recipes.translation.rows import read_source

    for name in ("packaged:seed_mini", "packaged:base_mini"):
        rows = read_source(SourceSpec(name, ("en",))).rows
        taken = {row.fields["instruction"]: found for row in rows if (found := untranslatable(row.fields))}
        assert len(taken) <= 0.05 * len(rows), taken


# -- gates -------------------------------------------------------------------------------------------------------------


def pair(source: str, target: str, language: str = "es") -> list[gates.Pair]:
    return [gates.Pair("output", source, target, source, target, "en", language)]


ENGLISH = "The train leaves at noon and arrives in the old town before dinner, so that we can still visit the museum."
SPANISH = "El tren sale al mediodía y llega a la ciudad vieja antes de la cena, para que aún podamos visitar el museo."
CHINESE = "火车中午出发，晚饭前到达老城，这样我们还能参观博物馆。"


@pytest.mark.parametrize(("target", "language"), [(SPANISH, "es"), (CHINESE, "zh")])
def test_a_good_translation_passes_every_gate(target: str, language: str) -> None:
    built = gates.build_gates(gates.GATES, ["en", "es", "zh", "vi"])
    assert gates.first_finding(built, pair(ENGLISH, target, language)) is None


@pytest.mark.parametrize(
    ("source", "target", "lost"),
    [
        ("It took 25 days.", "Tardó 25 días.", False),
        ("It took 25 days.", "Tardó veinticinco días.", True),
        ("It took 5 days.", "Tardó cinco días.", False),
        ("About 20 million people.", "约有2000万人。", False),
        ("They were 1,250 in all.", "Eran 1.250 en total.", False),
        ("They were 1,250 in all.", "Eran 1 250 en total.", False),
        ("In 2021 it was 12.", "في ٢٠٢١ كان ١٢.", False),
        ("The year 2021", "El año 2012", True),
        ("Meet at 10 pm.", "晚上二十二点见。", False),
        ("25 and 25 again", "25 y otra vez 25", False),
        ("There are 25.", "Hay 2 o 5.", True),
        ("1,000,000 and 12", "1.000.000 y 12", False),
        ("from 10 to 20 of 1500", "de 10 a 20 de 1 500", False),
    ],
)
def test_numbers_are_kept(source: str, target: str, lost: bool) -> None:
    assert (gates.gate_numbers(pair(source, target)) is not None) == lost


def test_length_depends_on_the_language() -> None:
    assert gates.gate_length(pair(ENGLISH, CHINESE, "zh")) is None
    assert gates.gate_length(pair(ENGLISH, CHINESE, "es")) is not None  # as Spanish this is far too short
    assert gates.gate_length(pair(ENGLISH, SPANISH, "es")) is None
    assert gates.gate_length(pair(ENGLISH, SPANISH, "zh")) is not None  # as Chinese far too long
    assert gates.gate_length(pair("Yes.", "Sí.")) is None
    assert gates.gate_length(pair("Yes.", SPANISH)) is not None


def test_copies_are_seen_but_names_may_stay() -> None:
    assert gates.gate_copy(pair(ENGLISH, ENGLISH.upper())) is not None
    assert gates.gate_copy(pair(ENGLISH, "Bueno: " + ENGLISH[:80])) is not None
    assert gates.gate_copy(pair("Marie Curie", "Marie Curie")) is None
    assert gates.gate_copy(pair(ENGLISH, SPANISH)) is None


def test_repetition_is_measured_against_the_source() -> None:
    assert gates.gate_repetition(pair(ENGLISH * 3, SPANISH[:12] * 30)) is not None
    assert gates.gate_repetition(pair(ENGLISH, CHINESE[:4] * 20, "zh")) is not None
    assert gates.gate_repetition(pair("ha " * 60, "ja " * 60)) is None  # the source says it so too
    assert gates.gate_repetition(pair(ENGLISH, SPANISH)) is None


def test_script_share() -> None:
    assert gates.gate_script(pair(ENGLISH, SPANISH, "zh")) is not None
    assert gates.gate_script(pair(ENGLISH, CHINESE, "es")) is not None
    assert gates.gate_script(pair(ENGLISH, "Word 和 Excel 是办公软件，可以写文章和做表格。", "zh")) is None
    assert gates.gate_script(pair("Hi", "Hi", "zh")) is None  # too short to say
    assert gates.gate_script(pair(ENGLISH, "電車は正午に出て、夕食前に旧市街に着きます。", "ja")) is None


def test_language_gate_is_lenient_with_short_texts_and_near_languages() -> None:
    gate = gates.LanguageGate(["en", "es", "id", "ms", "fil"])
    assert gate(pair(ENGLISH, ENGLISH, "es")) is not None
    assert gate(pair(ENGLISH, SPANISH, "es")) is None
    assert gate(pair("No.", "No.", "es")) is None
    malay = (
        "Kereta api bertolak pada tengah hari dan tiba di bandar lama sebelum makan malam, supaya kita dapat melawat."
    )
    assert gate(pair(ENGLISH, malay, "id")) is None
    assert gate(pair(ENGLISH, malay, "fil")) is not None


def test_unknown_gates_are_refused() -> None:
    with pytest.raises(CrossinError, match="unknown gate 'lenght'"):
        gates.build_gates(["lenght"], ["en"])


def test_the_gates_pass_translations_by_people(shared: Path) -> None:
    """XQuAD's professional translations: nearly all must pass, and the wrong language must not."""
    texts: dict[str, list[str]] = {}
    for language in ("en", "es", "zh", "vi", "ar", "hi", "ru", "th"):
        data = json.loads((shared / "data" / "xquad" / f"xquad.{language}.json").read_text("utf-8"))["data"]
        texts[language] = [
            text
            for article in data[::6]
            for p in article["paragraphs"]
            for text in (p["context"], p["qas"][0]["question"])
        ]
    built = gates.build_gates(gates.GATES, texts)
    failed: dict[str, list[str]] = {}
    for language in list(texts)[1:]:
        for source, target in zip(texts["en"], texts[language], strict=True):
            finding = gates.first_finding(built, pair(source, target, language))
            if finding is not None:
                failed.setdefault(language, []).append(f"{finding.reason}: {finding.detail}: {source[:60]}")
    n = len(texts["en"])
    assert n >= 60
    for language, reasons in failed.items():
        assert len(reasons) <= 0.04 * n, (language, reasons)  # one or two each, most with a number that did change
    seen = [
        gates.first_finding(built, pair(source, target, "es")) is not None
        for source, target in zip(texts["en"], texts["vi"], strict=True)
    ]
    assert sum(seen) >= 0.95 * n


# -- the store ---------------------------------------------------------------------------------------------------------


def test_the_store_keeps_what_it_was_given(tmp_path: Path) -> None:
    values = {f"{k:064x}": {"text": f"línea\n{k} 😀 \u2028", "finish_reason": "stop"} for k in range(200)}
    with ReplyStore(tmp_path) as store:
        for key, value in values.items():
            store.add(key, value)
            assert store.get(key) == value
        store.add(next(iter(values)), {"text": "another", "finish_reason": "stop"})  # the first stays
    with ReplyStore(tmp_path, read_only=True) as store:
        assert len(store) == len(values)
        assert {key: store.get(key) for key in values} == values
        assert store.get("absent") is None
        with pytest.raises(CrossinError):
            store.add("new", {})


@given(cut=st.integers(min_value=0, max_value=400))
def test_any_half_written_end_is_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("store")
    with ReplyStore(folder) as store:
        for k in range(4):
            store.add(f"{k:064x}", {"text": "x" * 20, "finish_reason": "stop"})
    path = folder / "replies-00000.jsonl"
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[: len(whole) - cut])
    left = whole[: len(whole) - cut].count(b"\n")
    with ReplyStore(folder) as store:
        assert len(store) == left
        assert len(store.cut) == (not whole[: len(whole) - cut].endswith(b"\n") and cut < len(whole))
        for k in range(4):
            store.add(f"{k:064x}", {"text": "x" * 20, "finish_reason": "stop"})
    assert path.read_bytes() == whole


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    with ReplyStore(tmp_path) as store:
        for k in range(3):
            store.add(f"{k:064x}", {"text": "hello", "finish_reason": "stop"})
    path = tmp_path / "replies-00000.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for position in range(first + 1):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(CrossinError, match=r"replies-00000\.jsonl:1: damaged"):
            ReplyStore(tmp_path)
    path.write_bytes(whole)
    with ReplyStore(tmp_path) as store:
        assert len(store) == 3


def test_the_lock_dies_with_its_owner(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from recipes.llm.store import ReplyStore\n"
        f"store = ReplyStore(Path({str(tmp_path)!r})); print('open', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    with pytest.raises(CrossinError, match=f"process {owner.pid} is writing"):
        ReplyStore(tmp_path)
    owner.kill()
    owner.wait()
    with ReplyStore(tmp_path) as store:
        assert len(store) == 0


def test_the_packaged_translations_pass_every_gate() -> None:
    """Sixty-odd rows that people wrote in four languages, with lists, sums, code, tables and names in them."""
    from recipes.mixes.sources import SourceSpec
    from recipes.translation.rows import read_source

    rows = {
        language: read_source(SourceSpec("packaged:seed_mini", (language,))).rows
        for language in ("en", "zh", "vi", "es")
    }
    built = gates.build_gates(gates.GATES, rows)
    findings = []
    for language in ("zh", "vi", "es"):
        for source, target in zip(rows["en"], rows[language], strict=True):
            pairs = [
                gates.Pair(name, text, target.fields[name], text, target.fields[name], "en", language)
                for name, text in source.fields.items()
                if text
            ]
            finding = gates.first_finding(built, pairs)
            if finding is not None:
                findings.append((language, source.id, finding))
    assert findings == []
