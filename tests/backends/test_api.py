"""crossin-api against a scripted server; for a real one see `test_real_server.py`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.api_models import JsonChatStr
from lm_eval.tasks import TaskManager

from crossin_metrics.answers.generated import Generated
from crossin_metrics.answers.thoughts import MARKS
from crossin_metrics.backends.api import CrossinAPI, letters
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.harness.outputs import Budget, read_row
from tests.helpers.scripted_server import ScriptedServer, Seen, serve

SECRET = "sk-very-secret"
LIKELY = {" B": -0.2, " A": -2.5, " the": -3.0, " C": -4.0}
OPTIONS = TaskOptions.from_metadata("t_gen", {"set": "x", "formulation": "gen", "preset": "thinking"})
DOC = {"options": ["the Nile", "the Amazon", "the Yangtze", "the Volga"], "language": "en"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Answers letters from LIKELY and generations with "B"; waits between tries are not slept."""
    monkeypatch.setattr("crossin_metrics.backends.api._sleep", lambda seconds: None)
    with serve(ScriptedServer(read=lambda prompt: ({"text": prompt}, ""), choice=choice)) as state:
        yield state


def choice(seen: Seen, behaviour: str) -> dict[str, Any] | None:
    chat = "messages" in seen.body
    if behaviour.startswith("message:"):
        return json.loads(behaviour.removeprefix("message:"))
    if behaviour != "perfect":
        return None
    if "logprobs" not in seen.body:
        return (
            {"message": {"content": "B"}, "finish_reason": "stop"} if chat else {"text": "B", "finish_reason": "stop"}
        )
    if chat:
        pairs = [{"token": token.strip(), "logprob": logprob} for token, logprob in LIKELY.items()]
        return {"message": {"content": "B"}, "logprobs": {"content": [{"token": "B", "top_logprobs": pairs}]}}
    return {"text": " B", "logprobs": {"top_logprobs": [LIKELY]}}


def model(server: ScriptedServer, **arguments: Any) -> CrossinAPI:
    return CrossinAPI(base_url=server.base_url, model="scripted", **arguments)


def letter_requests(*prompts: Any, space: str = " ") -> list[Instance]:
    pairs = [(prompt, space + letter) for prompt in prompts for letter in "ABCD"]
    return [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]


def generations(*prompts: Any, **kwargs: Any) -> list[Instance]:
    kwargs = {"max_gen_toks": 64, "temperature": 0.0, "do_sample": False, "until": ["\n\n"], **kwargs}
    return [Instance("generate_until", {}, (prompt, kwargs), n) for n, prompt in enumerate(prompts)]


CHAT = JsonChatStr(json.dumps([{"role": "user", "content": "Which?"}]))


