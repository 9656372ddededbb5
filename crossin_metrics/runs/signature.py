"""The signature of a run, and which scores may be ranked together.

Scores are comparable when everything in their signatures agrees that changes what is measured: task, task version,
data, the very questions and languages, how answers are given, shots, chat template, option order, what an unread
answer counts as. The version of this package does not part them, nor do p1 ... p5: those are five wordings of one
set-up, over which a report averages, as the paper does (arXiv 2404.11932).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from crossin_metrics import __version__
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.per_question import DEFAULT_SUBSET

if TYPE_CHECKING:
    from crossin_metrics.runs.run import Run

_MODES = {"zero_shot": "0", "zero-shot": "0", "five_shot": "5", "five-shot": "5"}
NUMBERED = "p1-p5"
_NUMBERED_PROMPT = re.compile(r"p[1-9]")
UNSTATED = "unstated"  # the file does not say


class Setup(NamedTuple):
    """What must agree for two scores to be ranked together. Each field is a short text."""

    task: str
    version: str
    data: str
    questions: str
    langs: str
    answers: str
    prompts: str
    shots: str
    chat: str
    order: str
    unanswered: str

    def without_data(self) -> Setup:
        """The set-up alone: what columns of one table share while their tasks, data and languages differ."""
        return self._replace(task="", version="", data="", questions="")


def fields_of(signature: str) -> dict[str, str]:
    """The fields of a signature line; empty where it is none.

    >>> fields_of("crossin|task:cross_mmlu|shots:0")
    {'task': 'cross_mmlu', 'shots': '0'}
    """
    parts = signature.split("|")
    if not parts or parts[0] != "crossin":
        return {}
    return dict(part.partition(":")[::2] for part in parts[1:])


def signature_of(run: Run) -> str:
    """The run's signature: the one the harness logged, else one made of what the file tells.

    A logged one is completed by `answers:cf+norm` for length-normalised answers, and by `questions:<n>` where the run
    did not answer all questions of its set (`--limit`).
    """
    logged = run.settings.get("signature")
    fields = fields_of(logged) if isinstance(logged, str) else {}
    if not fields:
        shots = run.settings.get("shots")
        fields = {
            "task": run.task,
            "data": f"ids-{questions_hash(run)}",
            "langs": ",".join(run.languages),
            "answers": UNSTATED,
            "prompt": run.prompt or UNSTATED,
            "shots": str(shots) if shots is not None else _MODES.get(run.mode, UNSTATED),
            "chat": "yes" if run.settings.get("chat_template") else "no" if run.settings else UNSTATED,
        }
        if run.mode and run.mode not in _MODES and "shot" not in run.mode and run.mode != "chat":
            fields["mode"] = run.mode
        fields |= {"s": str(min(DEFAULT_SUBSET, len(run.languages))), "v": __version__}
    fields["langs"] = ",".join(run.languages)  # --languages may have left some out
    variant = [part for part in run.variant.split("+") if part and not part.startswith(("order:", "unanswered:"))]
    if variant:
        fields["answers"] = "+".join([fields.get("answers", UNSTATED), *variant])
    whole = (run.settings.get("metadata") or {}).get("n_questions")
    if isinstance(whole, int) and whole != len(run.ids):
        fields["questions"] = f"{len(run.ids)} of {whole}"
    return "|".join(["crossin", *(f"{key}:{value}" for key, value in fields.items())])


def setup_of(run: Run, signature: str | None = None) -> Setup:
    """What must agree with another run's for the two to be ranked together."""
    fields = fields_of(signature or signature_of(run))
    prompt = fields.get("prompt", UNSTATED)
    system = run.settings.get("system_instruction")
    return Setup(
        task=fields.get("task", run.task),
        version=str(run.settings.get("task_version", "")),
        data=fields.get("data", ""),
        questions=f"{len(run.ids)}-{questions_hash(run)}",
        langs=fields["langs"],
        answers=fields.get("answers", UNSTATED),
        prompts=NUMBERED if _NUMBERED_PROMPT.fullmatch(prompt) else prompt,
        shots=fields.get("shots", UNSTATED) + (f" {fields['mode']}" if "mode" in fields else ""),
        chat=fields.get("chat", UNSTATED) + (f" system-{str(system)[:8]}" if system else ""),
        order=fields.get("order", "as given"),
        unanswered=fields.get("unanswered", "none"),
    )


