"""The stages of an experiment and their records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import read_json
from recipes.common.stages import NOT_DONE, StageRecord, sha256_of
from recipes.tuning.run_folder import RUN


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: `data`, or `<arm>/<seed>/<mix|train|merge|eval-NAME>`; also where its records are.
        command: the process that does it, as a list of arguments.
        options: what decides the result besides the files: a JSON-able mapping.
        files: the files it reads; their contents count.
        outputs: the files that exist once it has succeeded: the smallest set that the next stage reads.
        clear: folders to remove before a fresh start, where a half-finished attempt cannot be resumed.
    """

    name: str
    command: tuple[str, ...]
    options: dict[str, Any]
    files: tuple[Path, ...]
    outputs: tuple[Path, ...]
    clear: tuple[Path, ...] = ()

    @property
    def kind(self) -> str:
        """`data`, `mix`, `train`, `merge` or `eval`."""
        return self.name.rpartition("/")[2].partition("-")[0]


class Records:
    """The records of an experiment: `<folder>/stages/<stage>.json`, one for each finished stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: Stage) -> Path:
        """The stage's record."""
        return self.folder / "stages" / f"{stage.name}.json"

    def log(self, stage: Stage) -> Path:
        """The output of the stage's process."""
        return self.folder / "stages" / f"{stage.name}.log"

    def running(self, stage: Stage) -> Path:
        """A file that the stage's process holds a lock on."""
        return self.folder / "stages" / f"{stage.name}.running"

    def failure(self, stage: Stage) -> Path:
        """The stage's error message; absent unless its last attempt failed."""
        return self.folder / "stages" / f"{stage.name}.failed"

    def read(self, stage: Stage) -> dict[str, Any] | None:
        """The record; None if the stage has not succeeded yet."""
        return self._record(stage).read()

    def inputs(self, stage: Stage) -> dict[str, Any]:
        """What decides the stage's result: its options and the hashes of the files it reads.

        Raises:
            CrossinError: a file is missing.
        """
        files = self._hashes(stage.files)
        for path, name in zip(stage.files, self._names(stage.files), strict=True):
            if files[name] is None:
                raise CrossinError(f"{stage.name}: cannot read {path}")
        return {"options": json.loads(json.dumps(stage.options, sort_keys=True, default=str)), "files": files}

    def why_stale(self, stage: Stage) -> str:
        """Why the stage must run; "" if its record holds.

        Raises:
            CrossinError: a file that it reads is missing.
        """
        if self.read(stage) is None:
            return NOT_DONE  # its files may not exist yet either
        return self._record(stage).why_stale(self.inputs(stage), {"outputs": self._hashes(stage.outputs)})

    def holds(self, stage: Stage) -> bool:
        """Whether the stage was done with its present options and files; a file that was removed since counts as
        unchanged."""
        record = self.read(stage)
        try:
            return record is not None and record.get("inputs") == self.inputs(stage)
        except CrossinError:
            return True

    def trained_alike(self, stage: Stage, inputs: dict[str, Any]) -> Path | None:
        """The folder of another arm's run, trained on the same inputs, that still holds its result; None without one.

        Arms that go on from the same mix (`x2x`, and `x2x` then `dco`) share its training.
        """
        if stage.kind != "train":
            return None
        arm, seed, _ = stage.name.split("/")
        for path in sorted((self.folder / "stages").glob(f"*/{seed}/train.json")):
            record, other = read_json(path) or {}, path.parts[-3]
            known = record.get("inputs") or {}
            if other == arm or known.get("options") != inputs["options"]:
                continue
            if sorted(known["files"].values()) != sorted(inputs["files"].values()):
                continue
            names = [name.replace(f"arms/{arm}/", f"arms/{other}/", 1) for name in self._names(stage.outputs)]
            found = [self.folder / name for name in names]
            folder = found[-1].parent  # the manifest's
            if self._hashes(tuple(found)) == record.get("outputs") and (folder / RUN).is_file():
                return folder
        return None

    def write(self, stage: Stage, inputs: dict[str, Any], facts: dict[str, Any]) -> None:
        """Record that the stage has succeeded.

        Raises:
            CrossinError: an output is missing, an input changed while the stage ran, or the disk is full.
        """
        changed = [key for key, value in self.inputs(stage)["files"].items() if inputs["files"].get(key) != value]
        if changed:
            raise CrossinError(f"{stage.name}: {changed[0]} changed while the stage ran; its result is discarded")
        outputs = self._hashes(stage.outputs)
        for path, name in zip(stage.outputs, self._names(stage.outputs), strict=True):
            if outputs[name] is None:
                raise CrossinError(f"{stage.name}: finished, but {path} does not exist")
        self._record(stage).write(inputs, {"outputs": outputs}, facts)

    def _record(self, stage: Stage) -> StageRecord:
        return StageRecord(stage.name, self.path(stage))

    def _hashes(self, paths: tuple[Path, ...]) -> dict[str, str | None]:
        """SHA-256 by name; None for a file that cannot be read."""
        hashes: dict[str, str | None] = {}
        for path, name in zip(paths, self._names(paths), strict=True):
            try:
                hashes[name] = sha256_of(path)
            except OSError:
                hashes[name] = None
        return hashes

    def _names(self, paths: tuple[Path, ...]) -> list[str]:
        """Paths as records name them, without folders of this machine; numbered where two files have one name."""
        names: list[str] = []
        for path in paths:
            name = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name
            names.append(name if name not in names else f"{name} ({len(names) + 1})")
        return names
