"""The last stage: the accepted questions as a data set that the harness, `datasets` and the hub can load.

    cross_xquad.jsonl          the parallel set, as `lm_eval --tasks cross_xquad` finds it in `data_dir`
    data/all/test.parquet      the same, the hub's default config
    data/<language>/test.parquet   one language, a row a question: for the hub's viewer and other frameworks
    README.md, eval.yaml       dataset card, and what the hub asks of a benchmark
    artefacts.md               what finds the answers without understanding
    provenance.json, SHA256SUMS

The same items and facts give the same bytes (Parquet: with the same pyarrow).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_folder, check_replaceable, file_sha256, read_json
from crossin_metrics.sets.loading import load_file
from crossin_metrics.sets.parallel_set import ParallelMCQ, write_parallel
from crossin_metrics.sets.schema import Item as Row
from crossin_metrics.sets.schema import unique_codes
from recipes.cross_xquad.items import Item, accepted
from recipes.cross_xquad.release.card import LETTERS, card, eval_yaml

NAME = "cross_xquad"
FORMAT = "cross_xquad_release/1"
SUMS, PROVENANCE = "SHA256SUMS", "provenance.json"
# What `facts` must hold; anything else in it goes into provenance.json as it is.
REQUIRED = (
    "source",
    "source_licence",
    "source_sha256",
    "model",
    "model_settings",
    "prompt_version",
    "stages",
)
# Two releases that agree in these are of one build; the later may take the place of the earlier.
_SAME_BUILD = ("source", "source_sha256", "model", "prompt_version", "languages")


@dataclass(frozen=True)
class Counts:
    """Where the questions of a build went; all but `edited` add up to the items given.

    Attributes:
        released: in the set, of which `by_people` were accepted by a person and `edited` with another wording.
        rejected, redo: as people decided.
        waiting: with findings, and no decision.
        incomplete: accepted, but without a version in some language.
    """

    released: int
    by_people: int
    edited: int
    rejected: int
    redo: int
    waiting: int
    incomplete: int


def release(
    items: Sequence[Item],
    folder: Path,
    facts: Mapping[str, Any],
    *,
    push_to_hub: str | None = None,
    dry_run: bool = True,
) -> dict[str, Any]:
    """Write the accepted items as a data set, and propose it to the hub where asked.

    Args:
        items: all items of the build. Accepted are those that a person accepted, and those without findings that
            nobody decided against (`recipes.cross_xquad.items.accepted`); edits stand in their versions already.
        folder: appears whole or not at all. A release of the same build (source, model, prompts, languages) in it is
            replaced; anything else there is an error.
        facts: how the set was made, JSON types without times and paths: at least `REQUIRED`. `languages` orders the
            set's languages, otherwise they are those of the items. `model_licence` goes into the card.
        push_to_hub: data set repository, `owner/name`, that exists: a pull request is opened there with every file.
            The token is that of the environment variable HF_TOKEN.
        dry_run: print on standard output, as JSON, what would be sent; nothing is.

    Returns:
        `folder`, `n_questions`, `n_languages`, `data_hash` (as in the harness's signatures), `counts` (see `Counts`),
        `sha256` (file -> hash); with `push_to_hub` also `payload`, and `pull_request` where it was opened.

    Raises:
        CrossinError: no accepted item, a fact that is missing or no JSON, a text that no file can hold, a folder that
            holds something else or cannot be written, a repository's name that is none, no token, a hub that refuses.
    """
    from recipes.cross_xquad.publish import check_repository, payload, push

    token = check_repository(push_to_hub, needs_token=not dry_run) if push_to_hub is not None else None
    facts = _checked_facts(facts)
    kept, counts, languages = _choose(items, facts)
    facts["languages"] = list(languages)
    data = _parallel(kept, languages)
    folder = Path(folder)
    check_target(folder, facts)
    with atomic_folder(folder) as made:
        hashes = _write(made, items, kept, data, counts, facts)
    out: dict[str, Any] = {
        "folder": str(folder),
        "n_questions": counts.released,
        "n_languages": len(languages),
        "data_hash": data.hash,
        "counts": vars(counts),
        "sha256": hashes,
    }
    if push_to_hub is not None:
        files = {name: (folder / name).read_bytes() for name in sorted([*hashes, SUMS])}
        title = f"Cross-XQuAD: {counts.released} questions in {len(languages)} languages ({data.hash})"
        out["payload"] = payload(files, push_to_hub, title)
        if dry_run:
            print(json.dumps(out["payload"], ensure_ascii=False, indent=1))
        else:
            assert token is not None
            out["pull_request"] = push(files, push_to_hub, title, token)
    return out


def _checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in REQUIRED if facts.get(name) in (None, "")]
    if missing:
        raise CrossinError(f"release: facts without {', '.join(missing)}; a card without provenance is not written")
    try:
        copied: dict[str, Any] = json.loads(
            json.dumps(dict(facts), ensure_ascii=False, sort_keys=True, allow_nan=False)
        )
    except (TypeError, ValueError) as error:
        raise CrossinError(f"release: facts are not JSON ({error})") from error
    return copied


def _choose(items: Sequence[Item], facts: Mapping[str, Any]) -> tuple[list[Item], Counts, tuple[str, ...]]:
    """The accepted and complete items in the order of the source, what became of the others, and the languages."""
    wanted = accepted(items)
    for item in wanted:
        _check_decision(item)
    said = facts.get("languages") or dict.fromkeys(code for item in wanted for code in item.versions)
    languages = unique_codes(tuple(said)) if said else ()
    kept = [item for item in wanted if set(languages) <= set(item.versions)]
    if not kept:
        raise CrossinError(
            f"release: none of {len(items)} questions is accepted in all of {', '.join(languages) or 'its languages'}; "
            "a question needs no finding, or a person's accept"
        )
    kept.sort(key=lambda item: (item.article, item.passage, item.id))
    verdicts = Counter(item.decision.verdict if item.decision is not None else "" for item in items)
    people = [item.decision for item in kept if item.decision is not None]
    counts = Counts(
        released=len(kept),
        by_people=len(people),
        edited=sum(bool(decision.edits) for decision in people),
        rejected=verdicts["reject"],
        redo=verdicts["redo"],
        waiting=sum(item.decision is None and bool(item.findings) for item in items),
        incomplete=len(wanted) - len(kept),
    )
    return kept, counts, languages


def _check_decision(item: Item) -> None:
    """A person's accept holds for what the person saw, and with the wording that the person gave."""
    decision = item.decision
    if decision is None:
        return
    for code, by in decision.edits.items():
        choices = item.versions[code].choices if code in item.versions else ()
        if any(not 0 <= index < len(choices) or choices[index] != text for index, text in by.items()):
            raise CrossinError(f"release: id {item.id}, language {code}: an edit by {decision.reviewer} is not applied")
    if not any(decision.edits.values()) and decision.sha256 and decision.sha256 != item.sha256():
        raise CrossinError(
            f"release: id {item.id}: {decision.reviewer} accepted another content than it has now; "
            "run the review stage again"
        )


def _parallel(kept: Sequence[Item], languages: Sequence[str]) -> ParallelMCQ:
    columns: dict[str, tuple[Row, ...]] = {}
    for code in languages:
        rows = []
        for item in kept:
            version = item.versions[code]
            texts = [version.context, version.question, *version.choices]
            for text in texts:
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError:
                    raise CrossinError(
                        f"release: id {item.id}, language {code}: half of a surrogate pair, which no file can hold"
                    ) from None
            context, question, *choices = (text.strip() for text in texts)
            rows.append(Row(context, question, tuple(choices)))
        columns[code] = tuple(rows)
    ids = tuple(item.id for item in kept)
    groups = tuple(f"{item.article}.{item.passage}" for item in kept)
    return ParallelMCQ(NAME, tuple(languages), ids, columns, tuple(item.gold for item in kept), groups, "release")


# -- files ------------------------------------------------------------------------------------------------------------


def _write(
    made: Path, items: Sequence[Item], kept: Sequence[Item], data: ParallelMCQ, counts: Counts, facts: dict[str, Any]
) -> dict[str, str]:
    """Write every file into an empty folder; returns file -> SHA-256, without that of SHA256SUMS itself."""
    from crossin_metrics.shortcuts.render import markdown, verdict
    from crossin_metrics.shortcuts.report import analyse

    write_parallel(data, made / f"{NAME}.jsonl")
    _read_back(made, data)
    write_parallel(data, made / "data" / "all" / "test.parquet")
    for code in data.languages:
        (made / "data" / code).mkdir(parents=True)
        (made / "data" / code / "test.parquet").write_bytes(_one_language(data, code))
    report = analyse(data)
    (made / "artefacts.md").write_text(markdown(report), encoding="utf-8", newline="\n")
    provenance = {
        "format": FORMAT,
        "name": NAME,
        "data_hash": data.hash,
        "facts": facts,
        "counts": vars(counts),
        "findings": _findings(items),
        "reviewers": _reviewers(items),
        "artefacts": {
            "verdict": verdict(report),
            "flagged": [vars(test) for test in report.flagged],
            "tests": len(report.tests),
            "settings": report.settings,
        },
        "questions": [_history(item) for item in kept],
    }
    text = json.dumps(provenance, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (made / PROVENANCE).write_text(text, encoding="utf-8", newline="\n")
    (made / "eval.yaml").write_text(eval_yaml(data.languages, len(data)), encoding="utf-8", newline="\n")
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    hashes = {name: file_sha256(made / name) for name in files}
    readme = card(data, provenance, hashes, report)
    (made / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    hashes["README.md"] = file_sha256(made / "README.md")
    lines = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    (made / SUMS).write_text(lines, encoding="utf-8", newline="\n")
    return dict(sorted(hashes.items()))


def _read_back(made: Path, data: ParallelMCQ) -> None:
    """The written set must load as what it was; an option that looks like a label, say, would not."""
    back = load_file(made / f"{NAME}.jsonl", name=NAME)
    if back.hash == data.hash:
        return
    for number, identifier in enumerate(data.ids):
        for code in data.languages:
            if back.items[code][number] != data.items[code][number]:
                raise CrossinError(
                    f"release: id {identifier}, language {code}: its options read back as "
                    f"{' | '.join(back.items[code][number].choices)}; take labels such as '(A)' out of them"
                )
    raise CrossinError("release: the set does not read back as it was written")


def _one_language(data: ParallelMCQ, code: str) -> bytes:
    """Flat rows as Parquet: texts, options, the right one as text, index and letter, passage and question as one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "id": identifier,
            "context": row.context,
            "question": row.question,
            "choices": list(row.choices),
            "answer": row.choices[gold],
            "gold": gold,
            "target": LETTERS[gold],
            "input": f"{row.context}\n\n{row.question}",
        }
        for identifier, gold, row in zip(data.ids, data.gold, data.items[code], strict=True)
    ]
    fields = [(name, pa.string()) for name in ("id", "context", "question")]
    fields += [("choices", pa.list_(pa.string())), ("answer", pa.string()), ("gold", pa.int64())]
    fields += [("target", pa.string()), ("input", pa.string())]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), stream)
    return stream.getvalue()


def _findings(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Reason -> what became of the questions that have it -> how many."""
    inside = {item.id for item in accepted(items)}
    out: dict[str, Counter[str]] = {}
    for item in items:
        if item.id in inside:
            fate = "accepted by people"
        else:
            fate = item.decision.verdict if item.decision is not None else "waiting"
        for code in {finding.code for finding in item.findings}:
            out.setdefault(code, Counter())[fate] += 1
    return {code: dict(sorted(by.items())) for code, by in sorted(out.items())}


def _reviewers(items: Sequence[Item]) -> dict[str, int]:
    """Initials -> questions decided on. Several people on one question are each counted."""
    names = Counter(
        name.strip() for item in items if item.decision is not None for name in item.decision.reviewer.split(",")
    )
    return dict(sorted(names.items()))


def _history(item: Item) -> dict[str, Any]:
    decision = item.decision
    return {
        "id": item.id,
        "article": item.article,
        "passage": item.passage,
        "attempts": item.attempts,
        "findings": sorted({finding.code for finding in item.findings}),
        "reviewer": None if decision is None else decision.reviewer,
        "edited": [] if decision is None else sorted(code for code, by in decision.edits.items() if by),
    }


# -- the folder -------------------------------------------------------------------------------------------------------


def check_target(folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but a release of the same build, untouched.

    Raises:
        CrossinError: a file, foreign or changed files, or another build's release; says which.
    """
    if not check_replaceable(folder, SUMS, "release", lambda: _sums(folder)):
        return
    for name, digest in _sums(folder).items():
        if (folder / name).is_file() and file_sha256(folder / name) != digest:
            raise CrossinError(f"{folder / name} was changed by hand; move it elsewhere, or choose another folder")
    before = (read_json(folder / PROVENANCE) or {}).get("facts", {})
    differs = [name for name in _SAME_BUILD if before.get(name) != facts.get(name)]
    if differs:
        raise CrossinError(
            f"{folder} holds the release of another build ({', '.join(differs)} differ); "
            "move it elsewhere, or choose another folder"
        )


def _sums(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
