"""The page as a file: what models and data say is text, it needs nothing else, it stays small; the output folder."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.html import embedded_json
from crossin_metrics.report.browser import LONGEST, read_question_texts
from crossin_metrics.report.build import Options, build_report, check_target, write_report
from crossin_metrics.runs.repeats import reasons_of
from crossin_metrics.runs.run import read_predictions
from crossin_metrics.scores.causes.disagreements import reason_shares
from tests.helpers.report_files import answers_of, text_of, write_run

PAYLOADS = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    "\"><svg onload=document.title='owned'>",
    "<!-- <script> {{ 7*7 }} {% raw %}",
)


class Tags(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page_of(folder: Path, **options: Any) -> str:
    return text_of(build_report([folder], Options(n_resamples=200, **{"plots": False, **options})), "index.html")


def data_of(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    loaded = json.loads(match[1])
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_models_and_data_say_is_text(tmp_path: Path, payload: str) -> None:
    pattern = payload.replace("{", "{{").replace("}", "}}")
    inner = write_run(
        tmp_path,
        *answers_of(0.5, n=12),
        formulation="gen",
        question=pattern,
        option=pattern,
        words=pattern,
    )
    (results,) = inner.glob("results_*.json")
    content = json.loads(results.read_text(encoding="utf-8"))
    content["model_name"] = payload.replace("/", "\u2215")  # a slash would make it a path
    content["configs"]["crossin_mini"]["metadata"]["signature"] += payload.replace("|", "")
    results.write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "samples_x_2026-11-22T02-25-02.946254.jsonl").write_text(f"{payload}\n", encoding="utf-8")
    page = page_of(tmp_path, title=payload, plots=True)
    tags = Tags()
    tags.feed(page)
    names = [tag for tag, _ in tags.found]
    assert names.count("script") == 2
    assert "img" not in names
    assert not [key for _, attributes in tags.found for key in attributes if key.startswith("on")]
    assert "49" not in re.findall(r"<!-- <script> (\S+)", page)  # the template engine did not see it
    data = data_of(page)
    (made,) = data["sets"]
    texts = next(iter(made["texts"].values()))
    assert texts["en"]["q"] == payload  # and it is there, whole
    assert payload in made["responses"]["0"]["p1"].values()


def test_json_inside_a_script_cannot_end_it() -> None:
    hostile = {"a": "</script><!--", "b": "\u2028&"}
    text = embedded_json(hostile)
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text) == hostile
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded_json(float("nan"))


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5, n=12))
    page = page_of(tmp_path, plots=True)
    tags = Tags()
    tags.feed(page)
    for tag, attributes in tags.found:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form") or (
            tag == "form" and "action" not in attributes
        )
        for name in ("src", "href", "xlink:href", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, name, value[:60])
    assert not re.findall(r"url\((?!#)", page)
    assert "@import" not in page
    policy = next(a["content"] for t, a in tags.found if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_tables_have_their_semantics(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5, n=12))
    page = page_of(tmp_path)
    tags = Tags()
    tags.feed(page)
    heads = [attributes for tag, attributes in tags.found if tag == "th"]
    assert heads
    assert all(attributes.get("scope") in ("col", "row", "colgroup") for attributes in heads)
    assert '<html lang="en">' in page
    controls = [attributes for tag, attributes in tags.found if tag in ("select", "input")]
    assert len(re.findall(r"<label>[^<]*<(?:select|input)", page)) == len(controls)


def test_questions_are_capped_and_the_page_says_so(tmp_path: Path) -> None:
    answers, gold = answers_of(0.5, n=60)
    answers[40] = [0, 1, 2, 3]  # they disagree most here
    write_run(tmp_path, answers, gold, question="Q {id} " + "long " * 1000)
    data = data_of(page_of(tmp_path, max_questions=10))
    (made,) = data["sets"]
    assert made["all"] == 60
    assert len(made["ids"]) == 10
    assert "q0040" in made["ids"]
    assert len(made["answers"]["0"]["p1"]) == 10 * 4
    position = made["ids"].index("q0040")
    assert made["answers"]["0"]["p1"][position * 4 : position * 4 + 4] == "0123"
    longest = max(len(text["q"]) for texts in made["texts"].values() for text in texts.values())
    assert longest == LONGEST["question"]
    report = build_report([tmp_path], Options(n_resamples=200, plots=False, max_bytes=20_000))
    page = text_of(report, "index.html")
    held = sum(len(json.dumps(texts).encode()) for texts in data_of(page)["sets"][0]["texts"].values())
    assert 0 < held < 25_000
    assert any("0.02 MB of texts at most" in note for note in report.notes)
    assert "0.02 MB of texts at most" in page


def test_texts_of_a_parallel_set_beside_a_table(shared: Path) -> None:
    golden = shared / "data/golden/predictions_cross_mmlu.jsonl.gz"
    texts = read_question_texts([str(shared / "data/seaeval/cross_mmlu.jsonl")])
    assert set(texts) == {"cross_mmlu"}
    report = build_report(
        [golden], Options(n_resamples=200, plots=False, questions=(str(shared / "data/seaeval/cross_mmlu.jsonl"),))
    )
    page = text_of(report, "index.html")
    (made,) = data_of(page)["sets"]
    assert len(made["texts"]) == 150
    assert set(made["texts"]["test_1"]) == set(made["langs"])


def test_folder_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    write_report(out, {"index.html": "one", "figures/a.svg": "x"})
    write_report(out, {"index.html": "two"})
    assert (out / "index.html").read_text(encoding="utf-8") == "two"
    assert not (out / "figures").exists()

    whole = os.replace
    for good in (0, 1):  # moves that work before one fails: the old report aside, the new one into its place
        moves: list[Path] = []

        def full(source: Path, target: Path, good: int = good, moves: list[Path] = moves) -> None:
            if len(moves) == good:
                moves.append(source)
                raise OSError(28, "No space left on device")
            moves.append(source)
            whole(source, target)

        with monkeypatch.context() as patch:
            patch.setattr("os.replace", full)
            with pytest.raises(CrossinError, match="No space left"):
                write_report(out, {"index.html": "three"})
        assert (out / "index.html").read_text(encoding="utf-8") == "two"
        assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_places_that_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(CrossinError, match="not a folder"):
        check_target(file)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(CrossinError, match="not a folder"):
        check_target(link)
    with pytest.raises(CrossinError, match="no report of crossin"):
        check_target(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    check_target(empty)
    check_target(tmp_path / "new")


def test_baselines_stand_in_the_foot_and_the_answer_first(tmp_path: Path) -> None:
    answers, gold = answers_of(0.9)
    write_run(tmp_path, answers, gold, model="org/good")
    write_run(tmp_path, answers * 0, gold, model="org/always_a")
    page = page_of(tmp_path)
    board = page[page.index('id="board"') : page.index('id="tables"')]
    models, feet = board.split("<tfoot>")
    assert "Baseline:" not in models
    assert feet.count("Baseline:") == 2
    assert page.index("org/good is best on crossin_mini") < page.index('id="leaderboard"')
    row = next(row for row in models.split("</tr>") if "always_a" in row)
    assert "no better than" in row
    assert "best" not in row.replace("the best letter", "")


def test_probabilities_of_options(tmp_path: Path) -> None:
    write_run(tmp_path, *answers_of(0.5, n=12))
    (made,) = data_of(page_of(tmp_path))["sets"]
    digits = made["chances"]["0"]["p1"]
    shares = [int(digits[i : i + 2]) for i in range(0, len(digits), 2)]
    assert len(shares) == 12 * 4 * made["options"]
    picked = made["answers"]["0"]["p1"]
    assert [max(range(4), key=shares[4 * i : 4 * i + 4].__getitem__) for i in range(48)] == [int(one) for one in picked]
    assert 98 <= sum(shares[:4]) <= 102


def test_a_row_that_is_no_number_has_no_probabilities(tmp_path: Path) -> None:
    answers, gold = answers_of(0.5, n=12)
    folder = write_run(tmp_path, answers, gold)
    (log,) = folder.glob("samples_*.jsonl")
    first, *others = log.read_text("utf-8").splitlines()
    row = json.loads(first)
    row["filtered_resps"][0][0] = row["resps"][0][0][0] = "nan"
    log.write_text("\n".join([json.dumps(row), *others]), "utf-8")
    (made,) = data_of(page_of(tmp_path))["sets"]
    digits, picked = made["chances"]["0"]["p1"], made["answers"]["0"]["p1"]
    rows = [digits[i : i + 8] for i in range(0, len(digits), 8)]
    assert len(rows) == 48
    assert [row == "........" for row in rows] == [one == "." for one in picked]
    assert picked.count(".") == 1


def test_a_page_without_questions(tmp_path: Path) -> None:
    """As licensed texts may ask."""
    write_run(tmp_path, *answers_of(0.5, n=12))
    (made,) = data_of(page_of(tmp_path, max_questions=0))["sets"]
    assert (made["ids"], made["all"]) == ([], 12)


def test_reasons_of_disagreement_by_question_and_pair(tmp_path: Path) -> None:
    answers, gold = answers_of(0.5, n=30)
    again, _ = answers_of(0.5, n=30, seed=7)
    write_run(tmp_path / "1", answers, gold)
    write_run(tmp_path / "2", again, gold, prompt="p2", data="74bc95a20242")
    data = data_of(page_of(tmp_path))
    (made,) = data["sets"]
    runs = {run.prompt: run for run in read_predictions([tmp_path / "1", tmp_path / "2"])}
    expected = reasons_of(runs["p1"], list(runs.values()))
    rows = [runs["p1"].ids.index(one) for one in made["ids"]]
    codes = made["why"]["0"]["p1"]
    assert codes == "".join("." if code < 0 else str(code) for code in expected[:, rows].T.ravel())
    assert {"prompt", "ignorance"} <= {data["reasons"][int(code)] for code in codes if code != "."}
    both = [reason_shares(reasons_of(run, list(runs.values()))) for run in runs.values()]
    assert np.array(made["shares"]["0"]) == pytest.approx(np.mean(both, axis=0), abs=1e-4)
    same = [(runs["p1"].answers == runs["p2"].answers).mean()]
    assert made["floors"]["0"][0] == pytest.approx(same[0], abs=1e-4)


def test_questions_that_fail_in_one_language_only_are_marked_and_kept(tmp_path: Path) -> None:
    for number in range(12):
        answers, gold = answers_of(0.85, n=60, seed=number)
        answers[7, 2] = (gold[7] + 1) % 4
        write_run(tmp_path, answers, gold, model=f"org/m{number}")
    (made,) = data_of(page_of(tmp_path))["sets"]
    ((question, ((language, wrong, models),)),) = made["suspects"].items()
    assert made["ids"][int(question)] == read_predictions([tmp_path])[0].ids[7]
    assert (made["langs"][language], wrong) == ("vi", models)
    # It stays on a page that has room for one question only.
    (kept,) = data_of(page_of(tmp_path, max_questions=1))["sets"]
    assert list(kept["suspects"]) == ["0"]
