"""Local sequence-to-sequence translators, one sentence at a time: MADLAD-400, M2M100, Opus-MT, and NLLB on request.

The tokenizer tells the families apart, so converted copies work too. Decoding is deterministic (beam search; for a
second attempt a wider beam without repetition), so a resumed run gives the same output as an uninterrupted one,
whatever sentences share a batch.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from recipes.llm.replies import Accept, Reply, Request, Usage
from recipes.translation.sentences import Layout, lay_out

if TYPE_CHECKING:
    from recipes.translation.config import EngineOptions

WINDOW_BATCHES = 8  # batches of requests sorted by length together; a kill loses at most these
SECOND_ATTEMPT = {"repetition_penalty": 1.2, "no_repeat_ngram_size": 4}  # and twice the beams

_NON_COMMERCIAL = (
    "{model}: NLLB models are licensed for non-commercial use only (CC BY-NC 4.0), and so is what is made with them. "
    "Choose MADLAD-400, M2M100 or Opus-MT, or add --accept_non_commercial true"
)


class Output(NamedTuple):
    """A translated sentence, and whether the model ended it."""

    text: str
    ended: bool


class Tag(NamedTuple):
    """How a model family is given the languages.

    Attributes:
        family: madlad, m2m100, nllb or marian.
        source_prefix: text put before the source sentence.
        target_token: token that the decoder starts with; None for none.
    """

    family: str
    source_prefix: str
    target_token: str | None


class Backend(Protocol):
    """Runs one model."""

    tokenizer: Any

    def generate(self, sentences: list[str], tag: Tag, second: bool) -> list[Output]:
        """Translate a batch."""


def find_tag(tokenizer: Any, source: str, target: str, model: str) -> Tag:
    """Recognise the family by its vocabulary, and find the tags of this language.

    Raises:
        CrossinError: the model does not support the language, or is of an unknown family.
    """
    words = tokenizer.get_vocab()
    special = {*words, *getattr(tokenizer, "lang_token_to_id", ())}  # M2M100 keeps its tags apart
    m2m_target = "tl" if target == "fil" else target
    if any(word.startswith("<2") and word.endswith(">") for word in special):
        tag = Tag("madlad", f"<2{target}> ", None)
        wanted = f"<2{target}>"
    elif "eng_Latn" in special:
        tag = Tag("nllb", "", LANGUAGES[target].flores)
        wanted = LANGUAGES[target].flores
    elif "__en__" in special:
        tag = Tag("m2m100", "", f"__{m2m_target}__")
        wanted = f"__{m2m_target}__"
    elif type(tokenizer).__name__.startswith("Marian"):
        marks = [word for word in words if word.startswith(">>") and word.endswith("<<")]
        if not marks:
            return Tag("marian", "", None)  # a model of one pair; --model says which with {lang}
        names = (LANGUAGES[target].iso3, "cmn_Hans" if target == "zh" else "", target)
        wanted = next((f">>{name}<<" for name in names if f">>{name}<<" in words), f">>{names[0]}<<")
        tag = Tag("marian", f"{wanted} ", None)
    else:
        raise CrossinError(f"{model}: unknown translator: its tokenizer has no tags of MADLAD, M2M100 or Opus-MT")
    if wanted not in special:
        raise CrossinError(f"{model} has no tag {wanted}: it does not translate into {LANGUAGES[target].english}")
    return tag


class TransformersBackend:
    """A model through `transformers`. Raises CrossinError when it cannot be loaded."""

    def __init__(self, model: str, options: EngineOptions) -> None:
        try:
            import torch
            from transformers import AutoModelForSeq2SeqLM
        except ImportError as error:
            raise CrossinError("engine transformers needs torch and transformers: pip install 'crossin'") from error
        with _loading(model):
            self.tokenizer = _tokenizer(model, options)
            self._model = AutoModelForSeq2SeqLM.from_pretrained(model, dtype=getattr(torch, options.dtype)).eval()
        device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(device)
        self._beams = options.num_beams

    def generate(self, sentences: list[str], tag: Tag, second: bool) -> list[Output]:
        """Translate a batch; `second` asks for a translation that differs from the first attempt's."""
        import torch

        texts = [tag.source_prefix + sentence for sentence in sentences]
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True)
        inputs = {name: tensor.to(self._model.device) for name, tensor in inputs.items() if name != "token_type_ids"}
        extra: dict[str, Any] = dict(SECOND_ATTEMPT) if second else {}
        if tag.target_token is not None:
            extra["forced_bos_token_id"] = self.tokenizer.convert_tokens_to_ids(tag.target_token)
        with torch.inference_mode():
            out = self._model.generate(
                **inputs,
                num_beams=self._beams * (2 if second else 1),
                do_sample=False,
                max_new_tokens=output_budget(int(inputs["input_ids"].shape[1])),
                **extra,
            )
        end = self.tokenizer.eos_token_id
        # the first position is the decoder's start, which for M2M100 is the end mark itself
        ended = [bool((row[1:] == end).any()) for row in out]
        decoded = self.tokenizer.batch_decode(out, skip_special_tokens=True)
        return [Output(text, done) for text, done in zip(decoded, ended, strict=True)]


