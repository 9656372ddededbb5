"""What makes two runs comparable: the signature of a run, the set-up it describes, and how two runs differ.

Scores are comparable if their signatures agree on everything that changes what is measured: task and its version,
data, the very questions and languages, formulation, shots, chat template, order of options, how the model
generated, and how unanswered rows count. The version of this package may differ, and so may the prompt among
p1 ... p5: these are five wordings of one
set-up, and reports average over them, as the paper does (arXiv 2404.11932).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from crossin_metrics import __version__
from crossin_metrics.runs.run import Run
from crossin_metrics.scores.per_question import DEFAULT_SUBSET
from crossin_metrics.signature import UNSTATED, signature_fields, signature_line

_MODES = {"zero_shot": "0", "zero-shot": "0", "five_shot": "5", "five-shot": "5"}
_NUMBERED = "p1-p5"
_IDS = "ids-"  # a run without a signature names its data by a hash of ids and gold options

# Fields in which two runs may differ and still be compared on what both answered: languages are cut to the common
# ones (which also sets s), questions to the common ids.
_HARMLESS = frozenset({"langs", "s", "v", "questions"})


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
    generation: str

    @property
    def brief(self) -> str:
        """For a narrow column: shots, formulation, chat template, number of languages."""
        answers = "" if self.answers == UNSTATED else self.answers
        chat = "chat" if self.chat.startswith("yes") else ""
        return ", ".join(filter(None, (self._shots, answers, chat, f"{len(self.langs.split(','))} languages")))

    @property
    def heading(self) -> str:
        """For a heading: everything but task and data."""
        prompts = "prompts out of p1 to p5" if self.prompts == _NUMBERED else f"prompt {self.prompts}"
        parts = [self._shots, f"answers: {self.answers}", prompts, f"languages {self.langs}"]
        if self.chat.startswith("yes"):
            parts.append(f"chat template{self.chat.removeprefix('yes')}")
        elif "system" in self.chat:
            parts.append(self.chat.removeprefix("no").strip())
        if self.order != "as given":
            parts.append(f"option order {self.order}")
        if self.generation:
            parts.append(f"generation {self.generation}")
        if self.unanswered != "none":
            parts.append(f"unanswered {self.unanswered}")
        return ", ".join(parts)

    @property
    def _shots(self) -> str:
        return {"0": "zero-shot", UNSTATED: "shots unstated"}.get(self.shots, f"{self.shots}-shot")


def signature_of(run: Run) -> str:
    """Return the run's signature: the logged one, or one made from what the file says.

    A logged one has the run's languages and subset size. It gains `answers:cf+norm` for length-normalised answers, and
    `questions:<n> of <all>` if the run did not answer all questions of its set (`--limit`, `--sample`). One that a
    table carries has gained these already.
    """
    fields = signature_fields(run.settings.get("signature"))
    asked = {"langs": ",".join(run.languages), "s": str(min(DEFAULT_SUBSET, len(run.languages)))}
    if not fields:
        shots = run.settings.get("shots")
        fields = {
            "task": run.task,
            "data": f"{_IDS}{_questions_hash(run)}",
            "langs": asked["langs"],
            "answers": UNSTATED,
            "prompt": run.prompt or UNSTATED,
            "shots": str(shots) if shots is not None else _MODES.get(run.mode, UNSTATED),
            "chat": "yes" if run.settings.get("chat_template") else "no" if run.settings else UNSTATED,
        }
        if run.mode and run.mode not in _MODES and "shot" not in run.mode and run.mode != "chat":
            fields["mode"] = run.mode
        fields |= {"s": asked["s"], "v": __version__}
    if asking := asking_of(run):  # the log's signature is that of the first asking
        order = asking.startswith("order-")
        fields |= {"order": f"question-{asking.removeprefix('order-')}"} if order else {"prompt": asking}
    fields |= asked  # `--languages` may have left some out
    variant = [part for part in run.variant.split("+") if part and not part.startswith(("order:", "unanswered:"))]
    if variant:
        answers = fields.get("answers", UNSTATED).split("+")
        fields["answers"] = "+".join([*answers, *(part for part in variant if part not in answers)])
    whole = (run.settings.get("metadata") or {}).get("n_questions")
    if cut := re.fullmatch(r"\d+ of (\d+)", fields.pop("questions", "")):
        whole = int(cut[1])
    if isinstance(whole, int) and whole != len(run.ids):
        fields["questions"] = f"{len(run.ids)} of {whole}"
    return signature_line(fields)


def asking_of(run: Run) -> str:
    """Which asking of its log's rows a run is: "" for the first, `order-<seed>`, or the prompt's id.

    A log made with `--metadata '{"again": [...]}'` holds one run for each.
    """
    first = signature_fields(run.settings.get("signature"))
    orders = [part.removeprefix("order:") for part in run.variant.split("+") if part.startswith("order:question-")]
    if orders and orders[0] != first.get("order"):
        return f"order-{orders[0].removeprefix('question-')}"
    again = (run.settings.get("metadata") or {}).get("again")
    return run.prompt if again and not first.get("prompt", run.prompt).startswith(run.prompt) else ""


def is_row_of(run: Run, doc: Mapping[str, Any]) -> bool:
    """Whether a document of the run's log was asked as the run asks: with its prompt and its order of options."""
    if "again" not in doc:
        return True
    asking, again = asking_of(run), str(doc["again"] or "")
    if asking.startswith("order-") or again.startswith("order-"):
        return again == asking
    return str(doc.get("prompt") or "") == run.prompt


