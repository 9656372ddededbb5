"""A real HTTP server that speaks the OpenAI interface, translates with a small word list, and misbehaves on demand.

Its "translations" are nonsense of the right language, length, numbers and marks, always the same for the same text, so
they pass the gates and two runs can be compared. A function of the request scripts what goes wrong. Other tasks than
translation are plugged in by `ScriptedServer.read` and `ScriptedServer.reply`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_SPANISH = """el perro corre por la calle mientras los niños juegan con una pelota en nuestro jardín verde y
también comen muchas frutas durante toda la mañana porque hace buen tiempo siempre"""
_VIETNAMESE = """con chó chạy trên đường phố khi những đứa trẻ chơi bóng trong khu vườn xanh của chúng tôi và
cũng ăn rất nhiều trái cây suốt cả buổi sáng vì thời tiết đẹp"""
_CHINESE = "我们在花园里看见孩子们高兴地玩球他吃了很多水果因为今天天气非常好所以大家都去公园散步聊天"
WORDS = {"Spanish": _SPANISH.split(), "Vietnamese": _VIETNAMESE.split(), "Chinese": list(_CHINESE)}
_TOKEN = re.compile(r"⟦\d+⟧|\d+(?:[.,:]\d+)*|\w+|[^\w\s]+|\s+")


_MARK = re.compile(r"⟦\d+⟧|\d\d+")


def _marks(text: str) -> str:
    return " ".join(_MARK.findall(text))


def fake_translation(text: str, language: str) -> str:
    """Nonsense in a language that keeps marks, numbers, punctuation and line breaks."""
    out: list[str] = []
    for token in _TOKEN.findall(text):
        if token[0] == "⟦" or token[0].isdigit() or not (token[0].isalnum() or token.isspace()):
            out.append(token)
        elif token.isspace():
            out.append(token if language != "Chinese" or "\n" in token else "")
        else:
            pick = int(hashlib.sha256(token.encode()).hexdigest(), 16)
            words = WORDS[language]
            out.append(words[pick % len(words)] + (words[pick // 7 % len(words)] if language == "Chinese" else ""))
    return "".join(out)


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it: when, in how many a time, what was to be translated into what."""

    number: int
    body: dict[str, Any]
    fields: dict[str, str]
    language: str
    times_asked: int
    authorization: str | None

    @property
    def text(self) -> str:
        return json.dumps(self.fields, ensure_ascii=False)


Script = Callable[[Seen], str]


@dataclass
class ScriptedServer:
    """What the server does and saw. `script` names a behaviour for each request; see `_Handler` for them.

    `read` takes a prompt apart into fields and a language; `reply` gives a behaviour's content, or None for those here;
    `choice` its whole first choice, with log-probabilities or reasoning.
    """

    script: Script = lambda seen: "perfect"
    read: Callable[[str], tuple[dict[str, str], str]] = lambda prompt: read_prompt(prompt)
    reply: Callable[[Seen, str], str | None] = lambda seen, behaviour: None
    choice: Callable[[Seen, str], dict[str, Any] | None] = lambda seen, behaviour: None
    delay: float = 0.0
    refusal: str = "scripted"  # what errors say
    model: str = "scripted"
    seen: list[Seen] = field(default_factory=list)
    replied: dict[str, str] = field(default_factory=dict)  # body -> content of the reply
    asked: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def read_prompt(prompt: str) -> tuple[dict[str, str], str]:
    """The fields and the English name of the target language in a request's words."""
    language = re.search(r"from English into (\w+)", prompt)
    assert language is not None
    continued = re.search(r"\n\nEnglish:\n(.*)\n\n[^\n]+:\n$", prompt, re.DOTALL)
    text = continued.group(1) if continued else prompt.split("\n\n", 1)[1].strip("\n")
    try:
        return json.loads(text), language.group(1)
    except json.JSONDecodeError:
        return {"text": text}, language.group(1)


_CHANGES: dict[str, Callable[[str], str]] = {  # what goes wrong with a translation
    "broken_mark": lambda text: text.replace("⟦0⟧", "⟦7⟧"),
    "lost_mark": lambda text: text.replace("⟦0⟧", ""),
    "empty": lambda text: "",
    "loop": lambda text: _marks(text) + " " + _MARK.sub("", text)[:12] * (len(text) // 12),
    "short": lambda text: _marks(text) + " " + _MARK.sub("", text)[:3],
    "lost_number": lambda text: re.sub(r"\d\d+", "", text),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._send(200, json.dumps({"data": [{"id": self.state.model}]}))

    def do_POST(self) -> None:
        state = self.state
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        body = json.loads(raw)
        prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        fields, language = state.read(prompt)
        key = json.dumps(body, sort_keys=True)
        with state.lock:
            state.asked[key] += 1
            token = self.headers.get("Authorization")
            seen = Seen(len(state.seen), body, fields, language, state.asked[key], token)
            state.seen.append(seen)
            state.times.append(time.monotonic())
            state.in_flight += 1
            state.most_in_flight = max(state.most_in_flight, state.in_flight)
        try:
            time.sleep(state.delay)
            self._answer(seen, key, state.script(seen))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with state.lock:
                state.in_flight -= 1

    def _answer(self, seen: Seen, key: str, behaviour: str) -> None:
        choice = self.state.choice(seen, behaviour)
        if choice is not None:
            return self._send(200, json.dumps({"choices": [choice]}))
        content = self.state.reply(seen, behaviour)
        if content is not None:
            return self._content(seen, key, content, "length" if behaviour == "truncated" else "stop")
        if behaviour.startswith("429"):  # 429 or 429:seconds
            after = behaviour.partition(":")[2]
            return self._send(429, '{"error": "too many"}', {"Retry-After": after} if after else None)
        if behaviour in ("400", "401", "500", "503"):
            return self._send(int(behaviour), json.dumps({"error": {"message": self.state.refusal}}))
        if behaviour in ("not_json", "no_choices"):
            return self._send(200, {"not_json": "<html>gateway</html>", "no_choices": '{"choices": []}'}[behaviour])
        if behaviour in ("reset", "half"):
            if behaviour == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:  # the connection ends within the body
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices": [{"mess')
            self.close_connection = True
            return None
        if behaviour == "slow":
            time.sleep(1.0)
        change = _CHANGES.get(behaviour, lambda text: text)
        language = {"Spanish": "Vietnamese"}.get(seen.language, "Spanish")
        language = language if behaviour == "wrong_language" else seen.language
        translated = {}
        for name, text in seen.fields.items() if language in WORDS else ():
            translated[name] = text if behaviour == "copy" else change(fake_translation(text, language))
        if behaviour == "missing_field":
            translated.popitem()
        content = json.dumps(translated, ensure_ascii=False) if "text" not in translated else translated["text"]
        if behaviour in ("malformed", "truncated"):
            content = content[: len(content) // 2]
        return self._content(seen, key, content, "length" if behaviour == "truncated" else "stop")

    def _content(self, seen: Seen, key: str, content: str, finish_reason: str) -> None:
        with self.state.lock:
            self.state.replied[key] = content
        message = (
            {"message": {"role": "assistant", "content": content}} if "messages" in seen.body else {"text": content}
        )
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return self._send(200, json.dumps({"choices": [{**message, "finish_reason": finish_reason}], "usage": usage}))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def drop_connections(self) -> None:
        """Cut off every client, as a killed server does."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


@contextmanager
def serve(state: ScriptedServer) -> Iterator[ScriptedServer]:
    """Run the server on a free port of this machine (or on `state.port`)."""
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", state.port), handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        server.drop_connections()
        thread.join()
