"""What makes two scores comparable: the fields of a run's signature, and where two runs differ in them.

A signature is the line `crossin|task:cross_mmlu|data:<hash>|langs:en,es|answers:letter|...` that this project's tasks
write beside every score. Runs without one (prediction tables, the harness's other tasks) have the fields that their
name and the results file beside the log give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossin_metrics.predictions import Run

# Fields in which two runs may differ and still be compared: languages are cut to the common ones (which also sets s),
# questions to the common ids, and a version of this project that counts otherwise gives its tasks another version.
HARMLESS = frozenset({"langs", "s", "v", "limit"})
_SETTINGS = {
    "task_version": "task_version",
    "shots": "shots",
    "chat_template": "chat_template",
    "system_instruction": "system_instruction",
    "limit": "limit",
}


def parse_signature(signature: str) -> dict[str, str]:
    """The fields of a signature line, field -> value; empty for a text that is none."""
    head, *fields = signature.split("|")
    if head != "crossin":
        return {}
    return {name: value for name, _, value in (field.partition(":") for field in fields)}


def signature_fields(run: Run) -> dict[str, str]:
    """All that is known of how a run was made, field -> value; "" and missing mean: not said.

    Of a signed run its signature's fields; of any run also `mode`, `prompt`, `variant` (parts of its name) and the
    harness's `task_version`, `shots`, `chat_template`, `system_instruction` and `limit`.
    """
    fields = {"task": run.task, "mode": run.mode, "prompt": run.prompt, "variant": run.variant}
    fields["langs"] = ",".join(run.languages)
    for name, setting in _SETTINGS.items():
        value = run.settings.get(setting)
        fields[name] = "" if value is None else str(value)
    fields |= parse_signature(str(run.settings.get("signature", "")))
    return fields


def signature_of(run: Run) -> str:
    """The run's own signature, or one made of what is known: `crossin|task:...|langs:...|...|s:3`."""
    signature = str(run.settings.get("signature") or "")
    if parse_signature(signature):
        return signature
    fields = {name: value for name, value in signature_fields(run).items() if value}
    fields["s"] = str(min(3, len(run.languages)))
    return "|".join(["crossin", *(f"{name}:{value}" for name, value in fields.items())])


def differences(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """The fields in which two runs differ so that their scores do not compare: field -> (a's value, b's value).

    A field of which one run says nothing is no difference, unless it is part of the runs' names (mode, prompt,
    variant), an option that a signature names only where it is not the default (order, unanswered), or a setting of
    which the harness writes nothing where it is not used (chat_template, system_instruction).
    """
    fields_a, fields_b = signature_fields(a), signature_fields(b)
    always = {"mode", "prompt", "variant"}
    if all(parse_signature(str(run.settings.get("signature", ""))) for run in (a, b)):
        always |= {"order", "unanswered"}
    if all(run.settings.get("lm_eval_version") for run in (a, b)):
        always |= {"chat_template", "system_instruction"}
    found = {}
    for name in dict.fromkeys([*fields_a, *fields_b]):
        pair = fields_a.get(name, ""), fields_b.get(name, "")
        if name not in HARMLESS and pair[0] != pair[1] and (all(pair) or name in always):
            found[name] = pair
    return found
