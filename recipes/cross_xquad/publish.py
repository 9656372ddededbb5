"""A release as a pull request on the hub: always one, never a direct commit, the token from the environment alone."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

from crossin_metrics.errors import CrossinError

TOKEN = "HF_TOKEN"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def check_repository(repository: str, *, needs_token: bool) -> str | None:
    """Check the name, and return the token where one is needed; called before any work is done.

    Raises:
        CrossinError: no hub id, or no token.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise CrossinError(f"push_to_hub: {repository!r} is no data set repository; write owner/name")
    if not needs_token:
        return None
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise CrossinError(f"push_to_hub needs a token that may write: set the environment variable {TOKEN}")
    return token


def payload(files: Mapping[str, bytes], repository: str, title: str) -> dict[str, Any]:
    """What is sent: repository, title, and each file's path, size and SHA-256."""
    return {
        "repository": repository,
        "repo_type": "dataset",
        "create_pr": True,
        "commit_message": title,
        "files": [
            {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        ],
    }


def push(files: Mapping[str, bytes], repository: str, title: str, token: str) -> str:
    """Open a pull request with the files and return its address.

    Raises:
        CrossinError: no such repository, the hub refuses or cannot be reached, or it has these very files.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()
    operations = [CommitOperationAdd(name, content) for name, content in sorted(files.items())]
    try:
        done = HfApi(token=token).create_commit(
            repo_id=repository, repo_type="dataset", operations=operations, commit_message=title, create_pr=True
        )
    except Exception as error:  # whatever a network and a client may raise: it is not the program's mistake
        lines = [line.strip() for line in str(error).replace(token, "***").splitlines() if line.strip()]
        said = " ".join(lines[:2]) or type(error).__name__
        raise CrossinError(f"push_to_hub {repository}: {said[:400]}") from None
    if done.pr_url is None:
        raise CrossinError(f"push_to_hub: {repository} has these very files already: there is nothing to propose")
    return str(done.pr_url)
