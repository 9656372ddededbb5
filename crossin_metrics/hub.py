"""Reading from the Hugging Face hub, or its local cache, and pushing to it.

A push always opens a pull request, never commits directly. The token comes from HF_TOKEN or `hf auth login` and is
never printed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.records import Record
from crossin_metrics.secrets import masked

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REFUSED = (401, 403, 404)  # no such repository or revision, or no access: the next place is asked
_TIMEOUT = 10.0  # seconds for the one reachability request; the client's own retries take 23 s without a network


def hub_records(
    places: Sequence[tuple[str, str | None]], split: str, revision: str | None = None
) -> tuple[Iterator[Record], str]:
    """Read the first hub data set of `places` (repository, config or None) that exists.

    One short request asks whether the hub is there, because its client's own retries take half a minute; without an
    answer only the local cache is tried. Data sets with loading scripts are refused (`trust_remote_code` is never set).

    Returns:
        The records, and the source as `hub:<repository>[/<config>]@<commit, or "cache">`.

    Raises:
        CrossinError: none of the places has the set; gives the reason for each, and what to do instead.
    """
    import datasets
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    online = not huggingface_hub.constants.HF_HUB_OFFLINE
    reasons = [] if online else ["HF_HUB_OFFLINE is set"]
    for repo, config in places:
        label = f"{repo}/{config}" if config else repo
        commit: str | None = None
        if online:
            try:
                commit = huggingface_hub.HfApi().dataset_info(repo, revision=revision, timeout=_TIMEOUT).sha
            except Exception as error:  # which class depends on the client's transport
                status = getattr(getattr(error, "response", None), "status_code", None)
                if isinstance(error, HfHubHTTPError) and status in _REFUSED:
                    reasons.append(f"{label}: {_reason(error)}")
                    continue
                online = False
                reasons.append(f"no answer from {huggingface_hub.constants.ENDPOINT}: {_reason(error)}")
        try:
            with nullcontext() if online else _hub_offline():
                table = datasets.load_dataset(repo, config, split=split, revision=commit or revision)
        except Exception as error:  # whatever the library raises becomes part of the one message below
            absent = not online and isinstance(error, ConnectionError)
            reasons.append(f"{label}: {'not in the cache' if absent else _reason(error)}")
            continue
        commit = commit or _cached_commit(table)
        if revision is not None and not online and not commit.startswith(revision):
            reasons.append(f"{label}: the cache has {commit}, which may not be {revision}")
            continue
        where = f"hub:{label}@{commit}"
        return (Record(f"{where}, row {number}", row) for number, row in enumerate(table, 1)), where
    raise CrossinError(
        f"cannot load the data from the hub or its local cache ({'; '.join(reasons)}); use local files instead "
        "(data_dir or CROSSIN_DATA_DIR for a parallel set), or load the set once with a network and set "
        "HF_HUB_OFFLINE=1 afterwards"
    )


def hub_commit(repo: str, revision: str | None) -> str | None:
    """The commit that a data set's revision (None: the main branch) has now; `revision` if the hub does not answer."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(repo, revision=revision, timeout=_TIMEOUT).sha or revision
    except Exception:  # of several HTTP libraries; loading reports it if the set really is out of reach
        return revision


def _cached_commit(table: Any) -> str:
    """The commit a cached data set was made from: the name of its folder (the library keeps no other record of it)."""
    files = table.cache_files
    return Path(files[0]["filename"]).parent.name if files else "cache"


def _reason(error: Exception) -> str:
    lines = [line for line in masked(str(error)).splitlines() if line.strip()]
    return f"{type(error).__name__} {lines[0][:160] if lines else ''}".rstrip()


@contextmanager
def _hub_offline() -> Iterator[None]:
    """Make both libraries use their caches at once, as HF_HUB_OFFLINE=1 would; they read it only at import."""
    import datasets
    import huggingface_hub

    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before


def check_repository(repository: str) -> None:
    """Raise a CrossinError for what is not a repository's name on the hub."""
    if not HUB_ID.fullmatch(repository):
        raise CrossinError(f"{repository!r} is not a hub repository; write owner/name")


def hub_token() -> str:
    """Return the token of the hub.

    Raises:
        CrossinError: there is none.
    """
    from huggingface_hub import get_token
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # no line for each retry: the final error is reported
    token = get_token()
    if not token:
        raise CrossinError("pushing to the hub needs a token with write access: set HF_TOKEN or run `hf auth login`")
    return str(token)


def hub_text(repository: str, path: str) -> str:
    """Return a text file of a model repository, "" where the repository has none.

    Raises:
        CrossinError: no token, no such repository, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError

    token = hub_token()
    try:
        local = HfApi(token=token).hf_hub_download(repository, path)
    except EntryNotFoundError:
        return ""
    except Exception as error:  # any error of the network or the client
        raise push_error(error, repository, token) from None
    return Path(local).read_text(encoding="utf-8")


def push_payload(files: Mapping[str, bytes], repository: str, *, repo_type: str, title: str) -> dict[str, Any]:
    """Return what :func:`push` would send: repository, title, and each file's path, size and SHA-256."""
    return {
        "repository": repository,
        "repo_type": repo_type,
        "create_pr": True,
        "commit_message": title,
        "files": [
            {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        ],
    }


def push(
    files: Mapping[str, bytes], repository: str, *, repo_type: str, title: str, description: str | None = None
) -> str:
    """Open a pull request with the files and return its address.

    Args:
        files: path in the repository -> content.
        repository: owner/name.
        repo_type: model or dataset.
        title, description: of the pull request.

    Raises:
        CrossinError: no token, no such repository, the hub refuses or cannot be reached, or it has these very files.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    token = hub_token()
    try:
        done = HfApi(token=token).create_commit(
            repo_id=repository,
            repo_type=repo_type,
            operations=[CommitOperationAdd(name, content) for name, content in sorted(files.items())],
            commit_message=title,
            commit_description=description,
            create_pr=True,
        )
    except Exception as error:  # any error of the network or the client
        raise push_error(error, repository, token) from None
    if done.pr_url is None:
        raise CrossinError(f"{repository} has these very files already; nothing to push")
    return str(done.pr_url)


def push_error(error: Exception, repository: str, token: str) -> CrossinError:
    """The message of a push that failed, without the token."""
    lines = [line.strip() for line in masked(str(error), [token]).splitlines() if line.strip()]
    return CrossinError(f"cannot push to {repository}: {(' '.join(lines[:2]) or type(error).__name__)[:400]}")
