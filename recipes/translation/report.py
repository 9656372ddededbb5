"""What a run leaves behind: the parallel seed, the rejects with their reasons, and counts that add up."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from crossin_metrics.files import atomic_path, file_sha256
from recipes.translation.rows import Row, Source
from recipes.translation.run import Translation, Verdict

SEED, REJECTS, REPORT_JSON, REPORT_MD = "seed.jsonl", "rejects.jsonl", "report.json", "report.md"


def write_outputs(
    folder: Path, source: Source, translation: Translation, verdicts: dict[tuple[str, str], Verdict], licence: str
) -> dict[str, Any]:
    """Write the seed, the rejects and the report, each under a temporary name first.

    A row stands in the seed when every language was accepted, else in the rejects; never in both, never in neither.

    Returns:
        The report: counts by outcome, reason and language.
    """
    counts: Counter[str] = Counter(read=len(source.rows))
    kinds: Counter[str] = Counter()
    languages = translation.languages
    reasons: dict[str, Counter[str]] = {language: Counter() for language in languages}
    with writing(folder / SEED) as seed, writing(folder / REJECTS) as rejects:
        for row in source.rows:
            if row.id in translation.left_out:
                kind, detail = translation.left_out[row.id]
                counts["set_aside_before"] += 1
                kinds[kind] += 1
                record = {"reason": kind, "detail": detail, "languages": {}}
                _line(rejects, {"id": row.id, **record, translation.source_language: row.fields})
                continue
            found = {language: translation.verdict(row, language, verdicts) for language in languages}
            for language, verdict in found.items():
                reasons[language][_reason(verdict)] += 1
            if all(verdict.accepted for verdict in found.values()):
                counts["written"] += 1
                counts["written_after_second_attempt"] += any(verdict.attempt > 0 for verdict in found.values())
                _line(seed, _seed_row(row, source, translation, found, licence))
            else:
                unanswered = any(verdict.unanswered is not None for verdict in found.values())
                counts["unanswered" if unanswered else "set_aside_after"] += 1
                _line(rejects, _reject_row(row, translation, found))
    report = {
        "source": source.name,
        "source_language": translation.source_language,
        "languages": list(languages),
        "model": translation.engine.identity.get("model"),
        "rows": {
            name: counts[name]
            for name in (
                "read", "written", "written_after_second_attempt", "set_aside_before", "set_aside_after", "unanswered",
            )
        },
        "set_aside_before": dict(kinds.most_common()),
        "languages_by_outcome": {language: dict(sorted(reasons[language].items())) for language in languages},
        "seed_sha256": file_sha256(folder / SEED),
    }  # fmt: skip
    with writing(folder / REPORT_JSON) as file:
        file.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    with writing(folder / REPORT_MD) as file:
        file.write(markdown(report))
    return report


def _reason(verdict: Verdict) -> str:
    if verdict.accepted:
        return "accepted"
    if verdict.unanswered is not None or verdict.finding is None:
        return "unanswered"
    return verdict.finding.reason


def _settings(identity: Any, attempt: int) -> dict[str, Any]:
    """The engine's settings for one row; the prompt by its hash, since its text would be most of the file."""
    settings = {name: value for name, value in identity.items() if name not in ("engine", "model") and value != {}}
    if "prompt" in settings:
        settings["prompt"] = "sha256:" + hashlib.sha256(str(settings["prompt"]).encode()).hexdigest()[:12]
    if "seed" in settings:
        settings["seed"] += attempt
    retry = settings.pop("retry_temperature", None)
    if attempt > 0 and retry is not None:
        settings["temperature"] = retry
    return settings


def _seed_row(
    row: Row, source: Source, translation: Translation, found: dict[str, Verdict], licence: str
) -> dict[str, Any]:
    identity = translation.engine.identity
    translations = {
        language: {
            "engine": identity["engine"],
            "model": str(identity["model"]).replace("{lang}", language),
            "licence": licence,
            "settings": _settings(identity, verdict.attempt),
            "attempt": verdict.attempt,
            "requests": [key[:16] for key in verdict.keys],
        }
        for language, verdict in found.items()
    }
    provenance = {"source": source.name, "licence": source.licence, "translations": translations}
    texts = {language: verdict.fields for language, verdict in found.items()}
    return {"id": row.id, translation.source_language: row.fields, **texts, "provenance": provenance}


def _reject_row(row: Row, translation: Translation, found: dict[str, Verdict]) -> dict[str, Any]:
    languages: dict[str, Any] = {}
    for language, verdict in found.items():
        state: dict[str, Any] = {"outcome": _reason(verdict), "attempt": verdict.attempt}
        if verdict.finding is not None:
            state |= {"field": verdict.finding.field, "detail": verdict.finding.detail}
        if verdict.unanswered is not None:
            state["error"] = verdict.unanswered
        if verdict.fields is not None:
            state["translation"] = verdict.fields
        elif verdict.replies:
            state["replies"] = list(verdict.replies)
        languages[language] = state
    first = next(state["outcome"] for state in languages.values() if state["outcome"] != "accepted")
    return {"id": row.id, "reason": first, "languages": languages, translation.source_language: row.fields}


def markdown(report: dict[str, Any]) -> str:
    """The report for people."""
    rows = report["rows"]
    lines = [
        f"# Translation of {report['source']}",
        "",
        f"Model {report['model']}, from {report['source_language']} into {', '.join(report['languages'])}.",
        "",
        "| rows | count |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {count} |" for name, count in rows.items()),
        "",
        "Every row read is in `seed.jsonl` or, with its reason, in `rejects.jsonl`. A row that failed in one language "
        "is out in all, so that the seed stays parallel.",
        "",
    ]
    if report["set_aside_before"]:
        lines += ["| not translated, by kind | rows |", "|---|---|"]
        lines += [f"| {kind} | {count} |" for kind, count in report["set_aside_before"].items()] + [""]
    outcomes = sorted({name for counts in report["languages_by_outcome"].values() for name in counts})
    outcomes.sort(key=lambda name: name != "accepted")
    lines += ["| outcome | " + " | ".join(report["languages"]) + " |", "|---" * (len(report["languages"]) + 1) + "|"]
    for name in outcomes:
        counted = [str(report["languages_by_outcome"][language].get(name, 0)) for language in report["languages"]]
        lines.append(f"| {name} | " + " | ".join(counted) + " |")
    return "\n".join(lines) + "\n"


def _line(file: IO[str], record: dict[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """A file that appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file