def setup_of(run: Run) -> Setup:
    """Return what must agree with another run for the two to be ranked together."""
    fields = signature_fields(signature_of(run))
    prompt = fields.get("prompt", UNSTATED)
    system, turns = run.settings.get("system_instruction"), run.settings.get("shots_as")
    return Setup(
        task=fields.get("task", run.task),
        version=str(run.settings.get("task_version", "")),
        data=fields.get("data", ""),
        questions=f"{len(run.ids)}-{_questions_hash(run)}",
        langs=fields["langs"],
        answers=fields.get("answers", UNSTATED),
        prompts=_NUMBERED if re.fullmatch(r"p[1-9]", prompt) else prompt,
        shots=fields.get("shots", UNSTATED) + (f" {fields['mode']}" if "mode" in fields else ""),
        chat=fields.get("chat", UNSTATED)
        + (f" system-{str(system)[:8]}" if system else "")
        + (f" shots in {turns}" if turns else ""),
        order=fields.get("order", "as given"),
        unanswered=fields.get("unanswered", "none"),
        generation=fields.get("generation", ""),
    )


def _questions_hash(run: Run) -> str:
    """Ten hex digits that identify the questions answered: their ids and gold options."""
    digest = hashlib.sha256()
    for identifier, gold in zip(run.ids, run.gold.tolist(), strict=True):
        digest.update(f"{identifier}\x1f{gold}\x1e".encode())
    return digest.hexdigest()[:10]


def run_fields(run: Run) -> dict[str, str]:
    """Return all that is known of how a run was made: fields of its signature, parts of its name, settings."""
    fields = signature_fields(signature_of(run))
    fields |= {"task": run.task, "mode": run.mode, "variant": run.variant}
    for name in ("task_version", "system_instruction", "chat_template", "shots_as"):
        if run.settings.get(name) is not None:
            fields[name] = str(run.settings[name])
    return fields


def differences(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Return the fields in which two runs differ so that their scores do not compare: field -> (a's, b's value).

    A field that one run lacks is not a difference, unless it is part of the run's name (mode, variant), a field that a
    signature holds only if it is not the default (order, unanswered, generation), or a setting that the harness writes
    only if it is used (chat_template, system_instruction, shots_as).
    """
    fields_a, fields_b = run_fields(a), run_fields(b)
    always = {"mode", "variant", "order", "unanswered", "generation"}
    if all(run.settings.get("lm_eval_version") for run in (a, b)):
        always |= {"chat_template", "system_instruction", "shots_as"}
    found = {}
    for name in dict.fromkeys([*fields_a, *fields_b]):
        pair = fields_a.get(name, ""), fields_b.get(name, "")
        unknown = any(value in ("", UNSTATED) or value.startswith(_IDS) for value in pair)
        if name not in _HARMLESS and pair[0] != pair[1] and (name in always or not unknown):
            found[name] = pair
    return found
