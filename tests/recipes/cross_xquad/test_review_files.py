"""What reviewers are given: the page's data, the table and Label Studio's files; filled in, they come back."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossin_metrics.errors import CrossinError
from crossin_metrics.text_tables import csv_value
from recipes.cross_xquad.items import Decision, Finding, Item, Version
from recipes.cross_xquad.review.apply import apply_decisions, write_review
from recipes.cross_xquad.review.label_studio import labelling_config, tasks
from recipes.cross_xquad.review.page import page_data, render_page
from recipes.cross_xquad.review.table import safe_cell, table
from tests.recipes.cross_xquad.review_items import PAYLOAD, entry, hostile_item, make_items, write_decisions

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def parsed(items: list[Item], title: str = "Review") -> Elements:
    elements = Elements()
    elements.feed(render_page(items, title=title))
    return elements


def test_hostile_texts_add_no_element_to_the_page() -> None:
    plain, hostile = parsed(make_items(1)), parsed([hostile_item()], title=PAYLOAD)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert len(hostile.scripts) == 2
    assert json.loads(hostile.scripts[0]) == json.loads(json.dumps(page_data([hostile_item()])))
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)


def test_the_policy_allows_the_pages_own_script_and_style_only() -> None:
    page = render_page(make_items(1), title="Review")
    elements = parsed(make_items(1))
    policy = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    style = page.partition("<style>")[2].partition("</style>")[0]
    for kind, text in (("script", elements.scripts[1]), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not any({"src", "href"} & set(a) and a.get("href") != "#item" for _, a in elements.tags)


def test_each_passage_is_stored_once_per_language(tmp_path: Path) -> None:
    version = Version("passage " * 12_500, "Who?", ("a", "b", "c", "d"))  # 100,000 characters
    items = [Item(f"q{n}", 0, 0, 0, {"en": replace(version, question=f"Who {n}?")}) for n in range(50)]
    data = page_data(items)
    assert data["passages"]["en"] == [version.context]
    assert [row["v"]["en"][0] for row in data["items"]] == [0] * 50
    write_review(items, tmp_path, title="Long")
    assert (tmp_path / "index.html").stat().st_size < 250_000


def test_the_page_puts_english_first_and_knows_scripts() -> None:
    data = page_data(make_items(1, ("ar", "es", "en")))
    assert list(data["languages"]) == ["en", "ar", "es"]
    assert data["languages"]["ar"][2] == "rtl"
    assert page_data([Item("q", 0, 0, 0, {"xx": Version("p", "q", ("a", "b"))})])["languages"]["xx"][2] == "auto"


def test_equal_items_give_equal_files_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_review([*make_items(), hostile_item()], tmp_path / name, title="Review")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert sorted(one) == ["index.html", "items.csv", "label_studio.json", "label_studio.xml"]
    assert one == two
    write_review([], tmp_path / "none", title="Nothing")
    assert json.loads((tmp_path / "none" / "label_studio.json").read_text(encoding="utf-8")) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(CrossinError, match=r"cannot write .*file"):
        write_review(make_items(1), tmp_path / "file", title="Review")


# The table.


def rows_of(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline=""), strict=True))


def filled(items: list[Item], fill: Callable[[list[dict[str, str]]], None], delimiter: str = ",") -> str:
    """The table after a reviewer's changes to its rows, as a spreadsheet saves it."""
    rows = rows_of(table(items))
    fill(rows)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


@settings(deadline=None)
@given(st.text())
def test_no_line_of_a_cell_starts_a_formula(text: str) -> None:
    cell = safe_cell(text)
    for line in cell.split("\n"):
        assert not line.strip().startswith(FORMULA)
        assert not line.startswith("\t")
    assert all(c in "\t\n" or ord(c) >= 32 for c in cell)
    if len(text) < 32_000 and not set(text) - set("=+-@'ab 1\t\n"):
        assert csv_value(cell) == text


