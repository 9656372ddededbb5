"""The five stages in order; each runs only if its inputs have changed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.files import canonical, file_sha256, write_text
from recipes.common.stages import StageRecord, sha256_of
from recipes.cross_xquad.calls import Caller
from recipes.cross_xquad.checks.base import CHECKS_VERSION
from recipes.cross_xquad.checks.by_model import build_model_checks
from recipes.cross_xquad.checks.within import Checker
from recipes.cross_xquad.config import STAGES, CheckOptions, ModelOptions, SetOptions
from recipes.cross_xquad.items import Item, accepted, read_items, write_items
from recipes.cross_xquad.prompts import PROMPT_VERSION
from recipes.cross_xquad.rewriting import Rewriter
from recipes.cross_xquad.sources import Source, load_source
from recipes.cross_xquad.writing import write_distractors, write_parallel
from recipes.llm.store import ReplyStore

MOST_REDOS = 20  # of one item by reviewers, as a guard
_SETTINGS = (
    "temperature", "retry_temperature", "seed", "max_tokens", "max_characters", "api", "answer_format", "extra_body",
)  # fmt: skip
_PLACES = ("output_dir", "calls_dir", "stages", "push_to_hub", "dry_run")  # do not change what is built


@dataclass
class Build:
    """One build: its options, its source, and its folder."""

    options: SetOptions
    model: ModelOptions
    checks: CheckOptions
    source: Source
    say: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """Where the build is written."""
        return Path(self.options.output_dir)

    @property
    def decisions(self) -> Path:
        """Where the reviewers' decisions are."""
        return Path(self.options.decisions_dir or self.folder / "decisions")

    def record(self, name: str) -> StageRecord:
        """The record of a stage."""
        return StageRecord(name, self.folder / name / "stage.json")

    def read(self, name: str) -> list[Item]:
        """The items that a finished stage wrote."""
        return read_items(self._items(name))

    def finish(self, name: str, items: Sequence[Item], inputs: Mapping[str, Any]) -> None:
        """Write a stage's items, then the record that makes them count."""
        write_items(self._items(name), items)
        self.record(name).write(inputs, self._results(name), {"n_items": len(items), **_counts(items)})

    def why_stale(self, name: str) -> str:
        """Why a stage must run (again); "" if its items hold. Earlier stages must be finished."""
        return self.record(name).why_stale(self.inputs(name), self._results(name))

    def require(self, name: str, wanted_by: str) -> str:
        """Hash of a finished stage's items.

        Raises:
            CrossinError: not finished, or made from other inputs; says what changed.
        """
        why = self.why_stale(name)
        if why:
            raise CrossinError(
                f"stage {wanted_by} needs stage {name} in {self.folder / name} ({why}); "
                f"run it too: --stages {name} {wanted_by}, or choose another --output_dir"
            )
        return str(self._results(name)["items_sha256"])

    def _items(self, name: str) -> Path:
        return self.folder / name / "items.jsonl"

    def _results(self, name: str) -> dict[str, str | None]:
        path = self._items(name)
        return {"items_sha256": sha256_of(path) if path.is_file() else None}

    def inputs(self, name: str) -> dict[str, Any]:
        """Everything that a stage's items depend on, as hashes; earlier stages must be finished.

        Raises:
            CrossinError: an earlier stage is not finished, or was made from something else.
        """
        before = STAGES[STAGES.index(name) - 1] if name != STAGES[0] else None
        made: dict[str, Any] = {} if before is None else {before: self.require(before, name)}
        settings = {key: getattr(self.model, key) for key in _SETTINGS}
        model = {"model": self.model.model, "model_settings": _fingerprint(settings), "prompts": PROMPT_VERSION}
        if name == "distractors":
            return {"source": self.source.sha256(), "gold_seed": self.options.gold_seed, **model}
        if name == "parallel":
            return {**made, "languages": list(self.source.languages), **model}
        if name == "check":
            return {**made, "check_options": _fingerprint(asdict(self.checks)), "checks": CHECKS_VERSION, **model}
        return {**made, "decisions": _folder_sha256(self.decisions), "review_all": self.options.review_all}


