"""A hub on this machine that accepts pull requests."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "hf_ThisMustNeverBeSeenAnywhere"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class CommitHub:
    """The endpoints that a pull request with small files uses: README, metadata check, preupload, commit."""

    def __init__(self, readme: str | None = None, status: int = 200) -> None:
        self.readme, self.status = readme, status
        self.commits: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.reads: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, body: Any, **headers: str) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def do_GET(self) -> None:
                hub.reads.append(self.path)
                if not self.path.endswith("/resolve/main/README.md") or hub.readme is None:
                    self.answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
                else:
                    self.answer(200, hub.readme.encode(), ETag='"abc"', X_Repo_Commit=COMMIT)

            do_HEAD = do_GET

            def do_POST(self) -> None:
                hub.tokens.add(self.headers.get("Authorization"))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                url = urlsplit(self.path)
                if hub.status != 200:
                    self.answer(hub.status, {"error": f"refused {self.headers.get('Authorization')}"})
                elif url.path == "/api/validate-yaml":
                    self.answer(200, {"errors": [], "warnings": []})
                elif "/preupload/" in url.path:
                    files = [
                        {**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]
                    ]
                    self.answer(200, {"files": files})
                else:
                    lines = [json.loads(line) for line in body.splitlines()]
                    hub.commits.append({"path": url.path, "query": parse_qs(url.query), "lines": lines})
                    made = {"commitUrl": f"{hub.url}/lab/lion/commit/{COMMIT}", "commitOid": COMMIT}
                    self.answer(200, {**made, "pullRequestUrl": f"{hub.url}/lab/lion/discussions/7"})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def files(self) -> dict[str, bytes]:
        """The files of the one pull request."""
        (commit,) = self.commits
        values = [line["value"] for line in commit["lines"] if line["key"] == "file"]
        assert all(value["encoding"] == "base64" for value in values)
        return {value["path"]: base64.b64decode(value["content"]) for value in values}


@contextmanager
def commit_hub(readme: str | None = None) -> Iterator[CommitHub]:
    """A running hub."""
    made = CommitHub(readme)
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()
