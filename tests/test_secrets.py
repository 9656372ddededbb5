"""Secrets are recognised, refused where they would be kept, masked where they would be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.backends.api import CrossinAPI
from crossin_metrics.errors import CrossinError, one_line
from crossin_metrics.hub import push_error
from crossin_metrics.secrets import MASK, is_secret_name, masked, secret_place
from recipes.common.options import parse
from recipes.llm.endpoint import EndpointOptions, OpenAIClient
from recipes.llm.replies import Reply, Usage
from tests.helpers.cli import crossin
from tests.helpers.scripted_server import ScriptedServer, serve

HEX = "d41d8cd98f00b204e9800998ecf8427e"
TOKENS = (
    "hf_" + "aB3" * 12,
    "sk-proj-" + "aB3_" * 8,
    "sk-" + "a1" * 16,
    "ghp_" + "aB3" * 12,
    "AKIA" + "A1B2" * 4,
    "AIza" + "aB3-" * 9,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_",
    "xoxb-123456789012-abcdef",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ==",
)
HARMLESS = (
    "hf-internal-testing/tiny-random-LlamaForCausalLM",
    "google/gemma-3-270m",
    "sk-learn-cross-lingual-set-of-slovak",
    "hub:SeaEval/SeaEval_datasets/cross_mmlu@0a1b2c",
    "<|eot_id|>",
    "pretrained=m,tokenizer=t,think_end_token=</think>,max_tokens=5",
    "https://host:8000/v1",
    "Answer with the token: A",
    HEX,
)


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_services_are_masked_wherever_they_are(token: str) -> None:
    for text in (token, f"denied: {token}", f'{{"error": "{token}"}}', f"https://h/?k={token}"):
        assert token not in masked(text, environment={})
        assert MASK in masked(text, environment={})
    assert secret_place({"a": ["x", token]}, "option") == "option.a"
    assert token not in one_line(ValueError(f"server said {token}"))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text, environment={}) == text
    assert secret_place(text) is None


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://me:pass@host/v1", "pass"),
        ("Authorization: Bearer abcdefgh1", "abcdefgh1"),
        ("--model_args pretrained=m,token=abcdef", "abcdef"),
        ("{'api_key': 'abc'}", "abc"),
        ("http://h/v1?x=1&access_token=abc", "abc"),
        ("the value is s3cret-value", "s3cret-value"),
    ],
)
def test_secrets_are_masked_by_name_and_place(text: str, hidden: str) -> None:
    shown = masked(text, environment={"MY_API_KEY": "s3cret-value", "HOME": "/root"})
    assert hidden not in shown
    assert MASK in shown


def test_names() -> None:
    for name in ("api_key", "apiKey", "X-API-Key", "hub_token", "HF_TOKEN", "Authorization", "db_password", "token"):
        assert is_secret_name(name), name
    for name in (
        "eos_token",
        "pad_token",
        "think_end_token",
        "max_tokens",
        "api_key_env",
        "tokenizer",
        "key",
        "a_token",
    ):
        assert not is_secret_name(name), name


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"extra_body": '{"api_key": "abc"}'}, "extra_body.api_key"),
        ({"extra_body": '{"headers": {"Authorization": "Bearer abcdefgh"}}'}, "extra_body.headers.Authorization"),
        ({"extra_body": json.dumps({"x": [TOKENS[0]]})}, "extra_body.x"),
        ({"base_url": "http://me:abc@h/v1"}, "base_url"),
        ({"base_url": "me:abc@h/v1"}, "base_url"),
        ({"base_url": "http://h/v1?api_key=abc"}, "base_url"),
        ({"base_url": f"http://h/{TOKENS[0]}/v1"}, "base_url"),
        ({"api_key_env": TOKENS[1]}, "api_key_env"),
        ({"api_key_env": TOKENS[0]}, "api_key_env"),
        ({"api_key_env": HEX}, "api_key_env"),
        ({"api_key_env": HEX.upper()}, "api_key_env"),
        ({"api_key_env": "A1B2C3D4E5F6A7B8"}, "api_key_env"),
    ],
)
def test_an_endpoint_takes_no_secret_and_repeats_none(options: dict[str, Any], place: str) -> None:
    with pytest.raises(CrossinError) as caught:
        EndpointOptions(model="m", **options)
    message = str(caught.value)
    assert message.startswith(place)
    assert not any(value in message for value in ("abc", HEX, *TOKENS, *options.values()))


def test_a_variable_of_any_spelling_is_fine_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("my_key_1234567890", "x")
    assert EndpointOptions(model="m", api_key_env="my_key_1234567890").api_key_env == "my_key_1234567890"
    assert EndpointOptions(model="m", api_key_env="LAB2_API_KEY").api_key_env == "LAB2_API_KEY"


def test_a_recipe_refuses_a_secret_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CrossinError, match="model holds a secret") as caught:
        parse(EndpointOptions, ["--model", TOKENS[0]], prog="tool", description="A tool.")
    assert TOKENS[0] not in str(caught.value)
    config = tmp_path / "c.yaml"
    config.write_text(f'model: m\nextra_body: \'{{"api_key": "{HEX}"}}\'\n', encoding="utf-8")
    out = tmp_path / "out"
    assert crossin("translate", "--config", config, "--output_dir", out).returncode == 2
    assert HEX not in capsys.readouterr().err
    assert not out.exists()


def test_the_harness_is_not_started_with_a_secret() -> None:
    done = crossin("eval", "--model", "hf", "--model_args", f"pretrained=m,token={HEX}", "--tasks", "crossin_mini")
    assert done.returncode == 2
    assert "set HF_TOKEN" in done.stderr
    assert HEX not in done.stderr


def test_a_server_that_repeats_the_token_does_not_reach_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SERVER", HEX)  # a name that says nothing
    server = ScriptedServer(lambda seen: "400", refusal=f"key {HEX} and {TOKENS[0]} are not allowed")
    server.read = lambda prompt: ({}, "")
    replies: list[Reply] = []
    with serve(server):
        options = EndpointOptions(
            model="scripted", base_url=server.base_url, api_key_env="LAB_SERVER", max_tries=1, patience_seconds=1
        )
        client = OpenAIClient(options, Usage())
        client.send([(0, client.options.body("question", {}), 1)], lambda k, reply: replies.append(reply))
    assert "are not allowed" in (replies[0].error or "")
    assert HEX not in repr(replies)
    assert TOKENS[0] not in repr(replies)


def test_a_push_error_hides_the_token_in_use() -> None:
    assert HEX not in str(push_error(RuntimeError(f"bad credentials {HEX}"), "lab/model", HEX))


@pytest.mark.parametrize("url", ["http://me:abc@h/v1", f"http://h/v1?key={HEX}", f"http://h/{TOKENS[0]}/v1"])
def test_the_harness_model_takes_no_secret_in_its_address(url: str) -> None:
    with pytest.raises(CrossinError, match="base_url holds a secret") as caught:
        CrossinAPI(base_url=url, model="m")
    assert HEX not in str(caught.value)
