"""What a finished stage leaves behind, and whether it still holds: hashes of inputs and outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import file_sha256
from recipes.tuning.run_folder import read_json, write_json


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
