"""The harness's own parallel benchmarks as one set each: XCOPA on its real files, the others on files of that shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.languages import LANGUAGES
from crossin_metrics.sets.catalogue import SETS
from crossin_metrics.sets.harness_sets import BENCHMARKS, harness_configs, harness_tasks
from crossin_metrics.sets.loading import data_files, load_parallel

Row = dict[str, Any]


def belebele(n: int, code: str) -> Row:
    answers = {f"mc_answer{i}": f"{code} answer {i}" for i in range(1, 5)}
    row = {
        "link": f"url{n // 2}",
        "question_number": n,
        "flores_passage": f"{code} text {n // 2}",
        "question": f"{code}?",
    }
    return row | answers | {"correct_answer_num": str(n % 4 + 1)}


def global_mmlu(n: int, code: str) -> Row:
    row = {
        "sample_id": f"law/test/{n}",
        "subject": "law" if n else "art",
        "question": f"{code} {n}?",
        "answer": "ABCD"[n],
    }
    return row | {f"option_{letter}": f"{code} {letter}" for letter in "abcd"}


def mmlu_prox(n: int, code: str) -> Row:
    options = {f"option_{i}": f"{code} {i}" if i < 4 + n else None for i in range(10)}
    return {"question_id": n, "category": "law", "question": f"{code} {n}?", "answer": "ABCD"[n]} | options


def xcopa(n: int, code: str) -> Row:
    row = {"premise": f"The {code} {n} fell.", "choice1": "It broke.", "choice2": "It flew."}
    return row | {"idx": n, "question": "effect" if n else "cause", "label": n % 2}


def xstorycloze(n: int, code: str) -> Row:
    row = {"story_id": f"s{n}", "sentence_quiz1": f"{code} end.", "sentence_quiz2": f"{code} other end."}
    return row | {f"input_sentence_{i}": f"{code} {i}." for i in range(1, 5)} | {"answer_right_ending": n % 2 + 1}


def sib200(n: int, code: str) -> Row:
    return {"index_id": n, "category": ["travel", "health", "sports"][n], "text": f"{code} text {n}"}


ROWS: dict[str, Callable[[int, str], Row]] = {
    "cross_belebele": belebele,
    "cross_global_mmlu": global_mmlu,
    "cross_global_mmlu_full": global_mmlu,
    "cross_mmlu_prox": mmlu_prox,
    "cross_mmlu_prox_lite": mmlu_prox,
    "cross_xcopa": xcopa,
    "cross_xstorycloze": xstorycloze,
    "cross_sib200": sib200,
}
FIRST = {  # question, options, gold and group of the second question in Chinese
    "cross_belebele": ("zh?", 4, "zh answer 2", "url0"),
    "cross_global_mmlu": ("zh 1?", 4, "zh b", "law"),
    "cross_global_mmlu_full": ("zh 1?", 4, "zh b", "law"),
    "cross_mmlu_prox": ("zh 1?", 5, "zh 1", "law"),
    "cross_mmlu_prox_lite": ("zh 1?", 5, "zh 1", "law"),
    "cross_xcopa": ("The zh 1 fell 所以 ____", 2, "it flew.", "effect"),
    "cross_xstorycloze": ("zh 1. zh 2. zh 3. zh 4. ____", 2, "zh other end.", "s1"),
    "cross_sib200": ("What category does the text belong to?", 7, "health", "health"),
}


def write(folder: Path, name: str, languages: list[str], spoil: Callable[[str, list[Row]], None] | None = None) -> Path:
    configs = harness_configs(BENCHMARKS[name].files)
    for code in languages:
        place = configs.get(code) or {"split": "test", "dataset_name": LANGUAGES[code].flores}
        rows = [ROWS[name](n, code) for n in range(3)]
        if spoil is not None:
            spoil(code, rows)
        path = folder / name.removeprefix("cross_") / f"{place['split']}.{place['dataset_name']}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ROWS)
def test_files_of_the_same_shape_are_joined(tmp_path: Path, name: str) -> None:
    other = "en" if "en" in SETS[name].languages else "vi"
    folder = write(tmp_path, name, [other, "zh"], lambda code, rows: rows.reverse() if code == "zh" else None)
    data = load_parallel(name, data_dir=folder, languages=[other, "zh"])
    item, gold = data.items["zh"][1], data.gold[1]
    assert (item.question, len(item.choices), item.choices[gold], data.groups[1]) == FIRST[name]
    assert (len(data), len(data_files(name, folder))) == (3, 2)
    assert (item.context is not None) == bool(SETS[name].passages)
    assert data.source == f"file:{name.removeprefix('cross_')}"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_languages_and_columns_are_those_of_the_installed_harness(name: str) -> None:
    benchmark, languages = BENCHMARKS[name], SETS[name].languages
    configs = harness_configs(benchmark.files)
    known = {code for code in configs if code in LANGUAGES}
    assert known <= set(languages) if name == "cross_sib200" else known == set(languages)
    folder = harness_tasks() / benchmark.files.partition("/")[0]
    paths = [*sorted(folder.rglob("*.yaml"))[:30], *folder.rglob("*template_yaml"), *folder.rglob("utils.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*paths, *folder.glob("prompt_1/sib")])
    assert [column for column in benchmark.columns if column not in text] == []


def test_a_question_that_a_language_lacks_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path, "cross_xcopa", ["vi", "zh"], lambda code, rows: rows.pop() if code == "zh" else None)
    assert load_parallel("cross_xcopa", data_dir=folder, languages=["vi", "zh"]).ids == ("0", "1")
    assert "cross_xcopa: 1 questions are not in all of vi, zh" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda rows: rows[1].update(label=0),
            r"test.zh.jsonl, line 2, id 1, language zh: option 0 of 2 .* but 1 of 2 in",
        ),
        (lambda rows: rows[1].update(label=2), r"line 2, id 1: gold option 2 \(from 0\) of 2"),
        (lambda rows: rows[1].update(idx=0), r"line 2, id 0: duplicate id, first at .*line 1"),
        (lambda rows: rows[1].update(choice1=" "), r"line 2, id 1: an empty question or option"),
        (lambda rows: rows[1].pop("premise"), r"line 2: not a row of xcopa \(KeyError: 'premise'\)"),
        (lambda rows: rows[1].pop("idx"), r"line 2: the document has no field 'idx'"),
    ],
)
def test_bad_rows(tmp_path: Path, spoil: Callable[[list[Row]], None], message: str) -> None:
    folder = write(tmp_path, "cross_xcopa", ["vi", "zh"], lambda code, rows: spoil(rows) if code == "zh" else None)
    with pytest.raises(CrossinError, match=message) as error:
        load_parallel("cross_xcopa", data_dir=folder, languages=["vi", "zh"])
    assert len(str(error.value)) < 500


def test_missing_files_and_languages(tmp_path: Path) -> None:
    folder = write(tmp_path, "cross_xcopa", ["vi"])
    with pytest.raises(
        CrossinError, match=r"no test.zh.jsonl of cross_xcopa in it or in xcopa/; save the split test of"
    ):
        load_parallel("cross_xcopa", data_dir=folder, languages=["vi", "zh"])
    with pytest.raises(CrossinError, match="cross_xcopa has no language en; it has et, ht"):
        load_parallel("cross_xcopa", data_dir=folder, languages=["en"])


def test_accuracy_on_xcopa_is_that_of_the_harness(shared: Path, tmp_path: Path) -> None:
    """Every request of the real test files, and so the accuracy, for a stand-in model that hashes what it is asked."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Hashing(LM):
        def __init__(self) -> None:
            super().__init__()
            self.asked: set[tuple[str, str]] = set()

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            pairs = [request.args for request in requests]
            self.asked |= set(pairs)
            return [(-int(hashlib.sha256("".join(pair).encode()).hexdigest()[:6], 16) / 1e6, False) for pair in pairs]

        def loglikelihood_rolling(self, requests: Any) -> Any:
            raise NotImplementedError

        def generate_until(self, requests: Any) -> Any:
            raise NotImplementedError

    languages, folder = ["vi", "zh"], shared / "data" / "xcopa"
    theirs, ours = Hashing(), Hashing()
    for code in languages:  # the harness's own task, with a local file instead of the hub
        local = {"dataset_path": "json", "dataset_name": None, "validation_split": None}
        local["dataset_kwargs"] = {"data_files": {"test": str(folder / f"test.{code}.jsonl")}}
        local |= {"task": f"xcopa_{code}", "include": str(harness_tasks() / "xcopa" / f"default_{code}.yaml")}
        (tmp_path / f"xcopa_{code}.yaml").write_text(json.dumps(local), encoding="utf-8")
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    names = [f"xcopa_{code}" for code in languages]
    wanted = simple_evaluate(model=theirs, tasks=names, task_manager=manager, log_samples=False)["results"]
    manager = TaskManager(
        include_path=str(Path(__file__).resolve().parents[2] / "lm_eval_tasks"),
        include_defaults=False,
        metadata={"languages": languages, "data_dir": str(folder.parent), "bootstrap": 0},
    )
    found = simple_evaluate(model=ours, tasks=["cross_xcopa_cf"], task_manager=manager, log_samples=False)["results"]
    assert len(theirs.asked) == 2000
    assert ours.asked == theirs.asked
    for code in languages:
        assert found["cross_xcopa_cf"][f"acc_{code},none"] == wanted[f"xcopa_{code}"]["acc,none"]
