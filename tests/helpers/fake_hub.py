"""A hub on this machine: the few addresses that `datasets.load_dataset` and `HfApi.dataset_info` ask for.

Started as `with FakeHub({"owner/name": {"README.md": b"..."}}) as hub:`; clients find it by `HF_ENDPOINT=hub.url`.
"""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        self.broken = False  # answers 503 to everything
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self) -> None:
                path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
                hub.requests.append(f"{self.command} {path}")
                status, body, headers = hub.respond(path)
                self.answer(status, body, headers)

            def do_HEAD(self) -> None:
                self.do_GET()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def entry(self, name: str, content: bytes) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def respond(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if self.broken:
            return 503, b"{}", {}
        for repo, files in self.repositories.items():
            api, resolve = f"/api/datasets/{repo}", f"/datasets/{repo}/resolve/"
            if path == api or path.startswith(f"{api}/revision/"):
                revision = path.removeprefix(f"{api}/revision/")
                if path != api and revision not in (COMMIT, "main"):
                    return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
                info = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files], "tags": []}
                return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}
            if path.startswith(f"{api}/tree/"):
                folder = path.removeprefix(f"{api}/tree/").partition("/")[2]
                found = [self.entry(n, c) for n, c in files.items() if not folder or n.startswith(f"{folder}/")]
                if folder and not found:
                    return 404, b"{}", {"X-Error-Code": "EntryNotFound"}
                return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}
            if path.startswith(resolve):
                name = path.removeprefix(resolve).partition("/")[2]
                if name not in files:
                    return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
                etag = f'"{hashlib.sha1(files[name]).hexdigest()}"'
                return 200, files[name], {"ETag": etag, "X-Repo-Commit": COMMIT, "Accept-Ranges": "none"}
        return 404, b"{}", {"X-Error-Code": "RepoNotFound"}
