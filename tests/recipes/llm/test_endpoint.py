"""The client against a real HTTP server: limits, pauses, bodies. (Faults: translation/test_run.py, test_stops.py.)"""

from __future__ import annotations

import time
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.llm.endpoint import EndpointOptions, OpenAIClient
from recipes.llm.replies import Reply, Usage
from tests.helpers.scripted_server import ScriptedServer, serve


def send(server: ScriptedServer, count: int, tokens: int = 1, **options: Any) -> list[Reply]:
    """Send `count` requests to a server that replies "yes" where its script says "perfect"."""
    server.read = lambda prompt: ({}, "")
    server.reply = lambda seen, behaviour: "yes" if behaviour == "perfect" else None
    replies: list[Reply] = []
    with serve(server):
        client = OpenAIClient(EndpointOptions(model="scripted", base_url=server.base_url, **options), Usage())
        client.check()
        bodies = ((k, client.options.body(f"question {k}", {}), tokens) for k in range(count))
        client.send(bodies, lambda k, reply: replies.append(reply))
    assert len(replies) == len(server.asked) == count
    assert {reply.text for reply in replies} == {"yes"}
    return replies


def test_many_requests_are_in_flight_but_not_more_than_allowed() -> None:
    server = ScriptedServer(delay=0.05)
    send(server, 24, concurrency=6)
    assert server.most_in_flight == 6


@pytest.mark.parametrize(
    ("options", "tokens"), [({"requests_per_minute": 60}, 1), ({"tokens_per_minute": 60_000}, 1000)]
)
def test_requests_and_tokens_per_minute_are_limited(options: dict[str, int], tokens: int) -> None:
    server, begin = ScriptedServer(), time.monotonic()
    send(server, 62, tokens, **options)
    assert server.times[-1] - begin >= 1.9  # 60 at once, then one per second


def test_retry_after_holds_all_requests() -> None:
    server = ScriptedServer(lambda seen: "429:1" if seen.number == 20 else "perfect", delay=0.01)
    send(server, 72, concurrency=8)
    after = [t - server.times[20] - 0.01 for t in server.times]
    assert not [t for t in after if 0.4 < t < 0.9]  # requests under way may still arrive
    assert len([t for t in after if t >= 0.9]) >= 32


def test_a_model_that_is_not_served_is_reported_at_once() -> None:
    server = ScriptedServer(model="other")
    with pytest.raises(CrossinError, match="it serves: other"):
        send(server, 1)
    assert server.seen == []


def test_bodies_have_the_extra_fields_and_null_removes_one() -> None:
    extra = '{"chat_template_kwargs": {"enable_thinking": false}, "max_tokens": null, "n": 1}'
    body = EndpointOptions(model="m", extra_body=extra).body(
        "Hi", {"max_tokens": 5, "seed": 1}, "x", {"type": "object"}
    )
    assert body == {
        "model": "m",
        "seed": 1,
        "messages": [{"role": "user", "content": "Hi"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
        },
        "chat_template_kwargs": {"enable_thinking": False},
        "n": 1,
    }
    assert EndpointOptions(model="m", api="completions").body("Hi", {}) == {"model": "m", "prompt": "Hi"}