def test_the_table_of_a_hostile_item_holds_no_formula_and_all_its_rows() -> None:
    rows = rows_of(table([hostile_item(), *make_items(2)]))
    assert [(row["id"], row["language"]) for row in rows[:2]] == [("hostile", "en"), ("hostile", "ar")]
    for row in rows:
        assert not any(line.strip().startswith(FORMULA) for cell in row.values() for line in cell.split("\n"))
    assert rows[0]["findings"] == f"duplicate: =1 {PAYLOAD}\nis_right (wrong_1): {PAYLOAD}"
    assert "ar: malformed: the reply was cut off" in rows[-2]["findings"]


def test_earlier_decisions_are_in_table_and_tasks(tmp_path: Path) -> None:
    items = make_items(1)
    write_decisions(tmp_path, "AB", [entry(items[0], "reject", note="two answers")])
    (decided,), _ = apply_decisions(items, tmp_path)
    words = "decided before: reject by AB (two answers)"
    assert rows_of(table([decided]))[0]["findings"].split("\n")[0] == words
    assert tasks([decided])[0]["data"]["findings"] == words


@pytest.mark.slow
def test_a_spreadsheet_evaluates_nothing_and_returns_the_table(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("no LibreOffice here: the table is not opened in a spreadsheet (Debian: libreoffice-calc-nogui)")
    items = [hostile_item(), *make_items(3)]

    def fill(rows: list[dict[str, str]]) -> None:
        rows[3].update(verdict="accept", reviewer="ab", new_wrong_1="Bo Li")

    def convert(path: Path, to: str, reading: str = "") -> None:
        command = [office, f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to", to]
        command += [f"--infilter={reading}"] if reading else []
        subprocess.run([*command, "--outdir", tmp_path / "out", path], check=True, capture_output=True, timeout=300)

    evaluate = "CSV:44,34,76,1,,0,false,true,false,false,false,0,true"  # UTF-8, formulas computed
    (tmp_path / "raw.csv").write_text('"=1+1",x\n', encoding="utf-8")
    (tmp_path / "safe.csv").write_text("\ufeff" + filled(items, fill), encoding="utf-8", newline="")
    for name in ("raw", "safe"):
        convert(tmp_path / f"{name}.csv", "fods", evaluate)
    computed = [
        (tmp_path / "out" / f"{name}.fods").read_text("utf-8").count("table:formula") for name in ("raw", "safe")
    ]
    assert computed == [1, 0]
    convert(tmp_path / "out" / "safe.fods", "csv:Text - txt - csv (StarCalc):59,34,76,1,,0,false,true,false")
    (tmp_path / "out" / "raw.fods").unlink()
    (tmp_path / "out" / "safe.fods").unlink()
    done, _ = apply_decisions(items, tmp_path / "out")
    assert [one.decision.edits if one.decision else None for one in done] == [None, {"es": {1: "Bo Li"}}, None, None]


def test_long_cells_are_cut_for_spreadsheets() -> None:
    item = Item("q", 0, 0, 0, {"en": Version("x" * 100_000, "Who?", ("a", "b"))})
    (row,) = rows_of(table([item]))
    assert len(row["passage"]) < 32_767
    assert row["passage"].endswith("[cut; index.html has all of it]")


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16"), (",", "utf-8")]
)
def test_a_filled_in_table_is_applied(tmp_path: Path, delimiter: str, encoding: str) -> None:
    items = make_items(4)

    def fill(rows: list[dict[str, str]]) -> None:
        by_place = {(row["id"], row["language"]): row for row in rows}
        by_place["q0", "en"].update(verdict="Accept", reviewer="ab", note="fine; now, with\nedits", new_wrong_1="'=Tim")
        by_place["q0", "es"].update(verdict="accept ", new_wrong_3="tres")
        by_place["q2", "ar"].update(verdict="reject", reviewer="AB", new_wrong_1="بو لي")
        by_place["q3", "en"].update(note="no verdict yet", reviewer="AB")

    (tmp_path / "ab.csv").write_bytes(filled(items, fill, delimiter).encode(encoding))
    done, remarks = apply_decisions(items, tmp_path)
    edits = {"en": {1: "=Tim"}, "es": {3: "tres"}}
    assert done[0].decision == Decision("accept", "AB", "fine; now, with\nedits", edits, items[0].sha256())
    assert done[2].decision == Decision("reject", "AB", "", {}, items[2].sha256())
    assert (done[1].decision, done[3].decision) == (None, None)
    assert "1 accepted (1 with edits), 1 rejected, 0 to be rewritten, 2 undecided" in remarks[-1]


def test_an_untouched_table_decides_nothing(tmp_path: Path) -> None:
    items = [*make_items(4), hostile_item()]
    (tmp_path / "items.csv").write_text(table(items), encoding="utf-8", newline="")
    done, _ = apply_decisions(items, tmp_path)
    assert done == items


def test_a_table_that_contradicts_the_page_leaves_the_question_open(tmp_path: Path) -> None:
    (item,) = make_items(1)
    fill = lambda rows: rows[0].update(verdict="reject", reviewer="AB")  # noqa: E731
    (tmp_path / "ab.csv").write_text(filled([item], fill), encoding="utf-8", newline="")
    write_decisions(tmp_path, "AB", [entry(item, "accept")])
    (done,), remarks = apply_decisions([item], tmp_path)
    assert done.decision is None
    assert any("AB decided differently in" in remark and "row 2" in remark for remark in remarks)


def put(row: int, **cells: str) -> Callable[[list[dict[str, str]]], None]:
    return lambda rows: rows[row].update(cells)


def contradict(rows: list[dict[str, str]]) -> None:
    rows[0].update(verdict="accept", reviewer="AB")
    rows[2].update(verdict="reject", reviewer="AB")


@pytest.mark.parametrize(
    ("fill", "change", "expected"),
    [
        (put(1, verdict="yes", reviewer="AB"), str, "row 3, id q0: verdict 'yes'"),
        (put(0, verdict="accept"), str, "row 2, id q0: reviewer None"),
        (contradict, str, "row 4, id q0: verdict 'reject', but 'accept'"),
        (put(1, new_wrong_2="x"), str, "row 3, id q0: new options without a verdict"),
        (put(1, verdict="accept", reviewer="AB", new_wrong_2="Ana Ruiz"), str, "twice"),
        (put(0), lambda text: text.replace("verdict", "Urteil"), "line 1: no column verdict"),
        (put(0), lambda text: text + '"open', "broken table"),
        (put(0), lambda text: text.replace("¿", "\udcbf"), "line 3: not UTF-8; save the table as"),
    ],
)
def test_a_mistake_in_a_table_names_the_row(tmp_path: Path, fill: Any, change: Any, expected: str) -> None:
    text = change(filled(make_items(1), fill))
    (tmp_path / "ab.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CrossinError) as caught:
        apply_decisions(make_items(1), tmp_path)
    assert "ab.csv" in str(caught.value)
    assert expected in str(caught.value)


# Label Studio.


def export(items: list[Item], results: list[dict[str, Any] | None], user: Any = 1) -> list[dict[str, Any]]:
    """Tasks as Label Studio 1.23.2 exports them, one annotation each; None is a skipped task."""
    out = []
    for number, (task, answers) in enumerate(zip(tasks(items), results, strict=False), 1):
        result = [
            {"id": f"r{n}", "from_name": name, "to_name": "en_question", "origin": "manual"}
            | ({"type": "choices", "value": {"choices": [v]}} if name == "verdict" else {})
            | ({} if name == "verdict" else {"type": "textarea", "value": {"text": [v]}})
            for n, (name, v) in enumerate((answers or {}).items())
        ]
        annotation = {"id": number, "completed_by": user, "result": result, "was_cancelled": answers is None}
        annotation |= {"created_at": "2026-11-22T05:02:12.818291Z", "updated_at": "2026-11-22T05:02:12.818320Z"}
        out.append({"id": number, "annotations": [annotation], "predictions": [], "drafts": [], "meta": {}, **task})
    return out


def test_every_name_of_the_interface_is_in_every_task_and_unique() -> None:
    items = [*make_items(2), hostile_item()]
    root = ET.fromstring(labelling_config(items))
    names = [node.attrib["name"] for node in root.iter() if "name" in node.attrib]
    objects = {node.attrib["name"] for node in root.iter("Text")}
    assert len(names) == len(set(names))
    assert {node.attrib["toName"] for node in root.iter() if "toName" in node.attrib} <= objects
    for task in tasks(items):
        wanted = {node.attrib["value"][1:] for node in root.iter("Text")}
        assert wanted <= set(task["data"])
        assert all(isinstance(text, str) and text for text in task["data"].values())
    assert PAYLOAD not in labelling_config(items)


def test_an_export_of_label_studio_is_applied(tmp_path: Path) -> None:
    items = make_items(4)
    results = [
        {"verdict": "accept", "reviewer": "cd", "es_new_3": "tres", "en_new_1": "Tom Lee"},
        {"verdict": "redo", "note": "cut"},  # initials given once are enough
        None,
        {"reviewer": "cd", "note": "unsure"},
    ]
    (tmp_path / "export.json").write_text(json.dumps(export(items, results)), encoding="utf-8")
    done, _ = apply_decisions(items, tmp_path)
    assert done[0].decision == Decision("accept", "CD", "", {"es": {3: "tres"}}, items[0].sha256())
    assert done[1].decision == Decision("redo", "CD", "cut", {}, items[1].sha256())
    assert [one.decision for one in done[2:]] == [None, None]


@pytest.mark.parametrize(("user", "expected"), [(7, "LS7"), ({"id": 7, "email": "a@b.c"}, "LS7"), (None, "LS")])
def test_without_initials_label_studios_user_is_named(tmp_path: Path, user: Any, expected: str) -> None:
    items = make_items(1)
    (tmp_path / "export.json").write_text(json.dumps(export(items, [{"verdict": "reject"}], user)), encoding="utf-8")
    (done,), _ = apply_decisions(items, tmp_path)
    assert done.decision is not None
    assert done.decision.reviewer == expected


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda task: task.pop("data"), "task 1: not Label Studio's JSON export"),
        (lambda task: task["data"].pop("sha256"), "task 1: no id and sha256"),
        (lambda task: task.update(annotations={}), "task 1, id q0: annotations must be a list"),
        (lambda task: task["annotations"][0].pop("result"), "task 1, id q0: broken annotation"),
        (lambda task: task["annotations"][0]["result"][0].update(value=3), "task 1, id q0: broken annotation"),
        (
            lambda task: task["annotations"][0]["result"][0]["value"].update(choices=["maybe"]),
            "task 1, id q0: verdict 'maybe'",
        ),
    ],
)
def test_a_damaged_export_names_the_task(tmp_path: Path, damage: Callable[[Any], object], expected: str) -> None:
    items = make_items(1)
    raw = export(items, [{"verdict": "accept", "reviewer": "AB"}])
    damage(raw[0])
    (tmp_path / "export.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(CrossinError) as caught:
        apply_decisions(items, tmp_path)
    assert expected in str(caught.value)
    assert "export.json" in str(caught.value)


def test_findings_name_options_as_the_table_does() -> None:
    (item,) = make_items(1)
    item = replace(item, gold=2, findings=tuple(Finding("odd_type", "en", k, f"at {k}") for k in range(4)))
    (first, *_) = rows_of(table([item]))
    expected = [f"odd_type ({name}): at {k}" for k, name in enumerate(("wrong_1", "wrong_2", "right", "wrong_3"))]
    assert first["findings"].split("\n") == expected