class CTranslate2Backend:
    """A model converted by `ct2-transformers-converter`, with its tokenizer beside it or named by --tokenizer."""

    def __init__(self, model: str, options: EngineOptions) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise CrossinError("engine ctranslate2 needs its package: pip install ctranslate2") from error
        with _loading(model):
            self.tokenizer = _tokenizer(model, options)
            self._model = ctranslate2.Translator(model, device=options.device, compute_type=options.dtype)
        self._beams = options.num_beams

    def generate(self, sentences: list[str], tag: Tag, second: bool) -> list[Output]:
        """Translate a batch; `second` asks for a translation that differs from the first attempt's."""
        tokenizer = self.tokenizer
        ids = [tokenizer(tag.source_prefix + sentence)["input_ids"] for sentence in sentences]
        prefix = [[tag.target_token]] * len(ids) if tag.target_token is not None else None
        results = self._model.translate_batch(
            [tokenizer.convert_ids_to_tokens(row) for row in ids],
            target_prefix=prefix,
            beam_size=self._beams * (2 if second else 1),
            max_decoding_length=output_budget(max(map(len, ids))),
            return_end_token=True,
            **(SECOND_ATTEMPT if second else {}),
        )
        outputs = []
        for result in results:
            tokens = result.hypotheses[0]
            text = tokenizer.decode(tokenizer.convert_tokens_to_ids(tokens), skip_special_tokens=True)
            outputs.append(Output(str(text), bool(tokens) and tokens[-1] == tokenizer.eos_token))
        return outputs


