"""Stage `release`: the accepted questions as a data set that the harness, `datasets` and the hub can load.

    cross_xquad.jsonl              the parallel set, as `lm_eval --tasks cross_xquad` finds it in `data_dir`
    data/all/test.parquet          the same, the hub's default config
    data/<language>/test.parquet   one language, a row per question: for the hub's viewer and other frameworks
    README.md, eval.yaml           dataset card; the hub's benchmark file
    artefacts.md                   shortcut baselines
    provenance.json, SHA256SUMS

The same items and facts give the same bytes (Parquet: with the same pyarrow).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossin_metrics.errors import CrossinError
from crossin_metrics.files import atomic_folder, check_replaceable, file_sha256, read_json
from crossin_metrics.hub import check_repository, hub_token, push, push_payload
from crossin_metrics.sets.loading import load_file
from crossin_metrics.sets.parallel_set import Item as Row
from crossin_metrics.sets.parallel_set import ParallelMCQ, write_parallel
from crossin_metrics.text_tables import show
from recipes.cross_xquad.items import Item, accepted
from recipes.cross_xquad.release.card import LETTERS, card, eval_yaml

NAME = "cross_xquad"
FORMAT = "cross_xquad_release/1"
SUMS, PROVENANCE = "SHA256SUMS", "provenance.json"
# Releases that agree in these are of one build; a later one may replace an earlier one.
_SAME_BUILD = ("source", "source_sha256", "model", "prompt_version", "languages")


def release(
    items: Sequence[Item],
    folder: Path,
    facts: Mapping[str, Any],
    *,
    push_to_hub: str | None = None,
    dry_run: bool = True,
) -> dict[str, Any]:
    """Write the accepted items as a data set; on request, open a pull request with it on the hub.

    Args:
        items: all items of the build, reviewers' edits applied; `recipes.cross_xquad.items.accepted` picks from them.
        folder: appears whole or not at all. A release of the same build (source, model, prompts, languages) is
            replaced; anything else in it is an error.
        facts: how the set was made, see `recipes.cross_xquad.build.release_facts`: JSON types, no times, no paths.
        push_to_hub: an existing data set repository, `owner/name`. The token: see :mod:`crossin_metrics.hub`.
        dry_run: print what would be sent as JSON on standard output; send nothing.

    Returns:
        `folder`, `n_questions`, `n_languages`, `data_hash` (as in the harness's signatures), `counts` (see
        `recipes.cross_xquad.release.card.COUNTED`), `sha256` (file -> hash); with `push_to_hub` also `payload`, and
        `pull_request` if one was opened.

    Raises:
        CrossinError: no accepted item, options that do not load back, a folder that holds something else or cannot be
            written, a bad repository name, no token, or a hub that refuses.
    """
    if push_to_hub is not None:  # before any work
        check_repository(push_to_hub)
        if not dry_run:
            hub_token()
    facts = json.loads(json.dumps(facts, sort_keys=True))  # one order, whatever the caller's
    kept, counts = _choose(items, facts["languages"])
    data = _parallel(kept, facts["languages"])
    _check_target(folder, facts)
    with atomic_folder(folder) as made:
        hashes = _write(made, items, kept, data, counts, facts)
    out: dict[str, Any] = {
        "folder": str(folder),
        "n_questions": len(kept),
        "n_languages": len(data.languages),
        "data_hash": data.hash,
        "counts": counts,
        "sha256": hashes,
    }
    if push_to_hub is not None:
        files = {name: (folder / name).read_bytes() for name in sorted([*hashes, SUMS])}
        title = f"Cross-XQuAD: {len(kept)} questions in {len(data.languages)} languages ({data.hash})"
        out["payload"] = push_payload(files, push_to_hub, repo_type="dataset", title=title)
        if dry_run:
            show(json.dumps(out["payload"], ensure_ascii=False, indent=1))
        else:
            out["pull_request"] = push(files, push_to_hub, repo_type="dataset", title=title)
    return out


def _choose(items: Sequence[Item], languages: Sequence[str]) -> tuple[list[Item], dict[str, int]]:
    """The accepted and complete items in the order of the source, and where the questions went."""
    wanted = accepted(items)
    kept = sorted(
        (item for item in wanted if set(languages) <= set(item.versions)),
        key=lambda item: (item.article, item.passage, item.id),
    )
    if not kept:
        raise CrossinError(
            f"release: none of {len(items)} questions is accepted in all of {', '.join(languages)}; "
            "a question must have no findings, or be accepted by a reviewer"
        )
    verdicts = Counter(item.decision.verdict if item.decision is not None else "" for item in items)
    people = [item.decision for item in kept if item.decision is not None]
    counts = {
        "released": len(kept),
        "by_people": len(people),
        "edited": sum(bool(decision.edits) for decision in people),
        "rejected": verdicts["reject"],
        "redo": verdicts["redo"],
        "waiting": sum(item.decision is None and bool(item.findings) for item in items),
        "incomplete": len(wanted) - len(kept),
    }
    return kept, counts


def _parallel(kept: Sequence[Item], languages: Sequence[str]) -> ParallelMCQ:
    columns: dict[str, tuple[Row, ...]] = {}
    for code in languages:
        versions = [item.versions[code] for item in kept]
        columns[code] = tuple(
            Row(one.context.strip(), one.question.strip(), tuple(choice.strip() for choice in one.choices))
            for one in versions
        )
    ids = tuple(item.id for item in kept)
    groups = tuple(f"{item.article}.{item.passage}" for item in kept)
    return ParallelMCQ(NAME, tuple(languages), ids, columns, tuple(item.gold for item in kept), groups, "release")


# -- files ------------------------------------------------------------------------------------------------------------


def _write(
    made: Path, items: Sequence[Item], kept: Sequence[Item], data: ParallelMCQ, counts: Mapping[str, int], facts: Any
) -> dict[str, str]:
    """Write every file into an empty folder; returns file -> SHA-256, without that of SHA256SUMS itself."""
    from crossin_metrics.shortcuts.render import markdown, verdict
    from crossin_metrics.shortcuts.report import analyse

    def write(name: str, text: str) -> None:
        (made / name).write_text(text, encoding="utf-8", newline="\n")

    write_parallel(data, made / f"{NAME}.jsonl")
    _read_back(made, data)
    write_parallel(data, made / "data" / "all" / "test.parquet")
    for code in data.languages:
        _write_language(data, code, made / "data" / code)
    report = analyse(data)
    write("artefacts.md", markdown(report))
    provenance = {
        "format": FORMAT,
        "name": NAME,
        "data_hash": data.hash,
        "facts": facts,
        "counts": counts,
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
    write(PROVENANCE, json.dumps(provenance, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    write("eval.yaml", eval_yaml(data.languages, len(data)))
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    hashes = {name: file_sha256(made / name) for name in files}
    write("README.md", card(data, provenance, hashes, report))
    hashes = dict(sorted({**hashes, "README.md": file_sha256(made / "README.md")}.items()))
    write(SUMS, "".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    return hashes


def _read_back(made: Path, data: ParallelMCQ) -> None:
    """The written set must load unchanged; an option that looks like a label, for example, would not."""
    back = load_file(made / f"{NAME}.jsonl", name=NAME)
    if back.hash == data.hash:
        return
    for number, identifier in enumerate(data.ids):
        for code in data.languages:
            if back.items[code][number] != data.items[code][number]:
                raise CrossinError(
                    f"release: id {identifier}, language {code}: its options load back as "
                    f"{' | '.join(back.items[code][number].choices)}; remove labels such as '(A)' from them"
                )
    raise CrossinError("release: the set does not load back as it was written")


def _write_language(data: ParallelMCQ, code: str, folder: Path) -> None:
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
    types = {"choices": pa.list_(pa.string()), "gold": pa.int64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in rows[0]])
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "test.parquet")


def _findings(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Reason -> outcome of the questions that have it -> how many."""
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
    """Initials -> questions decided on; each of several reviewers of one question counts."""
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


def _check_target(folder: Path, facts: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but an unchanged release of the same build.

    Raises:
        CrossinError: not a folder, foreign or changed files, or another build's release; says which.
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