def run_build(options: SetOptions, model: ModelOptions, checks: CheckOptions, say: Callable[[str], None]) -> int:
    """Run the requested stages.

    Args:
        options, model, checks: what to build, with which model, how strictly.
        say: shows one line to the user.

    Returns:
        0, also if every question still waits for reviewers.

    Raises:
        CrossinError: unreadable source, unreachable model, missing earlier stage, or failing write. Stored replies and
            finished stages are kept.
    """
    build = Build(options, model, checks, load_source(options), say)
    n_passages = len({question.passage for question in build.source.questions})
    left_out = f", {len(build.source.left_out)} left out, as a language lacks them" if build.source.left_out else ""
    languages = " ".join(build.source.languages)
    say(f"{len(build.source.questions)} questions on {n_passages} passages, {languages}{left_out}")
    for name in options.stages:
        if name == "release":
            _release(build)
            continue
        inputs = build.inputs(name)
        if not build.why_stale(name):
            say(f"{name}: done before")
        else:
            _write_config(build)  # before the stage: a kill then leaves nothing that the next run does not replace
            with ReplyStore(Path(options.calls_dir or build.folder / "calls")) as store:
                for line in store.cut:
                    say(line)
                caller = Caller(model, store, proven=name != STAGES[0])
                build.finish(name, _RUN[name](build, caller), inputs)
                if caller.usage.replies:
                    say(f"{name}: {caller.usage}")
    return 0


def _distractors(build: Build, caller: Caller) -> list[Item]:
    items = write_distractors(build.source, caller, build.options.gold_seed)
    if not any(item.versions for item in items):
        finding = next((finding.detail for item in items for finding in item.findings), "no reply")
        raise CrossinError(
            f"distractors: no usable reply for any of {len(items)} questions, the first: {finding}; check "
            "the model and max_tokens, then rerun"
        )
    return items


def _parallel(build: Build, caller: Caller) -> list[Item]:
    return write_parallel(build.read("distractors"), build.source, caller)


def _check(build: Build, caller: Caller) -> list[Item]:
    items = _rewriter(build, caller).check(build.read("parallel"))
    clean = len(accepted(items))
    reasons = ", ".join(f"{code} {count}" for code, count in _reasons(items).most_common())
    build.say(f"check: {clean} of {len(items)} questions without findings; questions with: {reasons or 'none'}")
    return items


def _review(build: Build, caller: Caller) -> list[Item]:
    """Write the review page, apply the reviewers' decisions, and have rewritten what they sent back."""
    from recipes.cross_xquad.review.apply import apply_decisions, write_review

    shown = build.read("check")
    rewriter = _rewriter(build, caller)
    for number in range(1, MOST_REDOS + 1):
        decided, remarks = apply_decisions(shown, build.decisions)
        back = [
            item
            for item in decided
            if item.decision is not None and item.decision.verdict == "redo" and item.decision.sha256 == item.sha256()
        ]
        if not back:
            break
        notes = {item.id: item.decision.note for item in back if item.decision is not None}
        again = {item.id: item for item in rewriter.redo(back, notes, number)}
        for item in back:
            if again[item.id].sha256() == item.sha256():
                build.say(f"review: {item.id}: the model wrote the same again; edit or reject it")
        # the old decision stays, but is on another content: reviewers must look at the new one
        kept = {item.id: item.decision for item in back if again[item.id].sha256() != item.sha256()}
        if not kept:
            break
        shown = [replace(again[one.id], decision=kept[one.id]) if one.id in kept else one for one in shown]
    for remark in remarks:
        build.say(f"review: {remark}")
    verdicts = {item.id: item.decision for item in decided}
    wanted = [
        replace(item, decision=verdicts[item.id])
        for item in shown
        if build.options.review_all or item.findings or verdicts[item.id] is not None
    ]
    page = build.folder / "review"
    write_review(wanted, page, title=f"Review of {build.source.name}, {' '.join(build.source.languages)}")
    waiting = sum(item.decision is None or item.decision.verdict == "redo" for item in wanted)
    if waiting:
        build.say(
            f"review: {waiting} questions wait for review: open {page / 'index.html'}, save into {build.decisions}"
        )
    return decided


