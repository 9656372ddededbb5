"""The local engine on real models: tiny M2M100, Marian and T5 with random weights, their tokenizers trained here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes import translate_seed
from recipes.llm.replies import Reply, Request
from recipes.translation.config import EngineOptions
from recipes.translation.engines.base import make_request
from recipes.translation.engines.seq2seq import Seq2SeqEngine, find_tag
from recipes.translation.sentences import lay_out

TEXT = [
    "The market near the harbour opens early in the morning, and many people come to buy fresh fruit and fish.",
    "El mercado cerca del puerto abre temprano por la mañana y mucha gente viene a comprar fruta fresca y pescado.",
    "Why do the visitors like to walk along the river? Because it is calm, green and never far from the old town.",
    "A good plan begins with one clear question: what should be different at the end of the day? [0] [1] [2]",
    "0 1 2 3 4 5 6 7 8 9 ( ) . , : ; ! ? - abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost such small models more than they gain."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sentencepiece model of the texts above."""
    spm = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(TEXT * 4), encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spm"), vocab_size=150, hard_vocab_limit=False, minloglevel=2,
        bos_id=0, pad_id=1, eos_id=2, unk_id=3, num_threads=1,
    )  # fmt: skip
    return folder / "spm.model"


def vocabulary(pieces: Path) -> list[str]:
    import sentencepiece as spm

    processor = spm.SentencePieceProcessor(model_file=str(pieces))
    return [processor.id_to_piece(k) for k in range(processor.get_piece_size())]


