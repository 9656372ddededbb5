"""Sources of a mix: hub data sets, files and this package's own sets, and the names they go by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import hub_records
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.records import SUFFIXES, Record, json_lines, read_records


def is_hub(spec: str) -> bool:
    """Whether a source names a hub data set: `hub:owner/name`, or `owner/name` that is not a local path."""
    if spec.startswith("hub:"):
        return True
    looks = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.{}-]+", spec) is not None
    return looks and not spec.endswith(SUFFIXES) and not Path(spec).exists()


def source_name(spec: str) -> str:
    """A source's name for rows and cards: hub id, `packaged:` name or file name, never a folder of this machine."""
    if spec.startswith("packaged:"):
        return spec
    return spec.removeprefix("hub:") if is_hub(spec) else Path(spec).name


def per_language(spec: str, config: str | None, split: str) -> bool:
    """Whether each language has its own file or configuration, row k of one matching row k of the others."""
    return "{lang}" in f"{spec}{config or ''}{split}" or (not is_hub(spec) and Path(spec).is_dir())


def fill(text: str, language: str) -> str:
    """Put a language's code for `{lang}` and its English name for `{language}`."""
    return text.replace("{lang}", language).replace("{language}", LANGUAGES[language].english)


def source_records(
    spec: str, *, config: str | None = None, split: str = "train", revision: str | None = None
) -> Iterator[Record]:
    """Read one source, record by record.

    Args:
        spec: `packaged:<name>`, a hub id, or a file whose suffix names its format.
        config: hub configuration.
        split: hub split.
        revision: hub commit or tag.

    Raises:
        CrossinError: unreachable, missing, of unknown format, or damaged; names file and line.
    """
    if is_hub(spec):
        yield from hub_records([(spec.removeprefix("hub:"), config)], split, revision)[0]
    elif spec.startswith("packaged:"):
        name = spec.removeprefix("packaged:")
        path = resources.files("crossin_metrics") / "data" / f"{name}.jsonl"
        if not path.is_file():
            raise CrossinError(f"no packaged set {name!r}; there are packaged:base_mini and packaged:seed_mini")
        with resources.as_file(path) as file:
            yield from json_lines(file)
    elif not Path(spec).exists():
        raise CrossinError(f"{spec}: no such file (a hub data set is written owner/name or hub:owner/name)")
    else:
        yield from read_records(Path(spec))
