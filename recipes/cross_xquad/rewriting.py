"""Stage `check`: check every item, have the model rewrite what has findings, keep each language's best attempt.

Nothing is remembered but the model's replies: the same items, options and replies give the same attempts again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recipes.cross_xquad.calls import Caller
from recipes.cross_xquad.checks.base import REASONS, CheckInput, ModelCheck
from recipes.cross_xquad.checks.within import Checker
from recipes.cross_xquad.items import Finding, Item, Version
from recipes.cross_xquad.prompts import WRONG, Feedback
from recipes.cross_xquad.sources import PIVOT, Source, SourceQuestion
from recipes.cross_xquad.writing import Order, in_order, write

SHOWN = 200  # characters of an option that the model is shown again


@dataclass(eq=False)
class _Draft:
    """The best so far of one item: per language a version, its findings, and the number of its last attempt."""

    item: Item
    question: SourceQuestion
    versions: dict[str, Version]
    findings: dict[str, list[Finding]]
    attempt: dict[str, int] = field(default_factory=dict)
    rounds: int = 0

    def input(self, language: str, version: Version) -> CheckInput:
        """What the checks of one version see, with the English version beside it."""
        english = version if language == PIVOT else self.versions[PIVOT]
        return CheckInput(self.question, language, english, version, self.item.gold)


class Rewriter:
    """Checks items and has them rewritten.

    Args:
        source: of the items.
        caller: of the model.
        checker: the checks on texts.
        model_checks: checks that may ask a model; they see the versions without findings on texts.
        regenerate: further attempts at an item with findings.
    """

    def __init__(
        self,
        source: Source,
        caller: Caller,
        checker: Checker,
        model_checks: Sequence[ModelCheck] = (),
        regenerate: int = 2,
    ) -> None:
        self._languages = source.languages
        self._others = [code for code in source.languages if code != PIVOT]
        self._questions = {question.id: question for question in source.questions}
        self._caller = caller
        self._checker = checker
        self._model_checks = model_checks
        self._regenerate = regenerate

    def check(self, items: Sequence[Item]) -> list[Item]:
        """Check, and rewrite up to `regenerate` times; items in their order, with the findings that are left."""
        drafts = self._drafts(items)
        for number in range(1, self._regenerate + 1):
            if not any(any(draft.findings.values()) for draft in drafts):
                break
            self._round(drafts, f"attempt {number + 1}", {})
        return [self._finish(draft) for draft in drafts]

    def redo(self, items: Sequence[Item], notes: Mapping[str, str], round_number: int) -> list[Item]:
        """Rewrite items that reviewers sent back, in every language; once, then check.

        Args:
            items: those to rewrite.
            notes: id -> the reviewer's note, for the model.
            round_number: from 1: how often an item has come back from reviewers; part of the calls' keys.
        """
        drafts = self._drafts(items)
        for draft in drafts:  # attempts that no earlier round can have used
            draft.attempt = dict.fromkeys(self._languages, round_number * (self._regenerate + 2))
        self._round(drafts, f"redo {round_number}", notes)
        return [self._finish(draft) for draft in drafts]

    def _round(self, drafts: Sequence[_Draft], name: str, notes: Mapping[str, str]) -> None:
        """English first; then the other languages, all of an item with new English, else those with findings."""
        english = [(draft, PIVOT) for draft in drafts if draft.findings[PIVOT] or draft.item.id in notes]
        before = [draft.versions.get(PIVOT) for draft in drafts]
        self._attempt(english, f"{name}, {PIVOT}", notes)
        fresh = [draft for draft, old in zip(drafts, before, strict=True) if draft.versions.get(PIVOT) != old]
        for draft in fresh:  # the other languages were parallel to other English options
            for code in self._others:
                draft.versions.pop(code, None)
                draft.findings[code] = []
                draft.attempt[code] = -1
        others = [(draft, code) for code in self._others for draft in fresh]
        others += [
            (draft, code)
            for code in self._others
            for draft in drafts
            if draft not in fresh and draft.findings[code] and PIVOT in draft.versions
        ]
        self._attempt(others, name, {})
        asked = {draft.item.id for draft, _ in [*english, *others]}
        for draft in drafts:
            draft.rounds += draft.item.id in asked

    def _attempt(self, wanted: Sequence[tuple[_Draft, str]], description: str, notes: Mapping[str, str]) -> None:
        """Ask for versions, check them, and keep those with fewer findings than the present ones."""
        for draft, code in wanted:
            draft.attempt[code] = draft.attempt.get(code, 0) + 1
        orders = [_order(draft, code, notes.get(draft.item.id)) for draft, code in wanted]
        made = list(zip(wanted, write(self._caller, orders, description), strict=True))
        inputs = [draft.input(code, one) for (draft, code), one in made if isinstance(one, Version)]
        checked = iter(self._findings(inputs))
        for (draft, code), one in made:
            findings = [one] if isinstance(one, Finding) else next(checked)
            better = isinstance(one, Version) and len(findings) < len(draft.findings[code])
            forced = isinstance(one, Version) and draft.item.id in notes
            if code not in draft.versions or forced or better:
                draft.findings[code] = findings
                if isinstance(one, Version):
                    draft.versions[code] = one

    def _findings(self, inputs: Sequence[CheckInput]) -> list[list[Finding]]:
        """Findings of each: those on texts; if there are none, those of models."""
        found = [self._checker.check(one) for one in inputs]
        for check in self._model_checks:
            clean = [place for place, one in enumerate(found) if not one]
            for place, more in zip(clean, check([inputs[place] for place in clean]), strict=True):
                found[place] += more
        return found

    def _drafts(self, items: Sequence[Item]) -> list[_Draft]:
        drafts = []
        for item in items:
            # what earlier stages could not read; everything else is checked again
            findings = {
                code: [f for f in item.findings if f.language == code and code not in item.versions]
                for code in self._languages
            }
            drafts.append(_Draft(item, self._questions[item.id], dict(item.versions), findings))
        written = [(draft, code) for draft in drafts for code in self._languages if code in draft.versions]
        inputs = [draft.input(code, draft.versions[code]) for draft, code in written]
        for (draft, code), found in zip(written, self._findings(inputs), strict=True):
            draft.findings[code] = found
        return drafts

    def _finish(self, draft: _Draft) -> Item:
        findings = [finding for code in self._languages for finding in draft.findings[code]]
        findings += [
            Finding("malformed", code, None, "not written: there is no English version to follow")
            for code in self._languages
            if code not in draft.versions and not draft.findings[code]
        ]
        attempts = draft.item.attempts + draft.rounds
        item = replace(draft.item, versions=draft.versions, findings=tuple(findings), attempts=attempts, decision=None)
        return in_order(item, self._languages)


def _order(draft: _Draft, code: str, note: str | None) -> Order:
    gold, attempt, version = draft.item.gold, draft.attempt[code], draft.versions.get(code)
    feedback = None
    if attempt > 0:
        problems = [_problem(finding, gold) for finding in draft.findings[code]] + ([note] if note else [])
        shown = None if version is None else tuple(option[:SHOWN] for option in version.wrong(gold).values())
        feedback = Feedback(attempt, shown, tuple(problems) or ("A reviewer did not accept it.",))
    english = None if code == PIVOT else draft.versions[PIVOT]
    return Order(draft.question, gold, code, english, attempt, feedback)


def _problem(finding: Finding, gold: int) -> str:
    """A finding in words for the model, which knows wrong options by their field's name."""
    if finding.choice is None:
        return f"{REASONS[finding.code]} ({finding.detail})"
    name = "The right option" if finding.choice == gold else WRONG[finding.choice - (finding.choice > gold)]
    return f"{name}: {REASONS[finding.code]} ({finding.detail[: 2 * SHOWN]})"