@pytest.fixture(scope="module")
def m2m100(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder = tmp_path_factory.mktemp("m2m100")
    words = folder / "vocab.json"
    words.write_text(json.dumps({word: k for k, word in enumerate(vocabulary(pieces))}), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(words), str(pieces))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=max(tokenizer.lang_token_to_id.values()) + 9, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        max_position_embeddings=512,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def marian(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian-en-es")
    special = ["</s>", "<unk>"]  # the order of the published models: these first, <pad> last
    words = [*special, *(word for word in vocabulary(pieces) if word not in (*special, "<pad>")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}), encoding="utf-8")
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces.read_bytes())
    tokenizer = MarianTokenizer(
        str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"), source_lang="en",
        target_lang="es",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, forced_eos_token_id=None,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def madlad(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sentencepiece as spm
    import torch
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    folder = tmp_path_factory.mktemp("madlad")
    spm.SentencePieceTrainer.train(
        input=str(pieces.parent / "corpus.txt"), model_prefix=str(folder / "spiece"), vocab_size=150,
        hard_vocab_limit=False, minloglevel=2, pad_id=1, eos_id=2, unk_id=0, bos_id=-1, num_threads=1,
        user_defined_symbols=["<2es>", "<2zh>", "<2vi>"],
    )  # fmt: skip
    tokenizer = T5Tokenizer.from_pretrained(str(folder), vocab_file=str(folder / "spiece.model"), extra_ids=0)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer) + 8, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, initializer_factor=8.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def options(model: Path | str, **changes: Any) -> EngineOptions:
    chosen = {"engine": "transformers", "batch_size": 4, "num_beams": 2, "device": "cpu", **changes}
    return EngineOptions(model=str(model), licence="Apache-2.0", **chosen)


def ask(engine: Seq2SeqEngine, texts: list[str], target: str = "es", attempt: int = 0) -> dict[str, Reply]:
    requests = [make_request(engine.identity, {"output": text}, "en", target, attempt) for text in texts]
    replies: dict[str, Reply] = {}

    def accept(request: Request, reply: Reply) -> None:
        assert request.fields["output"] not in replies, "answered twice"
        replies[request.fields["output"]] = reply

    engine.translate(requests, accept)
    assert set(replies) == set(texts)
    return replies


# -- sentences ---------------------------------------------------------------------------------------------------------


def test_a_text_is_laid_out_and_filled_again() -> None:
    text = "Dr. Smith left. He came back!\n\n1. Buy milk, e.g. at [0].\n- Rest [1]\n[2]\n  Done."
    layout = lay_out(text, "en", "[{}]")
    assert layout.sentences == ("Dr. Smith left.", "He came back!", "Buy milk, e.g. at [0].", "Rest [1]", "Done.")
    assert layout.fill(layout.sentences, "es") == text
    chinese = layout.fill(["史密斯走了。", "他回来了！", "在[0]买牛奶。", "休息[1]", "好了。"], "zh")
    assert chinese == "史密斯走了。他回来了！\n\n1. 在[0]买牛奶。\n- 休息[1]\n[2]\n  好了。"
    with pytest.raises(ValueError, match="4 translations for 5"):
        layout.fill(["a"] * 4, "es")


@pytest.mark.parametrize(
    "text", ["", "\n", "12", "[0]", "a", "a.\r\nb.", "  x  \n\n\n y.  z. ", "- \n- b\n", "Hi.  There."]
)
def test_nothing_is_lost_in_the_layout(text: str) -> None:
    layout = lay_out(text, "en", "[{}]")
    assert layout.fill(layout.sentences, "es") == text


# -- models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["m2m100", "marian", "madlad"])
def test_a_model_translates_sentence_by_sentence(family: str, request: pytest.FixtureRequest) -> None:
    """Random weights: the words mean nothing, but every sentence is the model's own output for it, in its place."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = request.getfixturevalue(family)
    engine = Seq2SeqEngine(options(folder, num_beams=1))
    engine.check("en", ["es"])
    first, second, third = "The market opens.", "Why do the visitors like to walk along the river?", "It is calm."
    text = f"{first} {second}\n\n- {third}"
    reply = ask(engine, [text, first, second, third])[text]

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    if family == "m2m100":
        tokenizer.src_lang = "en"
    alone = []
    for sentence in (first, second, third):
        inputs = tokenizer(("<2es> " if family == "madlad" else "") + sentence, return_tensors="pt")
        extra = {"forced_bos_token_id": tokenizer.get_lang_id("es")} if family == "m2m100" else {}
        budget = 3 * inputs["input_ids"].shape[1] + 16
        with torch.inference_mode():
            out = model.generate(**inputs, num_beams=1, do_sample=False, max_new_tokens=budget, **extra)
        alone.append(tokenizer.decode(out[0], skip_special_tokens=True).strip())
    assert any(alone)
    if reply.finish_reason == "stop":
        assert reply.text == f"{alone[0]} {alone[1]}\n\n- {alone[2]}"
    else:  # cut at the budget, which is the batch's longest: each begins as it does alone
        assert reply.finish_reason == "length"
        assert [line[:3] for line in reply.text.split("\n\n- ")] == [alone[0][:3], alone[2][:3]]


def test_batches_and_order_do_not_matter(m2m100: Path) -> None:
    texts = [f"Number {k}{'!' * (k % 3)}" for k in range(11)]
    whole = ask(Seq2SeqEngine(options(m2m100)), texts)
    parts = ask(Seq2SeqEngine(options(m2m100)), texts[5:]) | ask(Seq2SeqEngine(options(m2m100)), texts[:5])
    same = sum(whole[text].text == parts[text].text for text in texts)
    assert same >= 10  # float sums in another order may tip a random model's near-tie


def test_the_second_attempt_differs(m2m100: Path) -> None:
    engine = Seq2SeqEngine(options(m2m100))
    texts = ["It is calm.", "Really."]
    first, second = ask(engine, texts), ask(engine, texts, attempt=1)
    assert any(first[text].text != second[text].text for text in texts)


def test_a_sentence_that_is_too_long_is_never_cut(m2m100: Path) -> None:
    engine = Seq2SeqEngine(options(m2m100, max_source_tokens=12))
    replies = ask(engine, ["Short.", "Short. " + TEXT[0]])
    assert replies["Short. " + TEXT[0]].finish_reason == "sentence_too_long"
    assert replies["Short."].finish_reason != "sentence_too_long"


def test_unknown_languages_and_models_are_reported(m2m100: Path, madlad: Path, tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="<2fil>: it does not translate into Filipino"):
        Seq2SeqEngine(options(madlad)).check("en", ["es", "fil"])
    Seq2SeqEngine(options(m2m100)).check("en", ["es", "zh", "vi", "id", "ms", "fil"])
    with pytest.raises(CrossinError, match="cannot load"):
        Seq2SeqEngine(options(tmp_path)).check("en", ["es"])


def test_nllb_needs_its_terms_accepted(pieces: Path, m2m100: Path, tmp_path: Path) -> None:
    """By name, and by its vocabulary whatever the name."""
    from transformers import AutoTokenizer

    with pytest.raises(CrossinError, match="non-commercial"):
        Seq2SeqEngine(options("facebook/nllb-200-distilled-600M"))
    tokenizer = AutoTokenizer.from_pretrained(m2m100)
    tokenizer.add_tokens(["eng_Latn", "spa_Latn", "zho_Hans"], special_tokens=True)
    folder = tmp_path / "renamed"
    tokenizer.save_pretrained(folder)
    with pytest.raises(CrossinError, match="non-commercial"):
        Seq2SeqEngine(options(folder)).check("en", ["es"])
    assert find_tag(tokenizer, "en", "zh", "x").target_token == "zho_Hans"
    assert [LANGUAGES[code].flores for code in ("es", "zh", "ms", "fil", "ja", "hi")] == [
        "spa_Latn", "zho_Hans", "zsm_Latn", "tgl_Latn", "jpn_Jpan", "hin_Deva",
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["m2m100", "marian", "madlad"])
def test_ctranslate2_gives_what_transformers_gives(
    family: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converters = pytest.importorskip("ctranslate2.converters")
    from transformers import M2M100Tokenizer

    # ctranslate2 4.8.5 looks for M2M100's tags where transformers 4 kept them; without this it cannot convert the model
    tags = list(M2M100Tokenizer.from_pretrained(request.getfixturevalue("m2m100")).lang_token_to_id)
    found = property(lambda self: {"additional_special_tokens": tags})
    monkeypatch.setattr(M2M100Tokenizer, "special_tokens_map", found, raising=False)
    folder = request.getfixturevalue(family)
    converted = tmp_path / "converted"
    converters.TransformersConverter(str(folder)).convert(str(converted))
    texts = ["The market opens early.", "It is calm. Why do the visitors like the river?"]
    theirs = ask(Seq2SeqEngine(options(folder, num_beams=1, batch_size=1)), texts)
    engine = Seq2SeqEngine(options(converted, engine="ctranslate2", tokenizer=str(folder), num_beams=1, batch_size=1))
    ours = ask(engine, texts)
    assert any(reply.text for reply in ours.values())
    assert {text: (r.text, r.finish_reason) for text, r in ours.items()} == {
        text: (r.text, r.finish_reason) for text, r in theirs.items()
    }


def test_the_whole_script_with_a_local_model(m2m100: Path, tmp_path: Path) -> None:
    """A random model fails the gates; every row must still be accounted for, and a second run must send nothing."""
    texts = ["Is it calm?", "Is it green?", "Is it far?"]
    rows = [{"id": str(k), "instruction": text, "output": "It is calm."} for k, text in enumerate(texts)]
    source = tmp_path / "source.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    argv = [
        "--source", str(source), "--source_licence", "Apache-2.0", "--output_dir", str(tmp_path / "out"), "--languages",
        "es", "--engine", "transformers", "--model", str(m2m100), "--licence", "MIT", "--num_beams", "1",
    ]  # fmt: skip
    assert translate_seed.main(argv) == 1  # no row was translated
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["rows"]["read"] == 3 == report["rows"]["written"] + report["rows"]["set_aside_after"]
    store = tmp_path / "out" / "replies" / "replies-00000.jsonl"
    stored = store.read_bytes()
    assert stored.count(b"\n") >= 4
    assert translate_seed.main(argv) == 1
    assert store.read_bytes() == stored
