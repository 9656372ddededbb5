"""Reading reviewers' decisions back: what is applied, what is refused, and what reviewers differ on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from recipes.cross_xquad.items import Decision, Item, Version, read_items, write_items
from recipes.cross_xquad.review.apply import apply_decisions
from tests.recipes.cross_xquad.review_items import entry, make_items, write_decisions

EARLY, LATE = "2026-01-01T10:00:00.000Z", "2026-01-02T09:00:00.000Z"


def verdicts(items: list[Item]) -> list[str | None]:
    return [one.decision.verdict if one.decision else None for one in items]


def test_verdicts_edits_notes_and_initials_are_applied(tmp_path: Path) -> None:
    items = make_items()
    edits = {"es": {"2": " 1 arco "}, "en": {"1": "Tom Lee"}}  # the English one changes nothing
    entries = [
        entry(items[0], "accept", edits=edits, note="ok now"),
        entry(items[1], "redo", edits={"es": {"0": "not used"}}),
        entry(items[2], "reject", note="ambiguous"),
    ]
    write_decisions(tmp_path, "ab", entries)
    done, remarks = apply_decisions(items, tmp_path)
    assert done[0].decision == Decision("accept", "AB", "ok now", {"es": {2: "1 arco"}}, items[0].sha256())
    assert done[0].versions["es"].choices == ("Ana Ruiz", "Tom Lee", "1 arco", "3")
    assert all(done[0].versions[code] == items[0].versions[code] for code in ("en", "ar"))
    assert verdicts(done) == ["accept", "redo", "reject", None]
    assert done[1] == replace(items[1], decision=Decision("redo", "AB", sha256=items[1].sha256()))
    assert "of 4 questions 1 accepted (1 with edits), 1 rejected, 1 to be rewritten, 1 undecided" in remarks
    write_items(tmp_path / "items.jsonl", done)
    assert read_items(tmp_path / "items.jsonl") == done


def test_applying_twice_changes_nothing_more(tmp_path: Path) -> None:
    items = make_items(1)
    write_decisions(tmp_path, "AB", [entry(items[0], "accept", edits={"en": {"1": "Bo Li"}})])
    once, _ = apply_decisions(items, tmp_path)
    twice, remarks = apply_decisions(once, tmp_path)
    assert twice == once
    assert not any("not applied" in remark for remark in remarks)


def test_decisions_on_other_contents_or_questions_are_named_and_not_applied(tmp_path: Path) -> None:
    items = make_items(2)
    changed = replace(items[0], versions={**items[0].versions, "en": Version("Another.", "Who?", ("a", "b", "c", "d"))})
    gone = replace(items[1], id="gone")
    write_decisions(tmp_path, "AB", [entry(items[0], "accept"), entry(gone, "reject")])
    done, remarks = apply_decisions([changed, items[1]], tmp_path)
    assert done == [changed, items[1]]
    assert any("another content than the question has now: q0" in remark for remark in remarks)
    assert any("a question not under review: gone" in remark for remark in remarks)


def test_reviewers_who_disagree_leave_the_question_in_review(tmp_path: Path) -> None:
    items = make_items(4)
    for reviewer, given in (("AB", ("accept", "redo", "accept")), ("CD", ("reject", "redo", "accept"))):
        write_decisions(tmp_path, reviewer, [entry(i, v) for i, v in zip(items, given, strict=False)])
    write_decisions(
        tmp_path, "EF", [entry(items[2], "accept", edits={"en": {"0": "Bo Li"}}), entry(items[3], "accept")]
    )
    done, remarks = apply_decisions(items, tmp_path)
    assert verdicts(done) == [None, "redo", None, "accept"]
    assert [one.decision.reviewer for one in done if one.decision] == ["AB, CD", "EF"]
    assert "q0 stays in review: reviewers disagree (AB accept, CD reject)" in remarks
    assert "q2 stays in review: AB, CD, EF accept it with different edits" in remarks
    assert any("2 of 3 questions judged by two or more reviewers (66.7%)" in remark for remark in remarks)


def test_notes_of_two_reviewers_are_both_kept(tmp_path: Path) -> None:
    (item,) = make_items(1)
    write_decisions(tmp_path, "AB", [entry(item, "reject", note="two answers")])
    write_decisions(tmp_path, "CD", [entry(item, "reject", note="same here")])
    (done,), _ = apply_decisions([item], tmp_path)
    assert done.decision is not None
    assert done.decision.note == "AB: two answers; CD: same here"


@pytest.mark.parametrize(("last", "expected"), [("reject", "reject"), (None, None)])
def test_a_reviewers_later_decision_counts(tmp_path: Path, last: str | None, expected: str | None) -> None:
    (item,) = make_items(1)
    write_decisions(tmp_path, "AB", [entry(item, last, LATE)], "decisions-AB (1).json")
    write_decisions(tmp_path, "ab", [entry(item, "accept", EARLY)], "decisions-AB.json")
    (done,), remarks = apply_decisions([item], tmp_path)
    assert (done.decision.verdict if done.decision else None) == expected
    assert not any("stays in review" in remark for remark in remarks)


def test_accepting_needs_every_language(tmp_path: Path) -> None:
    items = make_items(2)
    write_decisions(tmp_path, "AB", [entry(items[1], "accept")])
    done, remarks = apply_decisions(items, tmp_path)
    assert done[1].decision is None
    assert "q1 stays in review: accepted by AB, but there is no version in ar: reject or redo" in remarks


def test_unread_languages_are_reported(tmp_path: Path) -> None:
    items = make_items(3)
    entries = [entry(items[0], "accept", languages=["en", "es"]), entry(items[2], "accept", languages=["en"])]
    write_decisions(tmp_path, "AB", entries)
    write_decisions(tmp_path, "CD", [entry(items[2], "accept", languages=["en", "ar"])])
    _, remarks = apply_decisions(items, tmp_path)
    assert "accepted with languages that no reviewer had on the screen: ar (1), es (1)" in remarks


def test_a_missing_folder_holds_no_decisions_and_foreign_files_are_named(tmp_path: Path) -> None:
    items = make_items(1)
    done, remarks = apply_decisions(items, tmp_path / "none")
    assert done == items
    assert "folder not found" in remarks[0]
    (tmp_path / "letter.docx").write_bytes(b"PK")
    (tmp_path / ".~lock.items.csv#").write_bytes(b"x")
    _, remarks = apply_decisions(items, tmp_path)
    assert [remark for remark in remarks if "ignored" in remark] == [
        f"{tmp_path / 'letter.docx'}: ignored, decisions are .json and .csv files"
    ]


def test_a_second_round_on_rewritten_questions(tmp_path: Path) -> None:
    items = make_items(3)
    write_decisions(tmp_path, "AB", [entry(items[0], "accept"), entry(items[2], "redo")], "decisions-AB-1.json")
    first, _ = apply_decisions(items, tmp_path)
    new = Version("Another.", "Who?", ("a", "b", "c", "d"))
    again = replace(items[2], versions={**items[2].versions, "en": new}, decision=first[2].decision)
    shown = [items[0], items[1], again]
    waiting, remarks = apply_decisions(shown, tmp_path)
    assert waiting[2] == again  # the old decision stays on it, and does not fit
    assert not any("not applied" in remark for remark in remarks)
    write_decisions(tmp_path, "AB", [entry(again, "accept")], "decisions-AB-2.json")
    done, remarks = apply_decisions(shown, tmp_path)
    assert verdicts(done) == ["accept", None, "accept"]
    assert not any("not applied" in remark for remark in remarks)


BAD: dict[str, tuple[Any, tuple[str, ...]]] = {
    "cut short": ('{"format": "cross_xquad_decisions",\n"version": 1, "revi', ("line 2", "not JSON")),
    "not UTF-8": (b'{"a": "\xff"}', ("byte 7", "not UTF-8")),
    "another file": ({"name": "package"}, ("neither",)),
    "too deep": ("[" * 100_000, ("RecursionError",)),
    "too large a number": ('{"version": 1' + "0" * 5000 + "}", ("ValueError",)),
    "another version": ({"format": "cross_xquad_decisions", "version": 2}, ("version 2",)),
    "no initials": ({"reviewer": " "}, ("initials",)),
    "initials of markup": ({"reviewer": "<b>"}, ("initials",)),
    "no list": ({"decisions": {"q0": "accept"}}, ("no list",)),
    "no id": ({"decisions": [{"verdict": "accept"}]}, ("decision 1", "no id")),
    "unknown verdict": ({"verdict": "fine"}, ("id q0", "'fine'", "accept, reject, redo")),
    "note not text": ({"note": 3}, ("id q0", "note")),
    "languages not text": ({"languages": [1]}, ("id q0", "languages")),
    "edits not a table": ({"edits": [1]}, ("id q0", "edits")),
    "edit not text": ({"edits": {"en": {"1": None}}}, ("id q0", "not text")),
    "edit of the right option": ({"edits": {"en": {"0": "Eva"}}}, ("id q0", "language en", "right option")),
    "edit of no option": ({"edits": {"en": {"4": "Eva"}}}, ("id q0", "language en", "option 4")),
    "edit before the first": ({"edits": {"en": {"-1": "Eva"}}}, ("id q0", "language en", "option -1")),
    "edit in no language": ({"edits": {"fr": {"1": "Eva"}}}, ("id q0", "fr")),
    "edit that empties": ({"edits": {"es": {"1": "  "}}}, ("id q0", "language es", "empty")),
    "edit that repeats": ({"edits": {"es": {"1": "ana RUIZ"}}}, ("id q0", "language es", "twice")),
    "half of a pair": ({"edits": {"es": {"1": "\ud800"}}}, ("id q0", "language es", "invalid text")),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_an_error_that_names_file_and_place(tmp_path: Path, case: str) -> None:
    (item,) = make_items(1)
    content, expected = BAD[case]
    path = tmp_path / "decisions-AB.json"
    if isinstance(content, dict) and not {"name", "version"} & set(content):
        whole = {"format": "cross_xquad_decisions", "version": 1, "reviewer": "AB"}
        in_entry = {} if {"reviewer", "decisions"} & set(content) else content
        content = whole | {"decisions": [entry(item, "accept") | in_entry]} | ({} if in_entry else content)
    raw = content if isinstance(content, bytes | str) else json.dumps(content)
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    with pytest.raises(CrossinError) as caught:
        apply_decisions([item], tmp_path)
    message = str(caught.value)
    assert "decisions-AB.json" in message
    assert all(words in message for words in expected), message


def test_edits_may_swap_two_options(tmp_path: Path) -> None:
    (item,) = make_items(1)
    write_decisions(tmp_path, "AB", [entry(item, "accept", edits={"en": {"1": "1900", "2": "Tom Lee"}})])
    (done,), _ = apply_decisions([item], tmp_path)
    assert done.versions["en"].choices == ("Ana Ruiz", "1900", "Tom Lee", "3")


def test_an_item_decided_before_keeps_its_decision_until_reviewers_differ(tmp_path: Path) -> None:
    (item,) = make_items(1)
    write_decisions(tmp_path, "AB", [entry(item, "reject")])
    (done,), _ = apply_decisions([item], tmp_path)
    again, _ = apply_decisions([done], tmp_path / "empty")
    assert again == [done]
    write_decisions(tmp_path, "CD", [entry(item, "accept")])
    (open_again,), _ = apply_decisions([done], tmp_path)
    assert isinstance(open_again, Item)
    assert open_again.decision is None
