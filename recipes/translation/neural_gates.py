"""Gates that need a model: embedding similarity and quality estimation. Off unless a model is named.

Not tried with the published models: the tests run tiny random models of the same architectures, and the default
thresholds are uncalibrated starting points. Inspect what they reject before trusting them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crossin_metrics.errors import CrossinError
from recipes.common.text_checks import Finding, Pair

NeuralGate = Callable[[list[list[Pair]]], list["Finding | None"]]


def build_neural_gates(options: Any) -> list[NeuralGate]:
    """The gates whose models the options name, the cheaper first.

    Raises:
        CrossinError: a package is missing or a model cannot be loaded.
    """
    gates: list[NeuralGate] = []
    if options.labse_model:
        gates.append(SimilarityGate(options.labse_model, options.labse_min))
    if options.metricx_model:
        gates.append(MetricXGate(options.metricx_model, options.metricx_tokenizer, options.metricx_max))
    return gates


class SimilarityGate:
    """Cosine similarity of sentence embeddings of source and translation, such as LaBSE (Feng et al. 2022).

    Args:
        model: a sentence-transformers model id or folder.
        least: rows with a field below this are rejected; in [-1, 1], higher is more similar.
    """

    def __init__(self, model: str, least: float) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise CrossinError(
                "--labse_model needs sentence-transformers: pip install sentence-transformers"
            ) from error
        try:
            self._model = SentenceTransformer(model)
        except Exception as error:  # hub, file and configuration errors have no common type
            raise CrossinError(f"cannot load {model}: {type(error).__name__}: {error}") from error
        self._least = least

    def __call__(self, rows: list[list[Pair]]) -> list[Finding | None]:
        pairs = [pair for row in rows for pair in row]
        texts = [pair.source for pair in pairs] + [pair.target for pair in pairs]
        vectors = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        scores = (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(axis=1).tolist()
        return [
            Finding("similarity", name, f"cosine {score:.2f}, least {self._least:g}") if score < self._least else None
            for score, name in (min(row) for row in _by_row(rows, scores))
        ]


class MetricXGate:
    """MetricX-24 without a reference (Juraska et al. 2024): predicted error, 0 (perfect) to 25 (useless).

    The published checkpoints are mT5 with a regression at the decoder's first step: the logit of one reserved word,
    clamped to [0, 25], for the input `source: ... candidate: ...` without its end mark. So transformers' own mT5 class
    runs them.

    Args:
        model: checkpoint id or folder.
        tokenizer: its mT5 tokenizer.
        most: rows with a field above this are rejected.
    """

    SCORE_WORD = 250089  # the reserved word `<extra_id_10>` of mT5's vocabulary
    MAX_TOKENS = 1536
    BATCH = 16

    def __init__(self, model: str, tokenizer: str, most: float) -> None:
        try:
            import torch
            from transformers import AutoTokenizer, MT5ForConditionalGeneration
        except ImportError as error:
            raise CrossinError("--metricx_model needs torch and transformers: pip install 'crossin'") from error
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)
            self._model = MT5ForConditionalGeneration.from_pretrained(model).eval()
        except (OSError, ValueError) as error:
            raise CrossinError(f"cannot load {model} with tokenizer {tokenizer}: {error}") from error
        if self._model.config.vocab_size <= self.SCORE_WORD:
            raise CrossinError(f"{model}: its vocabulary has no word {self.SCORE_WORD}: not a MetricX checkpoint")
        self._model.to("cuda" if torch.cuda.is_available() else "cpu")
        self._most = most

    def scores(self, pairs: list[Pair]) -> list[float]:
        """Predicted error of each pair, in [0, 25], lower is better."""
        import torch

        texts = [f"source: {pair.source} candidate: {pair.target}" for pair in pairs]
        scores: list[float] = []
        for start in range(0, len(texts), self.BATCH):
            encoded = [
                self._tokenizer(text, truncation=True, max_length=self.MAX_TOKENS)["input_ids"][:-1]
                for text in texts[start : start + self.BATCH]
            ]
            longest = max(map(len, encoded))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in encoded], device=self._model.device)
            mask = torch.tensor(
                [[1] * len(row) + [0] * (longest - len(row)) for row in encoded], device=self._model.device
            )
            first = torch.zeros((len(encoded), 1), dtype=torch.long, device=self._model.device)
            with torch.inference_mode():
                logits = self._model(input_ids=ids, attention_mask=mask, decoder_input_ids=first).logits
            scores += logits[:, 0, self.SCORE_WORD].float().clamp(0.0, 25.0).tolist()
        return scores

    def __call__(self, rows: list[list[Pair]]) -> list[Finding | None]:
        scores = self.scores([pair for row in rows for pair in row])
        return [
            Finding("quality", name, f"error {score:.1f}, most {self._most:g}") if score > self._most else None
            for score, name in (max(row) for row in _by_row(rows, scores))
        ]


def _by_row(rows: list[list[Pair]], scores: list[float]) -> Iterator[list[tuple[float, str]]]:
    """(score, field) of each row's pairs."""
    found = iter(scores)
    return ([(next(found), pair.field) for pair in row] for row in rows)
