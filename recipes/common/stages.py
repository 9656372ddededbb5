"""Stages: what a finished step leaves behind, and whether it still holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_path, canonical, file_sha256, read_json, write_json
from recipes.cross_xquad.items import Item, read_items, write_items

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
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CrossinError(f"cannot write {path}: {error.strerror or error}") from error


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: `data`, or `<arm>/<seed>/<mix|train|merge|eval-NAME>`; also the place of its records.
        command: the process that does it, arguments as a list.
        options: what decides the result, beside the files: a JSON-able mapping.
        files: files it reads; their content counts.
        outputs: files that are there when it has succeeded, smallest set that the next stage reads.
        clear: folders to remove before it starts anew, where a half-done attempt cannot be gone on with.
        note: for the plan, a few words.
    """

    name: str
    command: tuple[str, ...]
    options: dict[str, Any]
    files: tuple[Path, ...]
    outputs: tuple[Path, ...]
    clear: tuple[Path, ...] = ()
    note: str = ""

    @property
    def kind(self) -> str:
        """`data`, `mix`, `train`, `merge` or `eval`."""
        return self.name.rpartition("/")[2].partition("-")[0]


class Hashes:
    """SHA-256 of files, read once as long as size and time of change stay the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """Raises:
        OSError: the file cannot be read.
        """
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = file_sha256(path)
        return self._known[key]


class Records:
    """The records of an experiment: `<folder>/stages/<stage>.json`, one for each finished stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hashes = Hashes()

    def path(self, stage: Stage) -> Path:
        """Where the stage's record is."""
        return self.folder / "stages" / f"{stage.name}.json"

    def log(self, stage: Stage) -> Path:
        """Where the stage's output goes."""
        return self.folder / "stages" / f"{stage.name}.log"

    def running(self, stage: Stage) -> Path:
        """A file that the stage's process holds a lock on."""
        return self.folder / "stages" / f"{stage.name}.running"

    def failure(self, stage: Stage) -> Path:
        """What the stage said when it failed; absent where it did not, or was begun again."""
        return self.folder / "stages" / f"{stage.name}.failed"

    def read(self, stage: Stage) -> dict[str, Any] | None:
        """The record, None where the stage has not succeeded yet."""
        return read_json(self.path(stage))

    def inputs(self, stage: Stage) -> dict[str, Any]:
        """What decides the stage's result: its options and the hashes of the files it reads.

        Raises:
            CrossinError: a file is missing.
        """
        files = self._hashed(stage.files, f"{stage.name}: cannot read", "")
        return {"options": json.loads(json.dumps(stage.options, sort_keys=True, default=str)), "files": files}

    def outputs(self, stage: Stage) -> dict[str, str]:
        """Hashes of the stage's outputs.

        Raises:
            CrossinError: one is not there.
        """
        return self._hashed(stage.outputs, f"{stage.name}: it ended, but", " is not there")

    def why_stale(self, stage: Stage) -> str:
        """Why the stage has to run; "" where its record holds.

        Raises:
            CrossinError: a file it reads is missing.
        """
        record = self.read(stage)
        if record is None:
            return "not done yet"
        now = self.inputs(stage)
        before = record.get("inputs", {})
        for key, value in now["files"].items():
            if before.get("files", {}).get(key) != value:
                return f"{key} has changed"
        if before.get("files", {}).keys() - now["files"].keys():
            return "it reads other files now"
        if before.get("options") != now["options"]:
            old, new = before.get("options") or {}, now["options"]
            changed = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
            return f"other options: {', '.join(changed)}"
        try:
            outputs = self.outputs(stage)
        except CrossinError:
            return "its result is gone"
        if outputs != record.get("outputs"):
            name = next(key for key, value in outputs.items() if record.get("outputs", {}).get(key) != value)
            return f"its result {name} was changed since"
        return ""

    def write(self, stage: Stage, inputs: dict[str, Any], facts: dict[str, Any]) -> None:
        """Note that the stage has succeeded.

        Raises:
            CrossinError: an output is missing, an input changed while the stage ran, or the disk is full.
        """
        changed = [key for key, value in self.inputs(stage)["files"].items() if inputs["files"].get(key) != value]
        if changed:
            raise CrossinError(f"{stage.name}: {changed[0]} was changed while the stage ran; its result is not counted")
        path = self.path(stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"stage": stage.name, "inputs": inputs, "outputs": self.outputs(stage), **facts})

    def _hashed(self, paths: tuple[Path, ...], before: str, after: str) -> dict[str, str]:
        out = {}
        for path in paths:
            try:
                out[self._short(path)] = self.hashes.of(path)
            except OSError as error:
                raise CrossinError(f"{before} {path}{after} ({error.strerror or error})") from error
        return out

    def _short(self, path: Path) -> str:
        try:
            return path.relative_to(self.folder).as_posix()
        except ValueError:
            return path.name
