"""What lm-evaluation-harness calls: documents, few-shot examples, row results and their aggregation.

A task is one parallel set in several languages, question by question (all languages of a question side by side), so
that scores *across* languages can be computed inside one task; the harness's groups can only average.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from lm_eval import evaluator_utils
from lm_eval.api.samplers import ContextSampler
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from crossin_metrics import __version__, startup
from crossin_metrics.answers.outputs import majority, opening_mark
from crossin_metrics.answers.reading import random_answer
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.aggregate import Row, RowResult, aggregate, headline_metrics, standard_error
from crossin_metrics.harness.documents import build_documents, ordered_by_hash
from crossin_metrics.harness.generation import PRESETS, generation_kwargs, generation_signature, instruct_model
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.harness.outputs import (
    Budget,
    continuation_tokens,
    languages_of,
    load_tokenizer,
    read_row,
    token_counter,
    written_languages,
)
from crossin_metrics.harness.prompts import signed_prompt
from crossin_metrics.scores.catalogue import describe
from crossin_metrics.signature import signature_line

logger = logging.getLogger("lm_eval.crossin")
RowKey = tuple[str, str, str]  # id, language, asking


class ParallelSampler(ContextSampler):
    """Few-shot examples: the same questions in every language, each shown in the language and prompt of the row.

    All rows use one seeded order of the questions and skip the question itself and all others on its passage, so
    nothing leaks from another language or from the passage.
    """

    def __init__(self, df: Sequence[dict[str, Any]] | None = None, *, rnd: int | None = None, **kwargs: Any) -> None:
        super().__init__(df, rnd=rnd, **kwargs)
        self._rows = {_row_key(doc): doc for doc in self.df}
        self._groups = {doc["id"]: doc["group"] for doc in self.df}
        self._order = ordered_by_hash(self._groups, 1234)

    def set_rnd(self, rnd: int | None) -> ParallelSampler:
        """Order the questions by this seed (None: the harness's default, 1234, so that processes agree)."""
        self._order = ordered_by_hash(self._groups, 1234 if rnd is None else rnd)
        return self

    def sample(
        self, n: int, eval_doc: Mapping[str, Any] | None = None, df: Any = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return n example rows in the language of `eval_doc`.

        Raises:
            CrossinError: fewer than n questions on other passages.
        """
        if n == 0:
            return []
        if eval_doc is None:
            raise CrossinError("few-shot examples need a row: fewshot_split must equal test_split")
        free = [key for key in self._order if key != eval_doc["id"] and self._groups[key] != eval_doc["group"]]
        if len(free) < n:
            raise CrossinError(
                f"num_fewshot is {n}, but only {len(free)} questions are on other passages than {eval_doc['id']}"
            )
        return [self._rows[key, eval_doc["language"], eval_doc.get("again", "")] for key in free[:n]]


class ParallelMCQTask(ConfigurableTask):
    """A parallel multiple-choice task; for its options see :class:`crossin_metrics.harness.options.TaskOptions`."""

    def __init__(self, config: dict[str, Any]) -> None:
        startup.show_errors_in_one_line()
        _drop_errors_of_errors()
        formulation = (config.get("metadata") or {}).get("formulation", "letter")
        template = Path(startup.tasks_path()) / ("_gen_template" if formulation == "gen" else "_likelihood_template")
        config = load_yaml(template, resolve_func=False) | config  # so that a user's YAML needs no `include`
        del config["class"]
        config["fewshot_config"] = {"sampler": ParallelSampler, **(config.get("fewshot_config") or {})}
        self.options = TaskOptions.from_metadata(config["task"], config.get("metadata") or {})
        if self.options.formulation == "gen":
            preset = PRESETS[self.options.preset]
            config["generation_kwargs"] = {**preset, **(config.get("generation_kwargs") or {})}
            config["repeats"] = self.options.repeats
            keep_all = {"function": "take_first_k", "k": self.options.repeats}
            if self.options.repeats > 1:
                config["filter_list"] = [{"name": "none", "filter": [keep_all]}]
        super().__init__(config=config)
        thinks = self.options.preset == "thinking"
        self._metrics = headline_metrics(
            self.options.formulation,
            self.languages,
            thinks=thinks,
            repeats=self.options.repeats,
            again=bool(self.options.again),
            detects=self.options.detect_languages,
        )
        self._opened: dict[RowKey, str] = {}
        self._lengths: dict[RowKey, list[int]] = {}
        self._higher_is_better = {name: describe(key).higher_is_better for name, (_, key) in self._metrics.items()}
        self._aggregation_list = self._aggregations()

    # -- documents ------------------------------------------------------------------------------------------------

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Load the parallel set and turn it into documents; nothing else is fetched."""
        import datasets

        documents, data = build_documents(self.options)
        self.languages: tuple[str, ...] = data.languages
        self.data_hash: str = data.hash
        self.dataset = {"test": datasets.Dataset.from_list(documents)}
        whole = data.sampled_from or len(data)
        self._config.metadata |= {"data_source": data.source, "data_hash": data.hash, "n_questions": whole}

    def build_all_requests(self, *, limit: int | None = None, samples: list[int] | None = None, **kwargs: Any) -> None:
        """Build the requests and record the signature.

        Raises:
            CrossinError: `limit` or `samples` select no question in all languages.
        """
        rows = range(len(self.eval_docs)) if samples is None else samples
        rows = list(rows)[:limit]
        width = len(self.languages) * (1 + len(self.options.again))
        seen: dict[int, int] = {}
        for row in rows:
            seen[row // width] = seen.get(row // width, 0) + 1
        if not any(count == width for count in seen.values()):
            raise CrossinError(
                f"{self.config.task}: the {len(rows)} rows selected contain no question in all {len(self.languages)} "
                f"languages ({', '.join(self.languages)}){' and askings' * bool(self.options.again)}; rows go question "
                f"by question: use --limit {width} or a multiple of it"
            )
        chat = bool(kwargs.get("apply_chat_template"))
        if self.options.formulation == "gen":
            self._prepare_generation(chat, getattr(kwargs.get("chat_template"), "__self__", None))
        self._config.metadata["signature"] = self.signature(chat)
        super().build_all_requests(limit=limit, samples=samples, **kwargs)
        if self.options.formulation == "gen":
            self._opened = {
                _row_key(one.doc): opening_mark(one.args[0], self.options.thought_marks) for one in self.instances
            }
        if self.options.likelihood == "mean":
            self._count_tokens()

    def _count_tokens(self) -> None:
        """Count the tokens of every option, with the model's tokenizer."""
        metadata = self.config.metadata
        name = metadata.get("tokenizer") or metadata.get("pretrained")
        tokenizer = load_tokenizer(str(name)) if name else None
        if tokenizer is None:
            raise CrossinError(
                f"{self.config.task} ranks options by the mean over tokens and needs the model's tokenizer"
                f"{f', which {name} is not' if name else ''}: give tokenizer=FOLDER in --model_args or --metadata, or "
                """--metadata '{"likelihood": "sum"}'"""
            )
        counts = continuation_tokens(tokenizer, [one.args for one in self.instances])
        self._lengths = {}
        for one, count in zip(self.instances, counts, strict=True):
            self._lengths.setdefault(_row_key(one.doc), []).append(count)

    def _prepare_generation(self, chat: bool, model: Any) -> None:
        """Settle how the model generates, tell the model, and refuse a chat API without the chat template."""
        metadata, name = self.config.metadata, self.config.task
        if not chat and str(metadata.get("base_url") or "").rstrip("/").endswith("/chat/completions"):
            raise CrossinError(f"{name}: a chat API takes messages: add --apply_chat_template")
        kwargs = generation_kwargs(self.options, self.config.generation_kwargs)
        if model is not None:
            kwargs |= instruct_model(self.options, model)
        self._config.generation_kwargs = kwargs

    @property
    def _budget(self) -> Budget:
        """The token budget, and a counter where the model's tokenizer is at hand."""
        metadata = self.config.metadata
        tokenizer = metadata.get("tokenizer") or metadata.get("pretrained")
        budget = int(self.config.generation_kwargs.get("max_gen_toks", 0))
        return Budget(budget, token_counter(str(tokenizer)) if tokenizer and budget else None)

    def signature(self, chat: bool = False) -> str:
        """Return the signature of this task's scores; see :mod:`crossin_metrics.signature`."""
        options = self.options
        fields: dict[str, object] = {
            "task": self.config.task,
            "data": self.data_hash,
            "langs": ",".join(sorted(self.languages)),
            "answers": options.formulation + ("" if options.likelihood == "sum" else f"-{options.likelihood}"),
            "prompt": signed_prompt(options.prompt_id, self.languages),
            "shots": self.config.num_fewshot or 0,
            "chat": "yes" if chat else "no",
        }
        if options.permute != "none":
            fields["order"] = f"{options.permute}-{options.permute_seed}"
        if options.unanswered != "none":
            fields["unanswered"] = f"{options.unanswered}-{options.score_seed}"
        if options.formulation == "gen":
            made = generation_signature(options, generation_kwargs(options, self.config.generation_kwargs))
            fields |= {"generation": made} if made else {}
        fields |= {"s": min(3, len(self.languages)), "v": __version__}
        return signature_line(fields)

    # -- requests -------------------------------------------------------------------------------------------------

    @contextmanager
    def _delimiter(self, doc: Mapping[str, Any]) -> Iterator[None]:
        """Meanwhile, the harness's delimiter between cue and answer is that of the row's language.

        With a chat template the harness drops the delimiter, so no stray space is scored.
        """
        before = self.config.target_delimiter, self.fewshot_cfg.target_delimiter
        self.config.target_delimiter = self.fewshot_cfg.target_delimiter = doc["space"]
        try:
            yield
        finally:
            self.config.target_delimiter, self.fewshot_cfg.target_delimiter = before

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> str | list[str]:
        """As in the harness, with the row's own delimiter."""
        with self._delimiter(doc):
            return super().fewshot_context(doc, *args, **kwargs)

    def construct_requests(self, doc: dict[str, Any], ctx: str | list[str], **kwargs: Any) -> Any:
        """As in the harness, with the row's own delimiter."""
        with self._delimiter(doc):
            return super().construct_requests(doc, ctx, **kwargs)

    # -- results --------------------------------------------------------------------------------------------------

    def process_results(self, doc: Mapping[str, Any], results: Sequence[Any]) -> RowResult:
        """Turn one row's responses into its results."""
        order = list(doc["order"])
        logprobs: dict[str, list[float] | None] = {"": None}
        log: dict[str, Any] = {}
        if self.options.formulation == "gen":
            outputs = [results[0]] if isinstance(results[0], str) else list(results[0])
            answer, log = self._read(doc, outputs, order)
            answers = {"": answer}
        else:
            shown = [float(logprob) for logprob, _ in results]
            sums = logprobs[""] = _by_option(shown, order)
            if self.options.likelihood == "mean":
                counts = _by_option(self._lengths[_row_key(doc)], order)
                logprobs[""] = log["logprobs"] = [ll / n for ll, n in zip(sums, counts, strict=True)]
            answers = {"": _pick(logprobs[""])}
            if self.options.formulation == "cf":
                # As in the harness's acc_norm: log-probability per character, without the space before the option.
                lengths = [max(1, len(choice)) for choice in doc["choices"]]
                logprobs["_norm"] = _by_option([ll / n for ll, n in zip(shown, lengths, strict=True)], order)
                answers["_norm"] = _pick(logprobs["_norm"])
        rows = {
            suffix: Row(
                id=doc["id"],
                language=doc["language"],
                answer=-1 if answer is None else answer,
                gold=doc["gold"],
                order=tuple(order),
                logprobs=None if logprobs[suffix] is None else tuple(logprobs[suffix] or ()),
                rule=log.get("rule", ""),
                thought=log.get("thought", 0),
                written=written_languages(log),
                self_agreement=log.get("self_agreement", 1.0),
                again=doc.get("again", ""),
                group=doc.get("group", ""),
            )
            for suffix, answer in answers.items()
        }
        return RowResult(rows, self._metrics, log)

    def override_metric(self, metric_name: str) -> None:
        """As in the harness (`--predict_only` sets "bypass"): our scores are not computed, only the rows are logged."""
        super().override_metric(metric_name)
        self._metrics = {}

    def _read(
        self, doc: Mapping[str, Any], outputs: Sequence[str], order: list[int]
    ) -> tuple[int | None, dict[str, Any]]:
        """The option picked, and what the log says of how it was read; of repeats, that of the first that gives it."""
        opened = self._opened.get(_row_key(doc), "")
        read = [read_row(text, doc, self.options, self._budget, opened) for text in outputs]
        position, agreement = majority([reading.answer for reading, _ in read])
        chosen = next(number for number, (reading, _) in enumerate(read) if reading.answer == position)
        reading, finish = read[chosen]
        log: dict[str, Any] = {"rule": reading.rule, "thought": reading.thought, "finish": finish}
        if self.options.repeats > 1:
            picks = [None if one.answer is None else order[one.answer] for one, _ in read]
            log |= {"answers": picks, "self_agreement": agreement}
        if self.options.detect_languages:
            log |= languages_of(outputs[chosen], self.options, reading)
        if position is None and self.options.unanswered == "random":
            asked = doc["id"] + doc.get("again", "")
            position = random_answer(asked, doc["language"], len(order), self.options.score_seed)
        return (None if position is None else order[position]), log

    def _aggregations(self) -> dict[str, Callable[[Sequence[Row]], Any]]:
        """A function per metric, and one per `<metric>_stderr`; see :class:`RowResult`."""
        table: dict[str, Callable[[Sequence[Row]], Any]] = {}
        for name, (_, key) in self._metrics.items():
            table[name] = aggregate(key, self.languages)
            table[f"{name}_stderr"] = standard_error(
                key, self.languages, self.options.bootstrap, self.options.score_seed
            )
        return table


def _drop_errors_of_errors() -> None:
    """Leave `x_stderr_stderr` out of our tasks' results: the harness adds an "N/A" for each `x_stderr` that we give."""
    compute = getattr(evaluator_utils, "_compute_task_aggregations", None)
    if compute is None or hasattr(compute, "__wrapped__"):  # private: where it is renamed, the entries stay
        return

    @wraps(compute)
    def without(task: Any, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], int]:
        scores, n = compute(task, *args, **kwargs)
        if isinstance(task, ParallelMCQTask):
            scores = {key: score for key, score in scores.items() if "_stderr_stderr," not in key}
        return scores, n

    evaluator_utils._compute_task_aggregations = without


def _row_key(doc: Mapping[str, Any]) -> RowKey:
    return doc["id"], doc["language"], doc.get("again", "")


def _by_option(shown: Sequence[float], order: Sequence[int]) -> list[float]:
    """Reorder values from the order shown to that of the set."""
    values = [0.0] * len(order)
    for position, option in enumerate(order):
        values[option] = shown[position]
    return values


def _pick(logprobs: Sequence[float] | None) -> int | None:
    """Return the most likely option (the first of equals); None if one is NaN or +inf, or all are -inf."""
    if logprobs is None or any(value != value for value in logprobs) or not math.isfinite(max(logprobs)):
        return None
    return max(range(len(logprobs)), key=lambda option: logprobs[option])
