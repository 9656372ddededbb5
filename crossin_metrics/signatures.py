"""Where two runs were made in different ways, so that their scores do not compare.

The fields of a signature, and how one is made for a run that has none, are those of
:mod:`crossin_metrics.runs.signature`; here two runs are held against each other field by field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossin_metrics.runs.signature import UNSTATED, fields_of, signature_of

if TYPE_CHECKING:
    from crossin_metrics.runs.run import Run

__all__ = ["differences", "fields_of", "signature_fields", "signature_of"]

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
