"""What a row becomes: frame, BOS, EOS, mask, truncation, and the same tokens as in evaluation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tokenizers import normalizers

from crossin_metrics.errors import CrossinError
from recipes.common.wording import FRAMES
from recipes.tuning.loss_masks import IGNORED, _fingerprint, load_rows, mask_rows, pad_to_multiple
from recipes.tuning.model import load_tokenizer, set_pad_token
from tests.helpers.tiny_models import MIX_ROWS, byte_tokenizer, tiny_model, write_mix

CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def rows(prompt: str, completion: str, part: str = "crossin") -> Dataset:
    return Dataset.from_list([{"prompt": prompt, "completion": completion, "part": part}])


def labelled(tokenizer: Any, data: Dataset, frame: str = "headers", **options: Any) -> list[dict[str, Any]]:
    return list(mask_rows(data, tokenizer, frame, max_length=options.pop("max_length", 500), **options)[0])


@pytest.mark.parametrize("frame", sorted(FRAMES))
@pytest.mark.parametrize(("bos", "eos"), [(True, False), (False, False), (True, True)])
def test_prompt_is_masked_and_eos_is_the_last_label(tmp_path: Path, frame: str, bos: bool, eos: bool) -> None:
    tokenizer = byte_tokenizer(tmp_path, bos=bos, eos=eos)
    (row,) = labelled(tokenizer, rows("太阳从哪边升起？ [vi]", "Hướng đông."), frame)
    trained = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert [label for label in row["labels"] if label != IGNORED] == trained
    assert trained[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(trained[:-1]) == FRAMES[frame][1] + "Hướng đông."
    assert row["input_ids"].count(tokenizer.bos_token_id) == (1 if bos else 0)
    assert row["input_ids"].count(tokenizer.eos_token_id) == 1
    assert row["length"] == len(row["input_ids"]) == len(row["labels"])


def test_the_whole_text_of_a_row(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path)
    (row,) = labelled(tokenizer, rows("¿Qué cae? [zh]", "雨。"))
    text = "<bos>### Instruction:\n¿Qué cae? [zh]\n\n### Response:\n雨。<eos>"
    assert tokenizer.decode(row["input_ids"]) == text


def test_the_models_own_chat_template_ends_with_the_turn(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path)
    tokenizer.chat_template = CHAT
    (row,) = labelled(tokenizer, rows("Hi?", "Ho."), "chat")
    assert tokenizer.decode(row["input_ids"]) == "<bos><user>Hi?<eos>\n<assistant>Ho.<eos>"
    trained = [label for label in row["labels"] if label != IGNORED]
    assert tokenizer.decode(trained) == "Ho.<eos>"


def test_no_chat_template_is_said(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="has no chat template: use frame: headers"):
        labelled(byte_tokenizer(tmp_path), rows("a", "b"), "chat")


@pytest.mark.parametrize("frame", [*sorted(FRAMES), "chat", "chat without BOS"])
def test_evaluation_shows_what_training_showed(tmp_path: Path, frame: str) -> None:
    """The saved tokenizer, through the harness's own model class, gives the prompt's tokens of training."""
    from lm_eval.models.huggingface import HFLM

    folder = tiny_model(tmp_path / "model", "llama")
    byte_tokenizer(folder, chat_template=CHAT.replace("{{ bos_token }}", "") if "without" in frame else CHAT)
    frame = frame.split()[0]
    tokenizer = load_tokenizer(str(folder), frame)
    tokenizer.save_pretrained(folder)
    harness = HFLM(pretrained=str(folder), device="cpu", batch_size=1)
    for part, _, _, prompt, completion in MIX_ROWS:
        (row,) = labelled(tokenizer, rows(prompt, completion, part), frame)
        shown = harness.tok_encode(harness.apply_chat_template([{"role": "user", "content": prompt}]))
        start = row["labels"].index(next(label for label in row["labels"] if label != IGNORED))
        assert row["input_ids"][:start] == shown
        both = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        text = tokenizer.apply_chat_template(both, tokenize=False)
        assert text.removesuffix("\n") == tokenizer.decode(row["input_ids"])
        served = tokenizer.apply_chat_template(both[:1], add_generation_prompt=True, return_dict=False)  # vLLM's, too
        assert row["input_ids"][:start] == served


PARTS = "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }}{% endfor %}<eos>{% endfor %}"
TURNS = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}<turn>\n{% endfor %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (PARTS, "the chat template does not show the prompt '.*' as it is"),
        (TURNS.replace("m['content']", "m['content'].split('|')[0]"), r"row 1: .* does not show the completion 'A \|"),
        (TURNS.replace("<turn>", "</turn>"), "ends an answer with '</turn>', which is not a token of its own"),
        (TURNS + "{{ eos_token }}{{ undefined.x }}", "chat template fails: 'undefined' is undefined"),
        ("{{ bos_token }}" * 2 + TURNS, "begins with two BOS tokens"),
        ("{{ eos_token }}" + TURNS, "writes eos_token elsewhere"),
    ],
)
def test_a_template_that_cannot_be_taught_is_refused(tmp_path: Path, template: str, message: str) -> None:
    tokenizer = byte_tokenizer(tmp_path, added=["<turn>"], chat_template=template)
    with pytest.raises(CrossinError, match=message):
        labelled(tokenizer, rows("Hi?", "A | long one"), "chat")


def test_the_end_of_a_turn_becomes_eos(tmp_path: Path) -> None:
    """A base model's EOS ends documents; a chat template's end of turn is another token, which was taught."""
    byte_tokenizer(tmp_path, added=["<turn>"], chat_template=TURNS)
    tokenizer = load_tokenizer(str(tmp_path), "chat")
    (row,) = labelled(tokenizer, rows("Hi?", "Ho."), "chat")
    assert tokenizer.decode(row["input_ids"]) == "<bos>[user]Hi?<turn>\n[assistant]Ho.<turn>"
    assert row["labels"][-1] == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids("<turn>")


def test_eos_is_added_where_a_template_ends_answers_with_nothing(tmp_path: Path) -> None:
    byte_tokenizer(tmp_path, chat_template="{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}")
    tokenizer = load_tokenizer(str(tmp_path), "chat")
    (row,) = labelled(tokenizer, rows("Hi?", "Ho."), "chat")
    assert tokenizer.decode(row["input_ids"]).endswith("[user]Hi?[assistant]Ho.<eos>")


def test_a_tokenizer_that_loses_text_is_refused(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("x", "")
    with pytest.raises(CrossinError, match=r"mix, row 1: tokenizer .* spell 'ylophone.*', not the completion 'xylo"):
        labelled(tokenizer, rows("Hi?", "xylophone"))


def test_rows_without_loss_fill_the_last_batch(tmp_path: Path) -> None:
    data, _ = mask_rows(
        Dataset.from_list(5 * [dict(rows("Hi?", "Ho.")[0])]), byte_tokenizer(tmp_path), "plain", max_length=50
    )
    filled = pad_to_multiple(data, 4, pad=0)
    assert filled.to_list() == [*data.to_list(), *3 * [{"input_ids": [0, 0], "labels": 2 * [IGNORED], "length": 2}]]
    assert pad_to_multiple(data, 5, pad=0).to_list() == data.to_list()


def test_a_template_shows_the_same_date_every_day(tmp_path: Path) -> None:
    dated = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}" + TURNS
    tokenizer = byte_tokenizer(tmp_path, added=["<turn>"], chat_template=dated)
    (row,) = labelled(tokenizer, rows("Hi?", "Ho."), "chat")
    assert tokenizer.decode(row["input_ids"]).startswith("<bos>26 Jul 2024[user]Hi?")


def test_characters_without_a_token_are_counted(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path)
    data = Dataset.from_list([*rows("Hi?", "<unk> and more"), *rows("Hi?", "Ho.")])
    _, report = mask_rows(data, tokenizer, "headers", max_length=None)
    assert report.merged_boundaries == 0
    assert "1 rows: the completion has characters that the tokenizer does not know" in report.lines()


def test_truncation_and_dropping_are_counted_per_part(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path)
    data = Dataset.from_list(
        [
            {"prompt": "p" * 10, "completion": "c" * 10, "part": "base"},  # fits
            {"prompt": "p" * 10, "completion": "c" * 90, "part": "crossin"},  # completion too long
            {"prompt": "p" * 90, "completion": "c" * 10, "part": "trans"},  # prompt alone too long
            {"prompt": "p" * 10, "completion": "c" * 10, "part": "trans"},
        ]
    )
    kept, report = mask_rows(data, tokenizer, "plain", max_length=50)
    assert {name: (p.rows, p.kept, p.truncated, p.dropped) for name, p in report.parts.items()} == {
        "base": (1, 1, 0, 0),
        "crossin": (1, 1, 1, 0),
        "trans": (2, 1, 0, 1),
    }
    assert kept["length"] == [24, 50, 24]  # BOS, 10, two line breaks, 10, EOS
    assert report.parts["crossin"].longest == 104
    assert report.parts["crossin"].tokens == 50
    assert report.parts["crossin"].label_tokens == sum(label != IGNORED for label in kept[1]["labels"]) == 37
    assert [row["labels"][-1] == tokenizer.eos_token_id for row in kept] == [True, False, True]
    kept, report = mask_rows(data, tokenizer, "plain", max_length=50, long_rows="drop")
    assert kept["length"] == [24, 24]
    assert mask_rows(data, tokenizer, "plain", max_length=24, long_rows="drop")[0]["length"] == [24, 24]
    assert report.parts["crossin"].dropped == 1


def test_a_row_is_truncated_only_where_something_is_left(tmp_path: Path) -> None:
    """`plain` puts BOS, the prompt and two line breaks first: 13 tokens; with a completion of 10 and EOS 24."""
    data = rows("p" * 10, "c" * 10)
    for limit, counts in ((24, (1, 0, 0, 11)), (23, (1, 1, 0, 10)), (14, (1, 1, 0, 1))):
        part = mask_rows(data, byte_tokenizer(tmp_path), "plain", max_length=limit)[1].parts["crossin"]
        assert (part.kept, part.truncated, part.dropped, part.label_tokens) == counts
    with pytest.raises(CrossinError, match="exceed max_length 13"):  # it would have no label
        mask_rows(data, byte_tokenizer(tmp_path), "plain", max_length=13)


@pytest.mark.parametrize(("bos", "eos"), [(True, False), (False, False), (True, True)])
def test_plain_text_has_one_bos_and_one_eos_whatever_the_tokenizer_adds(tmp_path: Path, bos: bool, eos: bool) -> None:
    tokenizer = byte_tokenizer(tmp_path, bos=bos, eos=eos)
    texts = ("Ho.", "Ho.<eos>", "<unk> and more")
    data = Dataset.from_list([dict(rows("", text, "pretrain")[0]) for text in texts])
    masked, report = mask_rows(data, tokenizer, "headers", max_length=None)
    assert [tokenizer.decode(ids) for ids in masked["input_ids"][:2]] == 2 * ["<bos>Ho.<eos>"]
    assert masked[0]["labels"] == [IGNORED, *masked[0]["input_ids"][1:]]
    assert report.unknown == 1


def test_labels_without_loss_are_those_that_torch_leaves_out() -> None:
    from torch.nn import CrossEntropyLoss

    assert CrossEntropyLoss().ignore_index == IGNORED


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="exceed max_length 50"):
        mask_rows(rows("p" * 90, "c"), byte_tokenizer(tmp_path), "plain", max_length=50)


def test_pad_is_never_eos(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(tmp_path, pad=None)
    assert tokenizer.pad_token is None
    set_pad_token(tokenizer)
    assert tokenizer.pad_token == "<pad>"
    tokenizer.pad_token = tokenizer.eos_token
    set_pad_token(tokenizer)
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_a_real_tokenizer_has_one_bos() -> None:
    """Gemma's, where its checkpoint was already made: it puts BOS by itself."""
    from crossin_metrics.demo_model import demo_model

    root = Path.home() / ".cache" / "crossin" / "gemma-3-270m"
    if not (root / "tokenizer.json").is_file():
        pytest.skip("the small real model was not made yet: crossin demo-model")
    tokenizer = load_tokenizer(str(demo_model()), "headers")
    (row,) = labelled(tokenizer, rows("水为什么会结冰？", "Porque se enfría."))
    assert row["input_ids"].count(tokenizer.bos_token_id) == 1
    assert row["labels"][-1] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        ([{"prompt": "a", "part": "base"}], "column 'completion' is missing"),
        ([{"prompt": "a", "completion": "b"}], "column 'part' is missing"),
        (
            [{"prompt": "a", "completion": " ", "part": "base", "source": "set", "source_id": "7"}],
            r"row 1 \(set 7\): completion is empty",
        ),
    ],
)
def test_bad_mixes(tmp_path: Path, lines: list[dict[str, str]], message: str) -> None:
    path = tmp_path / "mix.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(CrossinError, match=message):
        load_rows(path)


