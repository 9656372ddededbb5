"""`_gen` tasks: an always-right model in twelve languages, models that think, cut outputs, repeats, signatures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from crossin_metrics.answers.generated import Generated
from crossin_metrics.answers.outputs import majority, opening_mark
from crossin_metrics.errors import CrossinError
from crossin_metrics.harness.generation import PRESETS, generation_kwargs, generation_signature, instruct_model
from crossin_metrics.harness.options import TaskOptions
from crossin_metrics.harness.outputs import Budget, read_row

XQUAD = ["en", "zh", "vi", "es", "ar", "de", "el", "hi", "ro", "ru", "th", "tr"]
CASES = Path(__file__).parents[1] / "answers" / "cases" / "announcements.jsonl"
THOUGHT = "The first option fits, so the answer is A. No: "


def phrases() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found.setdefault(case["language"], []).append(case["text"])
    return found


class Scripted(LM):
    """Answers a document by a function of it; the harness hands over each request's document."""

    def __init__(self, answer: Callable[[dict[str, Any], int], str]) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        self.asked += [request.args[1] for request in requests]
        return [self.answer(request.doc, number) for number, request in enumerate(requests)]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
        raise AssertionError("not asked for")

    loglikelihood_rolling = loglikelihood


class Thinker(Scripted):
    """A chat model whose template opens the thought."""

    chat_template_args: dict[str, Any] | None = None
    tokenizer_name = "thinker"

    def apply_chat_template(self, history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return "".join(f"[{turn['role']}]{turn['content']}" for turn in history) + "[assistant]\n<think>\n"

    def chat_template(self, chat_template: bool | str = False) -> str:
        return "thinker"


def evaluate(
    model: LM, repo: Path, task: str = "crossin_mini_gen", chat: bool = False, limit: int | None = 8, **metadata: Any
) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Scores without the filter's name, the sample log, and the signature."""
    gen_kwargs = metadata.pop("gen_kwargs", None)
    manager = TaskManager(include_path=str(repo / "lm_eval_tasks"), include_defaults=False, metadata=metadata)
    found = simple_evaluate(
        model=model, tasks=[task], task_manager=manager, limit=limit, apply_chat_template=chat, bootstrap_iters=0,
        gen_kwargs=gen_kwargs,
    )  # fmt: skip
    scores = {key.removesuffix(",none"): value for key, value in found["results"][task].items()}
    return scores, found["samples"][task], found["configs"][task]["metadata"]["signature"]


def letter(doc: dict[str, Any]) -> str:
    return "ABCD"[doc["order"].index(doc["gold"])]


# --- always right ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("phrase", range(5))
@pytest.mark.parametrize("prompt", ["p1", "p2", "p3", "p4", "p5", "native"])
def test_an_always_right_model_is_consistent_in_twelve_languages(
    repo: Path, shared: Path, prompt: str, phrase: int
) -> None:
    texts = phrases()

    def answer(doc: dict[str, Any], number: int) -> str:
        said = texts[doc["language"]][phrase]
        return said.format(letter=letter(doc), option=doc["options"][doc["order"].index(doc["gold"])])

    scores, samples, _ = evaluate(
        Scripted(answer), repo, "cross_xquad_spans_gen", limit=1200, prompt=prompt, languages=XQUAD, bootstrap=0,
        data_dir=str(shared / "data" / "xquad"),
    )  # fmt: skip
    wrong = [(row["doc"]["language"], row["resps"]) for row in samples if not row["acc"]]
    assert not wrong[:5]
    assert (scores["acc"], scores["consistency"], scores["n_unanswered"]) == (1.0, 1.0, 0)
    assert scores["n_questions"] == 100


# --- thoughts and cuts -----------------------------------------------------------------------------------------------


def right(doc: dict[str, Any], number: int) -> str:
    return f"The answer is {letter(doc)}."


def test_a_thought_that_the_template_opens_is_set_aside(repo: Path) -> None:
    model = Thinker(lambda doc, number: f"{THOUGHT}</think>\n\n{right(doc, number)}")
    scores, samples, _ = evaluate(model, repo, chat=True, preset="thinking")
    assert (scores["acc"], scores["n_unanswered"], scores["n_cut"]) == (1.0, 0, 0)
    assert scores["thought_en"] == scores["thought"] == len("<think>" + THOUGHT + "</think>")
    assert {row["rule"] for row in samples} == {"announced"}
    assert all(not request["until"] and request["max_gen_toks"] == 8192 for request in model.asked)


def test_a_cut_thought_is_counted_per_language_and_not_read(repo: Path) -> None:
    def answer(doc: dict[str, Any], number: int) -> str:
        return THOUGHT if doc["language"] == "zh" else f"{THOUGHT}</think>{right(doc, number)}"

    scores, samples, _ = evaluate(Thinker(answer), repo, chat=True, preset="thinking")
    n_zh = sum(row["doc"]["language"] == "zh" for row in samples)
    assert scores["n_cut"] == scores["n_cut_zh"] == scores["n_unanswered_zh"] == n_zh > 0
    assert scores["n_cut_en"] == scores["n_unanswered_en"] == 0
    assert {row["rule"] for row in samples if row["doc"]["language"] == "zh"} == {"cut"}


DOC = {"options": ["the Nile", "the Amazon", "the Yangtze", "the Volga"], "language": "en"}
PLAIN = TaskOptions.from_metadata("t_gen", {"set": "x", "formulation": "gen"})
THINKING = TaskOptions.from_metadata("t_gen", {"set": "x", "formulation": "gen", "preset": "thinking"})
STRIPPED = TaskOptions.from_metadata("t_gen", {"set": "x", "formulation": "gen", "think_end_token": "</think>"})
WORDS = Budget(20, lambda text: len(text.split()))


@pytest.mark.parametrize(
    ("text", "options", "opened", "expected"),
    [
        ("B", PLAIN, "", (1, "whole", "stop")),
        ("The river is long " * 5, PLAIN, "", (None, "cut", "length")),
        ("The answer is B. " + "It is long. " * 7, PLAIN, "", (1, "announced", "length")),  # read before the cut
        ("It is long. " * 7 + "\n\nA", PLAIN, "", (None, "cut", "length")),
        ("It is long.\n\nA", PLAIN, "", (0, "last_line", "stop")),
        ("The river is long.", PLAIN, "", (None, "", "stop")),
        ("So the answer is A. But wait " * 3, THINKING, "", (None, "cut", "length")),  # a thought without any mark
        ("The answer is B.", THINKING, "", (1, "announced", "stop")),  # it did not think
        ("So A. </think> B", THINKING, "<think>", (1, "whole", "stop")),
        ("So A. </think> The answer is B. " + "It is long. " * 7, THINKING, "<think>", (1, "announced", "length")),
        ("The answer is B.", STRIPPED, "<think>", (1, "announced", "stop")),  # the harness took the thought away
        ("So the answer is A. But wait " * 3, STRIPPED, "<think>", (None, "cut", "length")),
        (Generated("B", "stop", "so A"), THINKING, "", (1, "whole", "stop")),
        (Generated("", "length", "so A"), THINKING, "", (None, "cut", "length")),
        (Generated("So the answer is A.", "length"), THINKING, "", (None, "cut", "length")),
    ],
)
def test_what_counts_as_cut(text: str, options: TaskOptions, opened: str, expected: tuple[Any, ...]) -> None:
    reading, finish = read_row(text, DOC, options, WORDS, opened)
    assert (reading.answer, reading.rule, finish) == expected


def test_the_mark_that_a_prompt_ends_with() -> None:
    assert opening_mark("[assistant]\n<think>\n") == "<think>"
    assert opening_mark("[assistant]<think>\n\n</think>\n\n") == ""
    assert opening_mark("Answer: <plan>", [("<plan>", "</plan>")]) == "<plan>"
    assert opening_mark(["no", "text"]) == ""


def test_marks_of_the_users_own_reach_the_reader(repo: Path) -> None:
    model = Scripted(lambda doc, number: f"<plan>{THOUGHT}</plan> {letter(doc)}")
    scores, _, signature = evaluate(model, repo, thought_marks=[["<plan>", "</plan>"]])
    assert scores["acc"] == 1.0
    assert "thought_marks" in signature


# --- settings, signature ---------------------------------------------------------------------------------------------


def test_a_plain_run_is_greedy_with_128_tokens_and_its_signature_is_as_before(repo: Path) -> None:
    model = Scripted(right)
    _, _, signature = evaluate(model, repo)
    assert model.asked[0] == PRESETS["plain"]
    assert "generation" not in signature


@pytest.mark.parametrize(
    ("metadata", "gen_kwargs", "kwargs", "signature"),
    [
        ({}, {"max_tokens": 512}, {"max_gen_toks": 512, "do_sample": False}, "max_gen_toks=512"),
        ({}, {"temperature": 0.7}, {"temperature": 0.7, "do_sample": True}, "temperature=0.7"),
        ({}, {"until": ["|"]}, {"until": ["|"]}, 'until=["¦"]'),
        (
            {"preset": "thinking"},
            {"max_gen_toks": 4096, "until": ["\n\n"]},
            {"max_gen_toks": 4096, "until": [], "top_p": 0.95},
            "max_gen_toks=4096,temperature=0.6,top_p=0.95,until=[]",
        ),
        ({"preset": "thinking"}, {"temperature": 0}, {"do_sample": False}, "max_gen_toks=8192,until=[]"),
        (
            {"enable_thinking": True, "reasoning_effort": "low", "repeats": 3},
            {},
            {"max_gen_toks": 8192},
            "enable_thinking=true,max_gen_toks=8192,reasoning_effort=low,repeats=3,temperature=0.6,top_p=0.95,until=[]",
        ),
        ({"enable_thinking": False}, {}, {"max_gen_toks": 128}, "enable_thinking=false"),
    ],
)
def test_settings_and_their_signature(
    metadata: dict[str, Any], gen_kwargs: dict[str, Any], kwargs: dict[str, Any], signature: str
) -> None:
    options = TaskOptions.from_metadata("t_gen", {"set": "x", "formulation": "gen", **metadata})
    found = generation_kwargs(options, {**PRESETS[options.preset], **gen_kwargs})
    assert {name: found[name] for name in kwargs} == kwargs
    assert "max_tokens" not in found
    assert generation_signature(options, found) == signature
    assert generation_kwargs(options, found) == found


def test_settings_reach_the_model_and_split_the_ranking(repo: Path) -> None:
    model = Thinker(right)
    _, _, signature = evaluate(model, repo, chat=True, enable_thinking=False, gen_kwargs={"max_gen_toks": 99})
    assert model.chat_template_args == {"enable_thinking": False}
    assert model.asked[0]["max_gen_toks"] == 99
    assert "|generation:enable_thinking=false,max_gen_toks=99|" in signature


def test_a_chat_api_gets_template_arguments_with_each_request() -> None:
    class LocalChatCompletion:
        pass

    options = TaskOptions.from_metadata(
        "t_gen", {"set": "x", "formulation": "gen", "enable_thinking": False, "reasoning_effort": "high"}
    )
    assert instruct_model(options, LocalChatCompletion()) == {
        "reasoning_effort": "high",
        "chat_template_kwargs": {"enable_thinking": False},
    }
    with pytest.raises(CrossinError, match="takes no chat-template arguments"):
        instruct_model(options, object())


@pytest.mark.parametrize(
    ("task", "metadata", "message"),
    [
        ("crossin_mini_gen", {"preset": "thoughtful"}, "preset must be one of plain, thinking, not 'thoughtful'"),
        ("crossin_mini_gen", {"thought_marks": ["<plan>"]}, "must be pairs"),
        ("crossin_mini_gen", {"enable_thinking": "perhaps"}, "must be true or false"),
        ("crossin_mini_gen", {"chat_template_args": "low"}, "must be an object"),
        ("crossin_mini_gen", {"repeats": 0}, "repeats"),
        ("crossin_mini", {"repeats": 3}, "repeats is for the _gen tasks"),
        ("crossin_mini_gen", {"repeats": 3}, "repeats need sampling: add --gen_kwargs temperature=0.6"),
        ("crossin_mini_gen", {"gen_kwargs": {"max_gen_toks": 0}}, "no room for an answer"),
        ("crossin_mini", {"base_url": "http://h/v1/chat/completions"}, "use --tasks crossin_mini_gen"),
        ("crossin_mini_cf", {"base_url": "http://h/v1/chat/completions"}, "use --tasks crossin_mini_gen"),
        ("crossin_mini_gen", {"base_url": "http://h/v1/chat/completions"}, "add --apply_chat_template"),
    ],
)
def test_what_cannot_be_is_said_before_any_request(
    repo: Path, task: str, metadata: dict[str, Any], message: str
) -> None:
    model = Scripted(right)
    with pytest.raises(CrossinError, match=re.escape(message)) as caught:
        evaluate(model, repo, task, **metadata)
    assert not model.asked
    assert len(str(caught.value)) < 300


# --- repeats, languages ----------------------------------------------------------------------------------------------


def test_repeats_give_the_majority_and_self_agreement(repo: Path) -> None:
    def answer(doc: dict[str, Any], number: int) -> str:
        return "I do not know." if number % 3 == 0 else right(doc, number)

    model = Scripted(answer)
    scores, samples, signature = evaluate(model, repo, repeats=3, gen_kwargs={"temperature": 0.6})
    assert len(model.asked) == 3 * len(samples)
    assert scores["acc"] == 1.0
    assert scores["self_agreement"] == pytest.approx(1 / 3)
    assert all(row["answers"] == [None, row["doc"]["gold"], row["doc"]["gold"]] for row in samples)
    assert "repeats=3" in signature


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([1], (1, 1.0)), ([None], (None, 1.0)), ([0, 1, 1], (1, 1 / 3)), ([2, 0], (2, 0.0)), ([None, None], (None, 0.0))],
)
def test_majority(answers: list[int | None], expected: tuple[int | None, float]) -> None:
    assert majority(answers) == (expected[0], pytest.approx(expected[1]))


def test_languages_of_thought_and_answer(repo: Path) -> None:
    pytest.importorskip("lingua")
    spanish = "La respuesta correcta es {}, porque el texto lo dice con toda claridad."
    english = "Let me think about what the question asks before I choose one of the options."
    model = Scripted(lambda doc, number: f"<think>{english}</think>{spanish.format(letter(doc))}")
    scores, samples, _ = evaluate(model, repo, chat=False, detect_languages=True, preset="thinking", limit=8)
    share = sum(row["doc"]["language"] == "es" for row in samples) / len(samples)
    assert scores["answer_own_language"] == share > 0
    assert (scores["answer_own_language_es"], scores["answer_own_language_en"]) == (1.0, 0.0)
    assert (scores["thought_own_language_es"], scores["thought_own_language_en"]) == (0.0, 1.0)
    assert {(row["thought_language"], row["answer_language"]) for row in samples} == {("en", "es")}