# --- letters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prompt", "space"), [("Which? Answer:", " "), (CHAT, "")])
def test_one_request_a_question_and_a_bound_for_a_letter_out_of_sight(
    server: ScriptedServer, prompt: Any, space: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = model(server).loglikelihood(letter_requests(prompt, space=space), disable_tqdm=True)
    assert found[:3] == [(-2.5, False), (-0.2, True), (-4.0, False)]
    left = 1 - sum(math.exp(logprob) for logprob in LIKELY.values())
    assert found[3] == (pytest.approx(min(-4.0, math.log(left))), False)
    assert len(server.seen) == 1
    assert server.seen[0].body["max_tokens"] == 1
    assert "1 of 4 letters were not among the 20 likeliest tokens" in caplog.text


def test_no_letter_in_sight_is_no_answer() -> None:
    found, missing = letters({" the": -0.1, " a": -3.0}, [" A", " B"])
    assert missing == 2
    assert set(found.values()) == {(-math.inf, False)}


@pytest.mark.parametrize(
    ("likely", "expected"),
    [
        ({" A": -1.0, "A": -0.5, "B": -3.0}, (-1.0, False)),  # the same text goes before one that differs in space
        ({"A": -1.0, "B": -0.5}, (-1.0, False)),
        ({"A": -0.1, " B": -3.0, "▁": -4.0}, (-3.0, None)),
    ],
)
def test_tokens_and_white_space(likely: dict[str, float], expected: tuple[float, bool | None]) -> None:
    found, _ = letters(likely, [" A", " B"])
    assert found[" A"][0] <= expected[0] if expected[1] is None else found[" A"] == expected


def test_what_is_no_letter_is_refused_before_any_request(server: ScriptedServer) -> None:
    request = Instance("loglikelihood", {}, ("Which?", " the Nile"), 0)
    with pytest.raises(CrossinError, match=r"scores letters only, not 'the Nile'"):
        model(server).loglikelihood([request])
    assert not server.seen


def test_an_api_without_logprobs_says_which_task_to_use(server: ScriptedServer) -> None:
    server.script = lambda seen: 'message:{"text": " B", "finish_reason": "stop"}'
    with pytest.raises(CrossinError, match="use the _gen task"):
        model(server).loglikelihood(letter_requests("Which?"))


# --- generations -----------------------------------------------------------------------------------------------------


def test_settings_of_a_generation_reach_the_server(server: ScriptedServer) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low", "top_p": 0.9}
    assert model(server).generate_until(generations(CHAT, **extra), disable_tqdm=True) == ["B"]
    body = server.seen[0].body
    assert {name: body[name] for name in extra} == extra
    assert (body["max_tokens"], body["temperature"], body["stop"]) == (64, 0.0, ["\n\n"])
    assert "do_sample" not in body


def test_repeats_of_a_request_have_seeds_of_their_own(server: ScriptedServer) -> None:
    model(server).generate_until(generations("a", "a", "b"), disable_tqdm=True)
    assert sorted((seen.body["prompt"], seen.body["seed"]) for seen in server.seen) == [
        ("a", 1234), ("a", 1235), ("b", 1234),
    ]  # fmt: skip


THOUGHT = "The Nile is long, so the answer is A. But no: "
REPLIES = [
    *(({"content": f"{opening}{THOUGHT}{closing}\nB"}, "stop", (1, "whole")) for opening, closing in MARKS),
    *(({"content": f"{opening}{THOUGHT}"}, "length", (None, "cut")) for opening, _ in MARKS),
    ({"content": f"{THOUGHT}</think>\nB"}, "stop", (1, "whole")),
    ({"content": THOUGHT}, "length", (None, "cut")),
    ({"content": "B", "reasoning_content": THOUGHT}, "stop", (1, "whole")),
    ({"content": "B", "reasoning": THOUGHT}, "stop", (1, "whole")),
    ({"content": None, "reasoning_content": THOUGHT}, "length", (None, "cut")),
    ({"content": None}, "length", (None, "cut")),
    ({"content": None}, "stop", (None, "")),
    ({"content": [{"type": "text", "text": "The answer is B."}]}, "stop", (1, "announced")),
]


@pytest.mark.parametrize(("message", "finish", "expected"), REPLIES)
def test_replies_of_models_that_think(
    server: ScriptedServer, message: dict[str, Any], finish: str, expected: tuple[int | None, str]
) -> None:
    server.script = lambda seen: "message:" + json.dumps({"message": message, "finish_reason": finish})
    (text,) = model(server).generate_until(generations(CHAT), disable_tqdm=True)
    assert isinstance(text, Generated)
    reading, finished = read_row(text, DOC, OPTIONS, Budget(64))
    assert ((reading.answer, reading.rule), finished) == (expected, finish)
    if message.get("reasoning_content"):
        assert reading.thought == len(THOUGHT)


def test_a_task_whose_rows_end_in_every_way(server: ScriptedServer, repo: Path) -> None:
    """Thoughts closed and cut, empty replies, refused and dropped requests: the cut rows are counted."""
    replies = [
        *(({"content": f"{opening}{THOUGHT}{closing}B"}, "stop") for opening, closing in MARKS),
        *(({"content": f"{opening}{THOUGHT}"}, "length") for opening, _ in MARKS),
        ({"content": None, "reasoning_content": THOUGHT}, "length"),
        ({"content": None}, "stop"),
    ]
    order: dict[str, int] = {}

    def script(seen: Seen) -> str:
        if seen.times_asked < 3:
            return ("429:0", "half", "reset", "503")[(len(order) + seen.times_asked) % 4]
        number = order.setdefault(json.dumps(seen.body["messages"]), len(order))
        message, finish = replies[number % len(replies)]
        return "message:" + json.dumps({"message": message, "finish_reason": finish})

    server.script = script
    manager = TaskManager(
        include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata={"preset": "thinking"}
    )
    found = simple_evaluate(
        model=model(server), tasks=["crossin_mini_gen"], task_manager=manager, limit=40, apply_chat_template=True,
        bootstrap_iters=0,
    )  # fmt: skip
    scores, rows = found["results"]["crossin_mini_gen"], found["samples"]["crossin_mini_gen"]
    kinds = [number % len(replies) for number in range(len(rows))]
    assert scores["n_cut,none"] == sum(len(MARKS) <= kind <= 2 * len(MARKS) for kind in kinds) > 10
    assert scores["n_unanswered,none"] - scores["n_cut,none"] == kinds.count(2 * len(MARKS) + 1)
    assert sum(row["answer"] is not None for row in rows) == sum(kind < len(MARKS) for kind in kinds)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["429", "429:0", "500", "503", "reset", "half", "not_json", "no_choices"])
