"""Documents: whole prompts, option orders, few-shot examples, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.documents import ordered_by_hash
from crossin_metrics.harness.prompt_words import WORDS
from crossin_metrics.harness.prompts import ENGLISH_PROMPTS, native_prompt, resolve_prompt


def _rows(task: Any) -> list[dict[str, Any]]:
    return list(task.eval_docs)


def test_rows_go_question_by_question(load_task: Any, small_set: Path) -> None:
    rows = _rows(load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh", "es"]))
    assert [(r["id"], r["language"]) for r in rows] == [(f"q{n}", c) for n in range(6) for c in ("en", "zh", "es")]
    assert [r["gold"] for r in rows] == [n % 4 for n in range(6) for _ in range(3)]


def test_whole_prompt_p1(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    english, chinese = _rows(task)[:2]
    assert english["query"] == (
        "The river Ouse floods 3 times a year.\n\nQuestion: How often does it flood? (0)\n"
        "A. 2 times\nB. never\nC. daily\nD. once\nAnswer:"
    )
    assert chinese["query"] == (
        "乌斯河每年泛滥3次。\n\nQuestion: 它多久泛滥一次？ (0)\nA. 2次\nB. 从不\nC. 每天\nD. 一次\nAnswer:"
    )
    task.build_all_requests(limit=2, rank=0, world_size=1)
    assert [i.args[1] for i in task.instances] == [" A", " B", " C", " D"] * 2


def test_whole_prompt_in_the_rows_own_language(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["zh", "es"], prompt="native")
    chinese, spanish = _rows(task)[:2]
    assert chinese["query"] == (
        "乌斯河每年泛滥3次。\n\n问题：它多久泛滥一次？ (0)\nA. 2次\nB. 从不\nC. 每天\nD. 一次\n答案："
    )
    assert spanish["query"].endswith("\nD. una vez\nRespuesta:")
    task.build_all_requests(limit=2, rank=0, world_size=1)
    # A full-width colon is followed by the letter at once, a Latin one by a space.
    assert [i.args[1] for i in task.instances] == ["A", "B", "C", "D", " A", " B", " C", " D"]


def test_cloze_lists_no_options_and_scores_their_texts(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad_cf", data_dir=str(small_set), languages=["en", "zh"])
    row = _rows(task)[0]
    assert row["query"] == "The river Ouse floods 3 times a year.\n\nQuestion: How often does it flood? (0)\nAnswer:"
    task.build_all_requests(limit=2, rank=0, world_size=1)
    assert [i.args[1] for i in task.instances][:4] == [" 2 times", " never", " daily", " once"]


def test_generation_asks_once_a_row(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad_gen", data_dir=str(small_set), languages=["en", "zh"], permute="row")
    task.build_all_requests(limit=2, rank=0, world_size=1)
    assert len(task.instances) == 2
    context, settings = task.instances[0].args
    assert context.endswith("Answer:")
    assert settings["do_sample"] is False
    row = _rows(task)[0]
    assert row["target"] == "ABCD"[row["order"].index(row["gold"])]


@pytest.mark.parametrize("name", sorted(ENGLISH_PROMPTS))
@pytest.mark.parametrize("formulation", ["letter", "cf"])
def test_prompts_are_distinct_start_with_the_passage_and_end_clean(name: str, formulation: str) -> None:
    prompt = ENGLISH_PROMPTS[name]
    text = prompt.render("PASSAGE", "QUESTION", ["one", "two"], formulation)
    assert text == text.rstrip()
    assert text.index("PASSAGE") < text.index("QUESTION")
    assert ("one" in text) == (formulation == "letter")
    assert not text.endswith(("(", "["))
    same_passage = prompt.render("PASSAGE", "OTHER", ["three", "four"], formulation)
    shared_part = len("PASSAGE") + text.index("PASSAGE")
    assert text[:shared_part] == same_passage[:shared_part]
    others = {p.render("PASSAGE", "QUESTION", ["one", "two"], formulation) for p in ENGLISH_PROMPTS.values()}
    assert len(others) == len(ENGLISH_PROMPTS)


def test_native_prompts_cover_the_tasks_languages() -> None:
    needed = {"en", "zh", "vi", "es", "id", "ms", "fil", "ar", "de", "el", "hi", "ro", "ru", "th", "tr"}
    assert needed <= set(WORDS)
    assert native_prompt("en").render("P", "Q", ["a"], "gen") == ENGLISH_PROMPTS["p1"].render("P", "Q", ["a"], "gen")
    rendered = {code: native_prompt(code).render(None, "Q", ["a", "b"], "letter") for code in WORDS}
    assert len(set(rendered.values())) >= len(WORDS) - 10  # such as Croatian and Bosnian share words


def test_braces_in_the_data_are_not_placeholders() -> None:
    text = ENGLISH_PROMPTS["p1"].render("{question}", "{option} {letter}", ["{context}", "{0.__class__}"], "letter")
    assert text == "{question}\n\nQuestion: {option} {letter}\nA. {context}\nB. {0.__class__}\nAnswer:"


def test_a_users_prompt_file(load_task: Any, small_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        'one:\n  context: "T: {context}\\n"\n  question: "Q: {question}\\n"\n  option: "({letter}) {option}\\n"\n'
        "  cue: 'Pick:'\ntwo:\n  cue: 'X:'\n  languages:\n    zh: {cue: '选：', space: ''}\n    en: {}\n",
        encoding="utf-8",
    )
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"], prompt=f"{path}#one")
    assert _rows(task)[0]["query"].startswith("T: The river Ouse floods 3 times a year.\nQ: How often")
    assert "|prompt:one@" in task.signature()
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"], prompt=f"{path}#two")
    assert [r["query"][-2:] for r in _rows(task)[:2]] == ["X:", "选："]
    with pytest.raises(CrossinError, match="no wording in 'es'"):
        load_task("cross_xquad", data_dir=str(small_set), languages=["en", "es"], prompt=f"{path}#two")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one: {quesion: 'x'}", "unknown piece 'quesion'"),
        ("one: {question: 'no placeholder'}", "must contain {question}"),
        (r"one: {cue: 'x\n'}", "use double quotes for a new line"),
        ("one: {cue: 3}", "must be text, not int"),
        ("just text", "must map prompt ids to pieces"),
        ("a: {}\nb: {}", "no prompt ''; found a, b"),
        ("a: [", "cannot read the prompt file"),
    ],
)
def test_broken_prompt_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CrossinError) as caught:
        resolve_prompt(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_permutations(load_task: Any, small_set: Path) -> None:
    arguments = {"data_dir": str(small_set), "languages": ["en", "zh", "es"]}
    plain = _rows(load_task("cross_xquad", **arguments))
    same = _rows(load_task("cross_xquad", permute="question", **arguments))
    own = _rows(load_task("cross_xquad", permute="row", **arguments))
    other = _rows(load_task("cross_xquad", permute="question", permute_seed=1, **arguments))
    for rows in (same, own, other):
        for row, before in zip(rows, plain, strict=True):
            assert sorted(row["order"]) == [0, 1, 2, 3]
            assert row["options"] == [before["options"][option] for option in row["order"]]
            assert row["options"][row["target"]] == before["options"][before["gold"]]
            assert row["gold"] == before["gold"]
    assert all(len({tuple(r["order"]) for r in same[q : q + 3]}) == 1 for q in range(0, 18, 3))
    assert any(len({tuple(r["order"]) for r in own[q : q + 3]}) > 1 for q in range(0, 18, 3))
    assert [r["order"] for r in same] != [r["order"] for r in other]
    again = _rows(load_task("cross_xquad", permute="question", **arguments))
    assert [r["order"] for r in same] == [r["order"] for r in again]


def test_hash_orders_are_uniform() -> None:
    counts = Counter(tuple(ordered_by_hash(range(3), f"0{n}")) for n in range(6000))
    assert len(counts) == 6
    assert all(abs(count - 1000) < 150 for count in counts.values())  # five standard deviations


def test_few_shot_examples_are_parallel_and_never_leak(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh", "es"])
    task.set_config(key="num_fewshot", value=3)
    task.set_fewshot_seed(1234)
    rows = _rows(task)
    for row in rows:
        examples = task.sampler.sample(3, eval_doc=row)
        assert [e["language"] for e in examples] == [row["language"]] * 3
        assert row["id"] not in [e["id"] for e in examples]
        assert row["group"] not in [e["group"] for e in examples]
    by_question: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        ids = tuple(e["id"] for e in task.sampler.sample(3, eval_doc=row))
        by_question.setdefault(row["id"], set()).add(ids)
    assert all(len(ids) == 1 for ids in by_question.values())  # the same questions in every language
    assert rows[0]["group"] == rows[3]["group"] != rows[6]["group"]  # questions 0 and 1 share a passage
    context = task.fewshot_context(rows[1], 2)
    example = task.sampler.sample(2, eval_doc=rows[1])[0]
    assert context.startswith(f"{example['query']} {'ABCD'[example['target']]}\n\n")
    assert rows[1]["query"] == context[-len(rows[1]["query"]) :]


def test_few_shot_seed_changes_the_questions(load_task: Any, small_set: Path) -> None:
    task = load_task("cross_xquad", data_dir=str(small_set), languages=["en"])
    row = _rows(task)[5]
    drawn = set()
    for seed in range(12):
        task.sampler.set_rnd(seed)
        drawn.add(tuple(e["id"] for e in task.sampler.sample(2, eval_doc=row)))
    assert len(drawn) > 3
    with pytest.raises(CrossinError, match="num_fewshot is 6, but only 5 questions are on other passages than q5"):
        task.sampler.sample(6, eval_doc=row)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"prompt": "p9"}, "unknown prompt 'p9'; known: p1, p2, p3, p4, p5, native"),
        ({"promt": "p2"}, "unknown metadata key 'promt'; did you mean 'prompt'?"),
        ({"languages": ["en", "xx"]}, "unknown language 'xx'"),
        ({"languages": ["en", "English"]}, "duplicate language en"),
        ({"languages": ["en", "de"]}, "de"),
        ({"permute": "yes"}, "permute must be one of none, question, row, not 'yes'"),
        ({"permute_seed": 1.5}, "permute_seed must be a whole number"),
        ({"bootstrap": -1}, "bootstrap must be a whole number"),
        ({"unanswered": "random"}, "unanswered is for _gen tasks only"),
        ({"data_dir": "/no/such/place"}, "no such folder: /no/such/place"),
        ({"articles": "test"}, "no option 'articles'; only cross_xquad_spans has"),
    ],
)
def test_bad_options(load_task: Any, small_set: Path, metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossinError) as caught:
        load_task("cross_xquad", **{"data_dir": str(small_set), "languages": ["en", "zh"], **metadata})
    assert message in str(caught.value)


def test_model_arguments_are_no_options(load_task: Any, small_set: Path) -> None:
    # The harness merges --model_args into the metadata; a model's revision or seed must not reach the data.
    arguments = {"pretrained": "m", "revision": "abc", "seed": 7, "dtype": "float32", "max_length": 5}
    options = load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"], **arguments).options
    assert (options.data_revision, options.score_seed) == (None, 0)


def test_a_broken_set_is_named(load_task: Any, small_set: Path) -> None:
    path = small_set / "cross_xquad.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[2]["zh"]["answer"] = "别的"
    path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    with pytest.raises(CrossinError) as caught:
        load_task("cross_xquad", data_dir=str(small_set), languages=["en", "zh"])
    for part in ("cross_xquad.jsonl", "q2", "zh", "别的"):
        assert part in str(caught.value)