def test_bad_paths(tmp_path: Path) -> None:
    with pytest.raises(CrossinError, match="not found"):
        load_rows(tmp_path)
    (tmp_path / "mix.csv").write_text("a", encoding="utf-8")
    with pytest.raises(CrossinError, match="folder made by build_mix"):
        load_rows(tmp_path / "mix.csv")
    (tmp_path / "train.parquet").write_bytes(b"not parquet")
    with pytest.raises(CrossinError, match="cannot be read"):
        load_rows(tmp_path)


def test_an_empty_parquet_mix(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    empty = pa.table({name: pa.array([], pa.string()) for name in ("prompt", "completion", "part")})
    pq.write_table(empty, tmp_path / "train.parquet")
    with pytest.raises(CrossinError, match="is empty"):
        load_rows(tmp_path)


def test_rows_of_a_mix_file_are_read_in_order(tmp_path: Path) -> None:
    data = load_rows(write_mix(tmp_path / "mix.jsonl"))
    assert [row["prompt"] for row in data] == [row[3] for row in MIX_ROWS]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_replaced_at_the_same_time_and_size_is_read_anew(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mix{suffix}"

    def read(word: str) -> list[list[int]]:
        data = rows("Hi?", word)
        data.to_parquet(path) if suffix == ".parquet" else data.to_json(path)
        os.utime(path, ns=(10**18, 10**18))
        return [row["labels"] for row in labelled(byte_tokenizer(tmp_path / "tokenizer"), load_rows(path))]

    assert read("Ho") != read("Ha")


def test_labels_are_found_again_without_pickling_the_tokenizer(tmp_path: Path) -> None:
    """A second, equal tokenizer has the same key; `datasets` itself would give each its own."""
    data = load_rows(write_mix(tmp_path / "mix.jsonl"))
    first, again = (_fingerprint(data, byte_tokenizer(tmp_path / "tokenizer")) for _ in range(2))
    assert first == again
    assert first is not None
    assert _fingerprint(data, object()) is None  # type: ignore[arg-type]  # a tokenizer without a Rust backend


@pytest.mark.parametrize("change", ["frame", "bos", "eos", "rows"])
def test_what_was_labelled_otherwise_is_not_taken_from_the_cache(tmp_path: Path, change: str) -> None:
    """`datasets` keeps labels on disk by a fingerprint of ours; all that decides them must be in it."""

    def label(frame: str = "plain", bos: bool = True, eos: bool = False, copies: int = 1) -> list[list[int]]:
        folder = tmp_path / "tokenizer"  # one place, so that its name tells nothing
        data = load_rows(write_mix(tmp_path / "mix.jsonl", copies=copies))
        return [row["labels"] for row in labelled(byte_tokenizer(folder, bos=bos, eos=eos), data, frame)]

    first = label()
    assert label() == first
    other: dict[str, Any] = {"frame": {"frame": "headers"}, "bos": {"bos": False}, "rows": {"copies": 2}}
    if change == "eos":  # one that the tokenizer puts itself is taken off again: the same labels, truly
        assert label(eos=True) == first
    else:
        assert label(**other[change]) != first
