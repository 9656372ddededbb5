"""Requests in chunks: memory that does not grow with their number, one progress bar, answers on disk as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM, hash_args
from tqdm import tqdm

from crossin_metrics.errors import each_second

CHUNK = 500_000  # characters tokenized at a time

Answer = tuple[float, bool]

_Base: Any = TemplateLM if TYPE_CHECKING else object


class Streamed(_Base):  # type: ignore[misc]
    """Mixin in front of a harness model: tokenizes and scores its requests a chunk at a time.

    The stock models tokenize everything first. Requests are sorted by their texts, so that those that share a passage
    or few-shot examples are neighbours.
    """

    _bar: Any = None
    _in_one_call = False  # engines that restart with every call

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Answer]:
        """Score continuations: (sum of log-probabilities, all tokens are the argmax) per request."""
        order = sorted(range(len(requests)), key=lambda number: requests[number].args)
        ordered = [requests[number] for number in order]
        found: list[Answer] = []
        hidden = disable_tqdm or self.rank != 0
        with (
            tqdm(total=len(requests), disable=hidden, desc="Scoring options", unit="option") as self._bar,
            each_second(lambda _: self._bar.refresh()),  # a first batch may take long: its time is seen to pass
        ):
            for chunk in [ordered] if self._in_one_call else chunks(ordered, CHUNK):
                found += super().loglikelihood(chunk, disable_tqdm=True)
                self._bar.update(len(found) - self._bar.n)
        self._bar = None
        answers = dict(zip(order, found, strict=True))
        return [answers[number] for number in range(len(requests))]

    def _keep(self, answered: Sequence[tuple[Any, Answer]]) -> None:
        """Count (request, answer) pairs as done and put them on disk (`--use_cache`), so that no rerun asks again.

        One statement and one wait for all of them: the harness's own `add_partial` takes ten times as long.
        """
        if self._bar is not None:
            self._bar.update(len(answered))
        store = getattr(self.cache_hook, "dbdict", None)
        found = [(key, answer) for key, answer in answered if key is not None]
        if store is None or not found:
            return
        for start in range(0, len(found), 1000):  # SQLite takes 32,766 values a statement
            values = []
            for key, answer in found[start : start + 1000]:
                values += [hash_args("loglikelihood", key), store.encode(answer)]
            places = ",".join(["(?,?)"] * (len(values) // 2))
            store.conn.execute(f'REPLACE INTO "{store.tablename}" (key, value) VALUES {places}', values)
        store.commit()


def chunks(requests: Sequence[Instance], size: int) -> Iterator[list[Instance]]:
    """Cut requests where the context changes, after about `size` characters of contexts and continuations."""
    part: list[Instance] = []
    held, before = 0, None
    for request in requests:
        context, continuation = request.args
        if context != before:
            if held >= size:
                yield part
                part, held = [], 0
            held += len(context)
        part.append(request)
        held, before = held + len(continuation), context
    if part:
        yield part