def test_it_tries_again(server: ScriptedServer, behaviour: str) -> None:
    server.script = lambda seen: behaviour if seen.times_asked < 3 else "perfect"
    assert model(server).generate_until(generations(CHAT), disable_tqdm=True) == ["B"]
    assert len(server.seen) == 3


@pytest.mark.parametrize("behaviour", ["400", "401", "503", "reset"])
def test_what_stays_wrong_is_one_message_without_the_key(
    server: ScriptedServer, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.script = lambda seen: behaviour
    with pytest.raises(CrossinError) as caught:
        model(server, max_retries=2).generate_until(generations(CHAT), disable_tqdm=True)
    assert len(server.seen) == (1 if behaviour in ("400", "401") else 2)
    assert server.seen[0].authorization == f"Bearer {SECRET}"
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "", "model": "m"}, "needs --model_args base_url"),
        ({"base_url": "http://h/v1"}, "needs --model_args base_url"),
        ({"base_url": "http://h/v1", "model": "m", "api_key": SECRET}, "set OPENAI_API_KEY"),
        ({"base_url": "http://h/v1", "model": "m", "auth_token": SECRET}, "set OPENAI_API_KEY"),
        ({"base_url": f"http://me:{SECRET}@h/v1", "model": "m"}, "set OPENAI_API_KEY"),
        ({"base_url": "http://h/v1", "model": "m", "colour": 1}, "unknown model argument 'colour'"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossinError, match=message) as caught:
        CrossinAPI(**arguments)
    assert SECRET not in str(caught.value)


def test_requests_are_concurrent_and_stay_in_order(server: ScriptedServer) -> None:
    server.delay = 0.05
    server.script = lambda seen: "message:" + json.dumps({"text": seen.body["prompt"], "finish_reason": "stop"})
    prompts = [f"p{n}" for n in range(24)]
    assert model(server, num_concurrent=8).generate_until(generations(*prompts), disable_tqdm=True) == prompts
    assert 4 < server.most_in_flight <= 8


def test_a_stopped_run_resumes_from_the_cache(server: ScriptedServer, tmp_path: Path) -> None:
    prompts = [f"Question {n}:" for n in range(6)]
    server.script = lambda seen: "400" if seen.body["prompt"] == prompts[4] else "perfect"
    cached = CachingLM(model(server, num_concurrent=1), str(tmp_path / "cache.db"))
    with pytest.raises(CrossinError, match=r"HTTP 400.*; for an API of chat models add --apply_chat_template"):
        cached.loglikelihood(letter_requests(*prompts))
    server.script = lambda seen: "perfect"
    again = CachingLM(model(server), str(tmp_path / "cache.db"))
    assert len(again.loglikelihood(letter_requests(*prompts))) == 24
    asked = [seen.body["prompt"] for seen in server.seen]
    assert [asked.count(prompt) for prompt in prompts[:4]] == [1, 1, 1, 1]
    assert asked.count(prompts[4]) == 2
    texts = again.generate_until(generations("x"))
    assert CachingLM(model(server), str(tmp_path / "cache.db")).generate_until(generations("x"))[0].finish == "stop"
    assert texts == ["B"]
