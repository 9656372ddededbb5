"""Uploads to the hub: always a pull request, the token from the environment or the login, never shown."""

from __future__ import annotations

from collections.abc import Mapping

from crossin_metrics.errors import CrossinError


def push(files: Mapping[str, str], repository: str, *, repo_type: str = "model", title: str) -> str:
    """Open a pull request with files and return its address.

    Args:
        files: path in the repository -> text.
        repository: hub id, owner/name.
        repo_type: model or dataset.
        title: of the pull request.

    Raises:
        CrossinError: no token, no such repository, or the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    token = _token()
    operations = [CommitOperationAdd(path, text.encode("utf-8")) for path, text in files.items()]
    try:
        done = HfApi(token=token).create_commit(
            repo_id=repository,
            repo_type=repo_type,
            operations=operations,
            commit_message=title,
            commit_description="Scores of https://arxiv.org/abs/2404.11932's kind, with signatures, made by crossin.",
            create_pr=True,
        )
    except Exception as error:  # whatever a network and a client may raise: it is not the program's mistake
        raise _refused(error, repository, token) from None
    if done.pr_url is None:
        raise CrossinError(f"{repository} has these very files already: there is nothing to propose")
    return str(done.pr_url)


def hub_readme(repository: str) -> str:
    """The README of a model repository on the hub, "" where it has none.

    Raises:
        CrossinError: no token, no such repository, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError

    token = _token()
    try:
        path = HfApi(token=token).hf_hub_download(repository, "README.md")
    except EntryNotFoundError:
        return ""
    except Exception as error:
        raise _refused(error, repository, token) from None
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def _token() -> str:
    from huggingface_hub import get_token
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # its retries are not worth a line each; what fails in the end is said
    token = get_token()
    if not token:
        raise CrossinError("--push needs a token of the hub: set HF_TOKEN, or log in with `hf auth login`")
    return str(token)


def _refused(error: Exception, repository: str, token: str) -> CrossinError:
    lines = [line.strip() for line in str(error).replace(token, "***").splitlines() if line.strip()]
    said = " ".join(lines[:2]) or type(error).__name__
    return CrossinError(f"--push to {repository}: {said[:400]}")
