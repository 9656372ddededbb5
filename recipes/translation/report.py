"""What a run writes: the parallel seed, the rejects with their reasons, and counts that add up. Also the dry run."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from crossin_metrics.files import atomic_path, file_sha256, write_text
from crossin_metrics.text_tables import markdown_table
from recipes.translation.engines.base import ATTEMPTS
from recipes.translation.rows import Row, Source
from recipes.translation.run import Translation, Verdict

# Measured with Gemma 3's vocabulary (262,144 words) on XQuAD passages: 4.8 characters of English per token; a
# translation takes one token per 2.3 (Greek) to 4.5 (Chinese) characters of its English, 3.5 in the middle.
PROMPT_CHARACTERS_PER_TOKEN = 4.8
SOURCE_CHARACTERS_PER_REPLY_TOKEN = 3.5

SEED, REJECTS, REPORT_JSON, REPORT_MD = "seed.jsonl", "rejects.jsonl", "report.json", "report.md"


def write_outputs(
    folder: Path, source: Source, translation: Translation, verdicts: dict[tuple[str, str], Verdict], licence: str
) -> dict[str, Any]:
    """Write the seed, the rejects and the report, each whole or not at all.

    A row is in the seed if every language was accepted, otherwise in the rejects: never in both, never in neither.

    Returns:
        The report: counts by outcome, reason and language.
    """
    counts: Counter[str] = Counter(read=len(source.rows))
    kinds: Counter[str] = Counter()
    languages = translation.languages
    reasons: dict[str, Counter[str]] = {language: Counter() for language in languages}
    with _writing(folder / SEED) as seed, _writing(folder / REJECTS) as rejects:
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
    write_text(folder / REPORT_JSON, json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    write_text(folder / REPORT_MD, markdown(report))
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
    languages, outcomes = report["languages"], report["languages_by_outcome"]
    names = sorted(
        {name for counts in outcomes.values() for name in counts}, key=lambda name: (name != "accepted", name)
    )
    lines = [
        f"# Translation of {report['source']}",
        "",
        f"Model {report['model']}, from {report['source_language']} into {', '.join(languages)}.",
        "",
        *markdown_table(("rows", "count"), ((name.replace("_", " "), count) for name, count in report["rows"].items())),
        "",
        "Every row read is in `seed.jsonl` or, with its reason, in `rejects.jsonl`. A row that failed in one language "
        "is excluded in all, so that the seed stays parallel.",
        "",
    ]
    if report["set_aside_before"]:
        lines += [*markdown_table(("not translated, by kind", "rows"), report["set_aside_before"].items()), ""]
    lines += markdown_table(
        ("outcome", *languages), ((name, *(outcomes[code].get(name, 0) for code in languages)) for name in names)
    )
    return "\n".join(lines) + "\n"


def estimate(translation: Translation) -> str:
    """The dry run: rows, requests and tokens, as a Markdown table. Tokens are estimated from characters."""
    kinds = Counter(kind for kind, _ in translation.left_out.values())
    requests, absent = translation.count(translation.work(), 0)
    characters = prompts = 0
    for request in translation.missing(translation.work(), 0):
        characters += sum(len(text) for text in request.fields.values())
        prompts += translation.engine.prompt_characters(request)
    n_rows = len(translation.rows)
    rows = [
        ("rows read", n_rows),
        *((f"not translated: {kind}", count) for kind, count in kinds.most_common()),
        (f"rows to translate into {', '.join(translation.languages)}", n_rows - len(translation.left_out)),
        ("requests, first attempt", requests),
        ("... already answered", requests - absent),
        ("... to send", absent),
        ("characters to translate", characters),
        ("prompt tokens, about", round(prompts / PROMPT_CHARACTERS_PER_TOKEN)),
        ("reply tokens, about", round(characters / SOURCE_CHARACTERS_PER_REPLY_TOKEN)),
        (f"requests at most, if all are sent {ATTEMPTS} times", absent * ATTEMPTS),
    ]
    return "\n".join(markdown_table(("dry run", "count"), rows))


def _line(file: IO[str], record: dict[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[IO[str]]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file
