"""Reading from the Hugging Face hub, or its local cache, and pushing to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.records import Located

_REFUSED = (401, 403, 404)  # the hub knows no such repository or revision, or gives no access: the next place is asked


_HUB_TIMEOUT = 10.0  # seconds for the one reachability request; the client's own retries take 23 s without a network


def hub_rows(places: Sequence[tuple[str, str | None]], split: str, revision: str | None) -> tuple[list[Located], str]:
    """Read raw rows from the first hub data set of `places` (repository, config or None) that has them.

    One short request asks whether the hub is there, because its client's own retries take half a minute; without an
    answer only the local cache is tried. Data sets with loading scripts are refused (`trust_remote_code` is never set).

    Returns:
        The rows, and the source as `hub:<repository>[/<config>]@<commit, or "cache">`.

    Raises:
        CrossinError: none of the places gave the set; says why for each, and what to do instead.
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
                commit = huggingface_hub.HfApi().dataset_info(repo, revision=revision, timeout=_HUB_TIMEOUT).sha
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
            reasons.append(f"{label}: the cache has {commit}, which cannot be told to be {revision}")
            continue
        where = f"hub:{label}@{commit}"
        return [Located(f"{where}, row {number}", row) for number, row in enumerate(table.to_list(), 1)], where
    raise CrossinError(
        f"cannot get the data from the hub or its local cache ({'; '.join(reasons)}); "
        "put the files into a folder and name it by data_dir or CROSSIN_DATA_DIR, "
        "or load the set once with a network and set HF_HUB_OFFLINE=1 afterwards"
    )


def _cached_commit(table: Any) -> str:
    """The commit a cached data set was made from: the name of its folder (the library keeps no other record of it)."""
    files = table.cache_files
    return Path(files[0]["filename"]).parent.name if files else "cache"


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
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