def _tokenizer(model: str, options: EngineOptions) -> Any:
    """The model's tokenizer; refuses NLLB, whatever its name, unless its terms were accepted."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer or model)
    if not options.accept_non_commercial and "eng_Latn" in tokenizer.get_vocab():
        raise CrossinError(_NON_COMMERCIAL.format(model=model))
    return tokenizer


@contextlib.contextmanager
def _loading(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, ImportError, AttributeError, KeyError) as error:
        if isinstance(error, CrossinError):
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CrossinError(f"cannot load {model}: {first}") from error


def output_budget(source_tokens: int) -> int:
    """Most tokens of a translated sentence: three for each of the source, the most that these vocabularies need."""
    return 3 * source_tokens + 16


BACKENDS: dict[str, Callable[[str, EngineOptions], Backend]] = {
    "transformers": TransformersBackend,
    "ctranslate2": CTranslate2Backend,
}


class Seq2SeqEngine:
    """Translate field by field, sentence by sentence. See :class:`base.Engine`."""

    joint = False
    sentinel = "[{}]"  # in every sentencepiece vocabulary, and copied as the footnote marks that it looks like

    def __init__(self, options: EngineOptions) -> None:
        if "nllb" in options.model.lower() and not options.accept_non_commercial:
            raise CrossinError(_NON_COMMERCIAL.format(model=options.model))
        self.options = options
        self.usage = Usage()
        self._backends: dict[str, Backend] = {}
        local = Path(options.model).is_dir()
        self.identity: Mapping[str, Any] = {
            "engine": options.engine,
            "model": Path(options.model).name if local else options.model,
            "files": _fingerprint(Path(options.model)) if local else "",
            "dtype": options.dtype,
            "num_beams": options.num_beams,
            "second_attempt": SECOND_ATTEMPT,
            "max_source_tokens": options.max_source_tokens,
        }

    def check(self, source: str, targets: Iterable[str]) -> None:
        """Load the model and check that it supports the languages; models of one language are loaded one by one."""
        for target in targets:
            self._tag(source, target)

    def _tag(self, source: str, target: str) -> Tag:
        return find_tag(self._backend(source, target).tokenizer, source, target, self.options.model)

    def _backend(self, source: str, target: str) -> Backend:
        name = self.options.model.replace("{lang}", target)
        if name not in self._backends:
            self._backends.clear()  # one model in memory at a time
            self._backends[name] = BACKENDS[self.options.engine](name, self.options)
        tokenizer = self._backends[name].tokenizer
        if hasattr(tokenizer, "src_lang"):  # M2M100 and NLLB mark the source's language too
            tokenizer.src_lang = LANGUAGES[source].flores if "eng_Latn" in tokenizer.get_vocab() else source
        return self._backends[name]

    def prompt_characters(self, request: Request) -> int:
        """Characters of the texts: there is no prompt."""
        return sum(len(text) for text in request.fields.values())

    def translate(self, requests: Iterable[Request], accept: Accept) -> None:
        """Translate in windows of several batches, requests of one language together."""
        waiting = iter(requests)
        while window := list(itertools.islice(waiting, WINDOW_BATCHES * self.options.batch_size)):
            window.sort(key=_kind)
            for (target, attempt), group in itertools.groupby(window, key=_kind):
                self._translate(list(group), target, attempt, accept)

    def _translate(self, requests: list[Request], target: str, attempt: int, accept: Accept) -> None:
        """Translate requests of one language, the longest sentences first; accept each request once it is whole."""
        source = requests[0].source
        backend, tag = self._backend(source, target), self._tag(source, target)
        layouts = [lay_out(next(iter(request.fields.values())), source, self.sentinel) for request in requests]
        sentences = list(dict.fromkeys(sentence for layout in layouts for sentence in layout.sentences))
        encoded = backend.tokenizer([tag.source_prefix + sentence for sentence in sentences])["input_ids"]
        lengths = {sentence: len(ids) for sentence, ids in zip(sentences, encoded, strict=True)}
        outputs: dict[str, Output] = {}
        open_requests = list(zip(requests, layouts, strict=True))

        def give() -> None:
            still_open = []
            for request, layout in open_requests:
                if all(sentence in outputs or self._too_long(lengths[sentence]) for sentence in layout.sentences):
                    accept(request, self._reply(layout, outputs, lengths, target))
                else:
                    still_open.append((request, layout))
            open_requests[:] = still_open

        todo = sorted((s for s in sentences if not self._too_long(lengths[s])), key=lambda s: lengths[s], reverse=True)
        give()
        for start in range(0, len(todo), self.options.batch_size):
            batch = todo[start : start + self.options.batch_size]
            outputs.update(zip(batch, backend.generate(batch, tag, attempt > 0), strict=True))
            give()

    def _too_long(self, tokens: int) -> bool:
        return tokens > self.options.max_source_tokens

    def _reply(self, layout: Layout, outputs: dict[str, Output], lengths: dict[str, int], target: str) -> Reply:
        tokens = sum(lengths[sentence] for sentence in layout.sentences)
        if any(self._too_long(lengths[sentence]) for sentence in layout.sentences):
            return Reply("", "sentence_too_long", tokens)
        found = [outputs[sentence] for sentence in layout.sentences]
        text = layout.fill([output.text for output in found], target)
        return Reply(text, "stop" if all(output.ended for output in found) else "length", tokens)


def _kind(request: Request) -> tuple[str, int]:
    return request.target, request.attempt


def _fingerprint(folder: Path) -> str:
    """Identify a local model without reading its weights: its configuration, and names and sizes of its files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            digest.update(json.dumps([path.name, path.stat().st_size]).encode())
    config = folder / "config.json"
    digest.update(config.read_bytes() if config.is_file() else b"")
    return digest.hexdigest()[:16]
