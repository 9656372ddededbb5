"""A build's stages on disk: what each was made from, and whether that is still so.

`<stage>/items.jsonl` holds the items and `<stage>/stage.json` the hash of everything they were made from. A stage whose
inputs have not changed is not run again; one whose inputs have is never used unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import appearing, file_sha256
from recipes.cross_xquad.items import Item, read_items, write_items
from recipes.translation.engines.base import canonical

ITEMS, STAGE = "items.jsonl", "stage.json"


@dataclass(frozen=True)
class StageFolder:
    """One stage of a build: `folder` is `<output_dir>/<name>`."""

    name: str
    folder: Path

    def read(self) -> list[Item]:
        """The stage's items."""
        return read_items(self.folder / ITEMS)

    def record(self) -> dict[str, Any] | None:
        """What `finish` wrote, or None when the stage is not finished or its items were changed since."""
        try:
            record: dict[str, Any] = json.loads((self.folder / STAGE).read_text(encoding="utf-8"))
            same = record["items_sha256"] == file_sha256(self.folder / ITEMS)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if same else None

    def is_done(self, inputs: Mapping[str, Any]) -> bool:
        """Whether the stage is finished and was made from just these inputs."""
        record = self.record()
        return record is not None and record["inputs"] == dict(inputs)

    def finish(self, items: Sequence[Item], inputs: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write the items, then the record that makes them count."""
        write_items(self.folder / ITEMS, items)
        record = {
            "stage": self.name,
            "inputs": dict(inputs),
            "items_sha256": file_sha256(self.folder / ITEMS),
            "n_items": len(items),
            **facts,
        }
        write_text(self.folder / STAGE, json.dumps(record, ensure_ascii=False, indent=2, sort_keys=True) + "\n")

    def require(self, inputs: Mapping[str, Any], wanted_by: str) -> str:
        """Hash of the stage's items, for the stage after it.

        Raises:
            CrossinError: not finished, or made from something else than would be used now; says what differs.
        """
        record = self.record()
        if record is None:
            raise CrossinError(
                f"stage {wanted_by} needs stage {self.name}, which is not finished in {self.folder}; "
                f"run it too: --stages {self.name} {wanted_by}"
            )
        if record["inputs"] != dict(inputs):
            before = record["inputs"] if isinstance(record["inputs"], dict) else {}
            differs = sorted(name for name in {*inputs, *before} if before.get(name) != inputs.get(name))
            raise CrossinError(
                f"stage {self.name} in {self.folder} was made with other inputs ({', '.join(differs)} changed); "
                f"run it again: --stages {self.name} {wanted_by}, or take another --output_dir"
            )
        return str(record["items_sha256"])


def fingerprint(value: Any) -> str:
    """12 hexadecimal digits for a JSON value."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def folder_sha256(folder: Path) -> str:
    """SHA-256 of the names and bytes of the files in a folder; of nothing where there is none."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.is_file() and not path.name.startswith("."):
            digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        CrossinError: it cannot be written; an older one is then still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CrossinError(f"cannot write {path}: {error.strerror or error}") from error
