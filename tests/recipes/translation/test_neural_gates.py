"""The gates that need a model, on tiny random models of the published architectures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common.text_checks import Pair
from recipes.translation.neural_gates import MetricXGate, SimilarityGate, build_neural_gates

SOURCE = "The market near the harbour opens early in the morning, and people buy fruit."
TARGET = "El mercado cerca del puerto abre temprano por la mañana y la gente compra fruta."


def pair(source: str, target: str) -> Pair:
    return Pair("output", source, target, source, target, "en", "es")


@pytest.fixture(scope="module")
def metricx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mT5 of the published vocabulary size, four wide, with a tokenizer trained on two sentences."""
    spm = pytest.importorskip("sentencepiece")
    import torch
    from transformers import MT5Config, MT5ForConditionalGeneration, T5Tokenizer

    folder = tmp_path_factory.mktemp("metricx")
    corpus = folder / "corpus.txt"
    corpus.write_text(f"source: {SOURCE} candidate: {TARGET}\n" * 4, encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=80, hard_vocab_limit=False, minloglevel=2,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
    )  # fmt: skip
    tokenizer = T5Tokenizer.from_pretrained(str(folder), vocab_file=str(folder / "spiece.model"), extra_ids=0)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = MT5Config(vocab_size=250112, d_model=4, d_kv=4, d_ff=8, num_layers=1, num_heads=1, initializer_factor=20.0)
    MT5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_metricx_reads_the_reserved_word_and_clamps(metricx: Path) -> None:
    import torch
    from transformers import AutoTokenizer, MT5ForConditionalGeneration

    gate = MetricXGate(str(metricx), str(metricx), 5.0)
    pairs = [pair(SOURCE, TARGET), pair(TARGET, SOURCE), pair("The market", "El mercado"), pair("fruit", SOURCE)]
    scores = gate.scores(pairs)
    assert all(0.0 <= score <= 25.0 for score in scores)
    # one at a time and by hand: padding and batching must not change a score
    tokenizer = AutoTokenizer.from_pretrained(metricx)
    model = MT5ForConditionalGeneration.from_pretrained(metricx).eval()
    for one, score in zip(pairs, scores, strict=True):
        ids = tokenizer(f"source: {one.source} candidate: {one.target}", return_tensors="pt")["input_ids"][:, :-1]
        with torch.inference_mode():
            logit = model(input_ids=ids, decoder_input_ids=torch.zeros((1, 1), dtype=torch.long)).logits[0, 0, 250089]
        assert score == pytest.approx(min(max(float(logit), 0.0), 25.0), abs=1e-3)


def test_metricx_sets_rows_aside_by_their_worst_field(metricx: Path) -> None:
    gate = MetricXGate(str(metricx), str(metricx), 5.0)
    rows = [[pair(SOURCE, TARGET), pair("fruit", SOURCE)], [pair(TARGET, SOURCE)]]
    scores = [gate.scores(row) for row in rows]
    for most in (-1.0, 25.0, sum(map(sum, scores)) / 3):
        gate._most = most
        findings = gate(rows)
        assert [finding is not None for finding in findings] == [max(row) > most for row in scores]
        assert {finding.reason for finding in findings if finding} <= {"quality"}


def test_a_model_that_is_no_metricx_is_refused(metricx: Path, tmp_path: Path) -> None:
    from transformers import MT5Config, MT5ForConditionalGeneration

    MT5ForConditionalGeneration(
        MT5Config(vocab_size=100, d_model=4, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    ).save_pretrained(tmp_path)
    with pytest.raises(CrossinError, match="not a MetricX checkpoint"):
        MetricXGate(str(tmp_path), str(metricx), 5.0)
    with pytest.raises(CrossinError, match="cannot load"):
        MetricXGate(str(tmp_path / "absent"), str(metricx), 5.0)


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="the package is there")
def test_similarity_needs_its_package() -> None:
    with pytest.raises(CrossinError, match="pip install sentence-transformers"):
        SimilarityGate("sentence-transformers/LaBSE", 0.6)


def test_similarity_is_the_cosine_of_the_encoder(tmp_path: Path) -> None:
    """A tiny random BERT with LaBSE's pooling: the first token's vector, normalised."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed: similarity not tried")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*(SOURCE + " " + TARGET).lower().split(), "##s"})]
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    bert = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        initializer_range=0.5,
    )  # fmt: skip
    BertModel(bert).save_pretrained(tmp_path / "bert")
    BertTokenizerFast(str(vocabulary)).save_pretrained(tmp_path / "bert")
    encoder = Transformer(str(tmp_path / "bert"))
    SentenceTransformer(modules=[encoder, Pooling(16, pooling_mode="cls")]).save(str(tmp_path / "model"))

    gate = SimilarityGate(str(tmp_path / "model"), 0.6)
    rows = [[pair(SOURCE, SOURCE)], [pair(SOURCE, SOURCE), pair(SOURCE, TARGET)], [pair("fruit", "mercado")]]
    vectors = SentenceTransformer(str(tmp_path / "model")).encode([SOURCE, TARGET, "fruit", "mercado"])
    cosine = [[1.0], [1.0, _cosine(vectors[0], vectors[1])], [_cosine(vectors[2], vectors[3])]]
    for least in (-1.0, 0.6, 0.999):
        gate._least = least
        findings = gate(rows)
        assert [finding is not None for finding in findings] == [min(values) < least for values in cosine]
    with pytest.raises(CrossinError, match="cannot load"):
        SimilarityGate(str(tmp_path / "absent"), 0.6)


def _cosine(first: Any, second: Any) -> float:
    return float(first @ second / ((first @ first) ** 0.5 * (second @ second) ** 0.5))


def test_no_model_named_no_gate() -> None:
    assert build_neural_gates(SimpleNamespace(labse_model=None, metricx_model=None)) == []