def questions_hash(run: Run) -> str:
    """Ten hex digits that tell which questions were answered: their ids and gold options."""
    digest = hashlib.sha256()
    for identifier, gold in zip(run.ids, run.gold.tolist(), strict=True):
        digest.update(f"{identifier}\x1f{gold}\x1e".encode())
    return digest.hexdigest()[:10]


def in_brief(setup: Setup) -> str:
    """The same for a narrow column: shots, how answers are given, how many languages."""
    shots = {"0": "zero-shot", UNSTATED: "shots?"}.get(setup.shots, f"{setup.shots}-shot")
    answers = "" if setup.answers == UNSTATED else setup.answers
    chat = "chat" if setup.chat.startswith("yes") else ""
    return ", ".join(filter(None, (shots, answers, chat, f"{len(setup.langs.split(','))} languages")))


def in_words(setup: Setup) -> str:
    """A set-up as a short heading, without task and data."""
    shots = {"0": "zero-shot", UNSTATED: "shots unstated"}.get(setup.shots, f"{setup.shots}-shot")
    parts = [shots, f"answers: {setup.answers}", _prompts(setup.prompts), f"languages {setup.langs}"]
    if setup.chat.startswith("yes"):
        parts.append(f"chat template{setup.chat.removeprefix('yes')}")
    elif "system" in setup.chat:
        parts.append(setup.chat.removeprefix("no").strip())
    if setup.order != "as given":
        parts.append(f"option order {setup.order}")
    if setup.unanswered != "none":
        parts.append(f"unanswered {setup.unanswered}")
    return ", ".join(parts)


def _prompts(prompts: str) -> str:
    """Wordings that count alike are one set-up, whichever of them were asked."""
    return "prompts out of p1 to p5" if prompts == NUMBERED else f"prompt {prompts}"




# Fields in which two runs may differ and still be compared on what both answered: languages are cut to the common
# ones (which also sets s), questions to the common ids, and the version of this package does not part scores.
_HARMLESS = frozenset({"langs", "s", "v", "questions"})


# Of a run without a signature the data are told by their ids alone; those are joined, and gold options compared.
_BY_IDS = "ids-"


def signature_fields(run: Run) -> dict[str, str]:
    """All that is known of how a run was made, field -> value: its signature, the parts of its name, the harness's."""
    fields = fields_of(signature_of(run))
    fields |= {"task": run.task, "mode": run.mode, "variant": run.variant}
    for name in ("task_version", "system_instruction", "chat_template"):
        if run.settings.get(name) is not None:
            fields[name] = str(run.settings[name])
    return fields


def differences(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """The fields in which two runs differ so that their scores do not compare: field -> (a's value, b's value).

    A field of which one run says nothing is no difference, unless it is a part of the runs' names (mode, variant), an
    option that a signature names only where it is not the default (order, unanswered), or a setting of which the
    harness writes nothing where it is not used (chat_template, system_instruction).
    """
    fields_a, fields_b = signature_fields(a), signature_fields(b)
    always = {"mode", "variant", "order", "unanswered"}
    if all(run.settings.get("lm_eval_version") for run in (a, b)):
        always |= {"chat_template", "system_instruction"}
    found = {}
    for name in dict.fromkeys([*fields_a, *fields_b]):
        pair = fields_a.get(name, ""), fields_b.get(name, "")
        unsaid = any(value in ("", UNSTATED) or value.startswith(_BY_IDS) for value in pair)
        if name not in _HARMLESS and pair[0] != pair[1] and (name in always or not unsaid):
            found[name] = pair
    return found
