"""Fixtures every room shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Property tests draw the same examples in every run, so that none fails by chance; `--hypothesis-profile=default` draws
# new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# No test reaches a hub; tests of hub access start a server of their own and lift this for themselves.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout's root folder."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of others' data and golden scores beside the checkout; tests that need it are skipped without it."""
    folder = REPO.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared beside the checkout: checks against real data and golden scores are left out")
    return folder
