"""Stage `check`: look at every item, have the model mend what has findings, keep each language's best attempt.

Nothing is remembered but the model's replies: the same items, options and replies give the same attempts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from recipes.cross_xquad.calls import Caller
from recipes.cross_xquad.checks.across import check_parallel
from recipes.cross_xquad.checks.base import CheckInput, ModelCheck
from recipes.cross_xquad.checks.within import REASONS, Checker
from recipes.cross_xquad.items import Finding, Item, Version
from recipes.cross_xquad.prompts import WRONG, Feedback
from recipes.cross_xquad.sources import PIVOT, Source, SourceQuestion
from recipes.cross_xquad.writing import Order, in_order, write, wrong_options

SHOWN = 200  # characters of an option that are shown to the model again


@dataclass(eq=False)
class _Draft:
    """The best so far of one item: a version and its findings per language, and how often each was asked for."""

    item: Item
    question: SourceQuestion
    versions: dict[str, Version]
    findings: dict[str, list[Finding]]
    attempt: dict[str, int] = field(default_factory=dict)
    rounds: int = 0


class Rewriter:
    """Checks items and has them written again.

    Args:
        source: of the items.
        caller: of the model.
        checker: the checks on texts.
        model_checks: further checks, which may ask a model; they see what the others have passed.
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
        self._source = source
        self._questions = {question.id: question for question in source.questions}
        self._caller = caller
        self._checker = checker
        self._model_checks = model_checks
        self._regenerate = regenerate

    def check(self, items: Sequence[Item]) -> list[Item]:
        """Check, and mend up to `regenerate` times; items in their order, with the findings that are left."""
        drafts = self._drafts(items)
        for number in range(1, self._regenerate + 1):
            if not any(self._bad(draft) for draft in drafts):
                break
            self._round(drafts, f"attempt {number + 1}", {})
        return [self._finish(draft) for draft in drafts]

    def redo(self, items: Sequence[Item], notes: Mapping[str, str], round_number: int) -> list[Item]:
        """Have items written anew in every language because people asked for it; once, then checked.

        Args:
            items: those to be written.
            notes: id -> what the reviewer said about it, for the model.
            round_number: from 1: how often an item has come back from people, part of the calls' keys.
        """
        drafts = self._drafts(items)
        for draft in drafts:  # attempts that no earlier round can have used
            draft.attempt = dict.fromkeys(self._source.languages, round_number * (self._regenerate + 2))
        self._round(drafts, f"written again {round_number}", notes)
        return [self._finish(draft) for draft in drafts]

    # -- one round -------------------------------------------------------------------------------------------------

    def _round(self, drafts: Sequence[_Draft], name: str, notes: Mapping[str, str]) -> None:
        english = [(draft, PIVOT) for draft in drafts if draft.findings[PIVOT] or draft.item.id in notes]
        before = {draft.item.id: draft.versions.get(PIVOT) for draft in drafts}
        self._attempt(english, f"{name}, {PIVOT}", notes)
        fresh = [draft for draft in drafts if draft.versions.get(PIVOT) != before[draft.item.id]]
        for draft in fresh:  # the other languages were parallel to other English options
            for code in self._others():
                draft.versions.pop(code, None)
                draft.findings[code] = []
                draft.attempt[code] = -1
        first = [(draft, code) for code in self._others() for draft in fresh]
        again = [
            (d, c) for c in self._others() for d in drafts if d not in fresh and d.findings[c] and PIVOT in d.versions
        ]
        self._attempt([*first, *again], name, {})
        for draft in drafts:
            draft.rounds += any(draft is other for other, _ in [*english, *first, *again])

    def _attempt(self, wanted: Sequence[tuple[_Draft, str]], description: str, notes: Mapping[str, str]) -> None:
        """Ask for versions, check them, and keep those with fewer findings than what is there."""
        orders = []
        for draft, code in wanted:
            draft.attempt[code] = draft.attempt.get(code, 0) + 1
            orders.append(self._order(draft, code, notes.get(draft.item.id)))
        made = write(self._caller, orders, description)
        checked = self._look([self._look_at(o, m) for o, m in zip(orders, made, strict=True) if isinstance(m, Version)])
        for (draft, code), one in zip(wanted, made, strict=True):
            findings = [one] if isinstance(one, Finding) else next(checked)
            worse = isinstance(one, Finding) or len(findings) >= len(draft.findings[code])
            forced = draft.item.id in notes and isinstance(one, Version)
            if code not in draft.versions or forced or not worse:
                draft.findings[code] = findings
                if isinstance(one, Version):
                    draft.versions[code] = one

    def _order(self, draft: _Draft, code: str, note: str | None) -> Order:
        version = draft.versions.get(code)
        problems = [_problem(finding, draft.item.gold) for finding in draft.findings[code]] + ([note] if note else [])
        feedback = None
        if draft.attempt[code] > 0:
            previous = None if version is None else wrong_options(version, draft.item.gold)
            shown = None if previous is None else tuple(option[:SHOWN] for option in previous)
            feedback = Feedback(draft.attempt[code], shown, tuple(problems) or ("A reviewer did not accept it.",))
        english = None if code == PIVOT else draft.versions[PIVOT]
        return Order(draft.question, draft.item.gold, code, english, draft.attempt[code], feedback)

    def _look_at(self, order: Order, version: Version) -> CheckInput:
        return CheckInput(order.question, order.language, order.english or version, version, order.gold)

    def _look(self, looks: Sequence[CheckInput]) -> Iterator[list[Finding]]:
        """Findings of each: those on texts, and where there are none of these, those of models."""
        found = []
        for look in looks:
            one = self._checker.check(look.question, look.language, look.english, look.version, look.gold)
            if look.language != PIVOT:
                near = self._checker.same_passage(look.question)
                one += check_parallel(near, look.language, look.english, look.version, look.gold)
            found.append(one)
        for check in self._model_checks:
            open_places = [place for place, one in enumerate(found) if not one]
            for place, more in zip(open_places, check([looks[place] for place in open_places]), strict=True):
                found[place] += more
        return iter(found)

    # -- items and drafts --------------------------------------------------------------------------------------------

    def _others(self) -> list[str]:
        return [code for code in self._source.languages if code != PIVOT]

    def _bad(self, draft: _Draft) -> bool:
        return any(draft.findings.values())

    def _drafts(self, items: Sequence[Item]) -> list[_Draft]:
        drafts = []
        looks: list[tuple[_Draft, str]] = []
        for item in items:
            versions = dict(item.versions)
            # what the earlier stages could not read; everything else is looked at anew
            findings = {
                code: [f for f in item.findings if f.language == code and code not in versions]
                for code in self._source.languages
            }
            draft = _Draft(item, self._questions[item.id], versions, findings)
            drafts.append(draft)
            looks += [(draft, code) for code in self._source.languages if code in versions]
        seen = [CheckInput(d.question, c, d.versions[PIVOT], d.versions[c], d.item.gold) for d, c in looks]
        for (draft, code), found in zip(looks, self._look(seen), strict=True):
            draft.findings[code] = found
        return drafts

    def _finish(self, draft: _Draft) -> Item:
        missing = [code for code in self._source.languages if code not in draft.versions and not draft.findings[code]]
        none = [
            Finding("malformed", code, None, "not written: there is no English version to follow") for code in missing
        ]
        findings = [finding for code in self._source.languages for finding in draft.findings[code]]
        item = replace(
            draft.item,
            versions=draft.versions,
            findings=tuple(findings + none),
            attempts=draft.item.attempts + draft.rounds,
            decision=None,
        )
        return in_order(item, self._source.languages)


def _problem(finding: Finding, gold: int) -> str:
    """A finding in words for the model, which knows wrong options by their field's name."""
    if finding.choice is None:
        return f"{REASONS[finding.code]} ({finding.detail})"
    name = "The right option" if finding.choice == gold else WRONG[finding.choice - (finding.choice > gold)]
    return f"{name}: {REASONS[finding.code]} ({finding.detail[: 2 * SHOWN]})"