def _rewriter(build: Build, caller: Caller) -> Rewriter:
    checker = Checker(build.source, build.checks.off_passage)
    return Rewriter(build.source, caller, checker, build_model_checks(build.checks, caller), build.checks.regenerate)


def _release(build: Build) -> None:
    from recipes.cross_xquad.release.data_set import release

    build.require("review", "release")
    items = build.read("review")
    if not accepted(items):
        raise CrossinError(
            f"release: none of {len(items)} questions is without findings or accepted by a reviewer; review them in "
            f"{build.folder / 'review' / 'index.html'}, save into {build.decisions}, and run --stages review release"
        )
    options = build.options
    made = release(
        items, build.folder / "release", release_facts(build), push_to_hub=options.push_to_hub, dry_run=options.dry_run
    )
    build.say(f"release: {len(accepted(items))} of {len(items)} questions in {build.folder / 'release'}")
    for key, value in made.items():
        if isinstance(value, (str, int)):
            build.say(f"release: {key}: {value}")


def release_facts(build: Build) -> dict[str, Any]:
    """How a release was made, for its card and provenance: JSON types, no paths, no times."""
    from crossin_metrics import __version__

    stages = {name: build.record(name).read() or {} for name in STAGES[:-1]}
    return {
        "source": build.source.name,
        "source_licence": build.source.licence,
        "source_sha256": build.source.sha256(),
        "languages": list(build.source.languages),
        "n_questions": len(build.source.questions),
        "n_passages": len({question.passage for question in build.source.questions}),
        "n_left_out": len(build.source.left_out),
        "model": build.model.model,
        "model_licence": build.model.licence,
        "model_settings": {key: getattr(build.model, key) for key in _SETTINGS},
        "prompt_version": PROMPT_VERSION,
        "checks_version": CHECKS_VERSION,
        "checks": asdict(build.checks),
        "gold_seed": build.options.gold_seed,
        "stages": stages,
        "crossin_version": __version__,
    }


def _counts(items: Sequence[Item]) -> dict[str, Any]:
    """Counts for a stage's record: items, attempts, findings by reason and language."""
    findings: dict[str, Counter[str]] = {}
    for item in items:
        for finding in item.findings:
            findings.setdefault(finding.code, Counter())[finding.language or "set"] += 1
    return {
        "without_findings": sum(not item.findings for item in items),
        "accepted": len(accepted(items)),
        "attempts": dict(sorted(Counter(str(item.attempts) for item in items).items())),
        "decisions": dict(Counter(item.decision.verdict for item in items if item.decision is not None)),
        "findings": {code: dict(sorted(by.items())) for code, by in sorted(findings.items())},
        "questions_with": dict(sorted(_reasons(items).items())),
    }


def _reasons(items: Sequence[Item]) -> Counter[str]:
    """Reason -> number of items with it."""
    return Counter(code for item in items for code in {finding.code for finding in item.findings})


def _write_config(build: Build) -> None:
    import yaml

    merged = {**asdict(build.options), **asdict(build.model), **asdict(build.checks)}
    kept = {key: value for key, value in merged.items() if key not in _PLACES}
    write_text(build.folder / "config.yaml", yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


_RUN: Mapping[str, Callable[[Build, Caller], list[Item]]] = {
    "distractors": _distractors,
    "parallel": _parallel,
    "check": _check,
    "review": _review,
}


def _fingerprint(value: Any) -> str:
    """12 hexadecimal digits for a JSON value."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _folder_sha256(folder: Path) -> str:
    """SHA-256 of the names and bytes of a folder's files, hidden ones left out; of nothing if there is no folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file() and not path.name.startswith("."):
            digest.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return digest.hexdigest()


def to_stderr(prog: str) -> Callable[[str], None]:
    """A `say` that prints to standard error."""
    return lambda line: say(f"{prog}: {line}")
