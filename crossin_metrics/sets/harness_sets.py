"""Parallel benchmarks that the harness has as one task a language, joined into one set: Belebele, XCOPA ...

Data set, config and split of each language are read from the harness's installed YAML files, ids and gold options from
:mod:`crossin_metrics.runs.harness_families`. A set adds one entry to the catalogue and one to `BENCHMARKS`.
"""

from __future__ import annotations

import logging
import runpy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from crossin_metrics.errors import CrossinError
from crossin_metrics.hub import hub_records
from crossin_metrics.languages import LANGUAGES, language_codes, log_language
from crossin_metrics.records import SUFFIXES, Record, read_records
from crossin_metrics.runs.harness_families import FAMILIES, gold_index, question_id
from crossin_metrics.sets.catalogue import SetEntry
from crossin_metrics.sets.parallel_set import BLANK, Item, ParallelMCQ

logger = logging.getLogger(__name__)
Doc = Mapping[str, Any]


class Benchmark(NamedTuple):
    """How a benchmark's rows become questions.

    Attributes:
        files: the harness's task files, as a glob pattern below `lm_eval/tasks`.
        item: row and language -> passage, question and options.
        columns: columns that `item` reads, each of which the harness's files name too (a test checks that).
        group: column with the subject; "" for none.
        family: of `harness_families`; "": id and gold option as for SIB-200.
    """

    files: str
    item: Callable[[Doc, str], Item]
    columns: tuple[str, ...]
    group: str = ""
    family: str = ""


def _belebele(doc: Doc, language: str) -> Item:
    return Item(doc["flores_passage"], doc["question"], tuple(doc[f"mc_answer{i}"] for i in range(1, 5)))


def _global_mmlu(doc: Doc, language: str) -> Item:
    return Item(None, doc["question"], tuple(doc[f"option_{letter}"] for letter in "abcd"))


def _mmlu_prox(doc: Doc, language: str) -> Item:
    options = (doc.get(f"option_{i}") for i in range(10))
    return Item(None, doc["question"], tuple(option for option in options if option is not None))


def _xcopa(doc: Doc, language: str) -> Item:
    """The harness's own sentence (premise and connective) and options, so that `_cf` asks what the harness asks."""
    code = runpy.run_path(str(harness_tasks() / "xcopa" / "utils.py"))
    return Item(None, f"{code[f'doc_to_text_{language}'](doc)} {BLANK}", tuple(code["doc_to_choice"](doc)))


def _xstorycloze(doc: Doc, language: str) -> Item:
    story = " ".join(doc[f"input_sentence_{i}"] for i in range(1, 5))
    return Item(None, f"{story} {BLANK}", (doc["sentence_quiz1"], doc["sentence_quiz2"]))


def _sib200(doc: Doc, language: str) -> Item:
    return Item(doc["text"], "What category does the text belong to?", _sib_categories())


BENCHMARKS: dict[str, Benchmark] = {
    "cross_belebele": Benchmark(
        "belebele/belebele_*.yaml",
        _belebele,
        ("flores_passage", "question", "mc_answer1", "mc_answer4", "correct_answer_num"),
        "link",
        "belebele",
    ),
    "cross_global_mmlu": Benchmark(
        "global_mmlu/default/*/_*_template_yaml",
        _global_mmlu,
        ("question", "option_a", "option_d", "answer"),
        "subject",
        "global_mmlu",
    ),
    "cross_global_mmlu_full": Benchmark(
        "global_mmlu/full/*/_*_template_yaml",
        _global_mmlu,
        ("question", "option_a", "option_d", "answer"),
        "subject",
        "global_mmlu",
    ),
    "cross_mmlu_prox": Benchmark(
        "mmlu_prox/*/_??_template_yaml",
        _mmlu_prox,
        ("question", "option_{i}", "category", "answer"),
        "category",
        "mmlu_prox",
    ),
    "cross_mmlu_prox_lite": Benchmark(
        "mmlu_prox/*/_??_lite_template_yaml",
        _mmlu_prox,
        ("question", "option_{i}", "category", "answer"),
        "category",
        "mmlu_prox",
    ),
    "cross_xcopa": Benchmark("xcopa/default_*.yaml", _xcopa, ("premise", "choice1", "choice2"), "question", "xcopa"),
    "cross_xstorycloze": Benchmark(
        "xstorycloze/default_*.yaml",
        _xstorycloze,
        ("input_sentence_1", "input_sentence_4", "sentence_quiz1", "answer_right_ending"),
        family="xstorycloze",
    ),
    "cross_sib200": Benchmark("afrobench/sib/prompt_1/sib_*.yaml", _sib200, ("text", "category"), "category"),
}


def build(
    entry: SetEntry,
    *,
    languages: Sequence[str] | None = None,
    data_dir: Path | None = None,
    revision: str | None = None,
) -> ParallelMCQ:
    """Join a benchmark's languages on the question's id; questions that a language lacks are left out with a warning.

    Local files are `<split>.<config>.jsonl` (or `<config>/<split>`, `<config>`; any format of parallel sets) in the
    folder or in one below it named as the set or as the hub's data set; without a folder the hub is read.

    Raises:
        CrossinError: a file is missing, a row lacks a column, or languages differ in gold option or number of options.
    """
    benchmark, codes = BENCHMARKS[entry.name], language_codes(languages or entry.languages)
    read: dict[str, dict[str, tuple[Item, int, str, str]]] = {}
    for code in codes:
        place = _place(entry, code)
        rows: Iterable[Record]
        if data_dir is None:
            rows, source = hub_records([(place["dataset_path"], place["dataset_name"])], place["split"], revision)
        else:
            path = _file(entry, data_dir, place)
            rows, source = read_records(path), f"file:{path.parent.name}"
        read[code] = _questions(rows, benchmark, code)
    ids = [key for key in read[codes[0]] if all(key in questions for questions in read.values())]
    if most := max(map(len, read.values())) - len(ids):
        logger.warning("%s: %d questions are not in all of %s and are left out", entry.name, most, ", ".join(codes))
    for key in ids:
        first, gold, _, at = read[codes[0]][key]
        for code in codes[1:]:
            item, here, _, where = read[code][key]
            if (here, len(item.choices)) != (gold, len(first.choices)):
                raise CrossinError(
                    f"{where}, id {key}, language {code}: option {here} of {len(item.choices)} is right (from 0), but "
                    f"{gold} of {len(first.choices)} in {codes[0]} ({at}); use one version of the data for all"
                )
    lead = read[codes[0]]
    items = {code: tuple(read[code][key][0] for key in ids) for code in codes}
    gold_options, groups = tuple(lead[key][1] for key in ids), tuple(lead[key][2] or key for key in ids)
    return ParallelMCQ(entry.name, codes, tuple(ids), items, gold_options, groups, source)


def data_files(entry: SetEntry, folder: Path) -> tuple[Path, ...]:
    """The files of the folder that hold the set's languages, those it has."""
    places = [_place(entry, code) for code in entry.languages]
    return tuple(path for place in places if (path := _find(entry, folder, place)) is not None)


def _questions(rows: Iterable[Record], benchmark: Benchmark, code: str) -> dict[str, tuple[Item, int, str, str]]:
    """Id -> item, gold option, group and place of one language's rows."""
    family = next((family for family in FAMILIES if family.name == benchmark.family), None)
    found: dict[str, tuple[Item, int, str, str]] = {}
    for row in rows:
        doc = row.value
        try:
            item = benchmark.item(doc, code)
            if family is not None:
                key, gold = question_id(doc, family, None), gold_index(doc, family)
            else:
                key, gold = str(doc["index_id"]), item.choices.index(doc["category"])
            group = str(doc[benchmark.group]) if benchmark.group else ""
        except CrossinError as error:
            raise CrossinError(f"{row.where}: {error}") from None
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise CrossinError(
                f"{row.where}: not a row of {benchmark.files.partition('/')[0]} ({type(error).__name__}: {error})"
            ) from None
        if key in found:
            raise CrossinError(f"{row.where}, id {key}: duplicate id, first at {found[key][3]}")
        texts = (item.question, *item.choices)
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise CrossinError(f"{row.where}, id {key}: an empty question or option; fill it in or drop the question")
        if gold >= len(item.choices):
            raise CrossinError(f"{row.where}, id {key}: gold option {gold} (from 0) of {len(item.choices)}")
        found[key] = Item(item.context, item.question.strip(), item.choices), gold, group, row.where
    return found


@cache
def harness_tasks() -> Path:
    """The folder of the installed harness's task files."""
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise CrossinError("lm-evaluation-harness is not installed; its task files name the data: pip install lm_eval")
    return Path(spec.submodule_search_locations[0]) / "tasks"


@cache
def harness_configs(files: str) -> dict[str, dict[str, str]]:
    """Language -> `dataset_path`, `dataset_name` and `split` of the harness's task files that match a pattern."""
    configs: dict[str, dict[str, str]] = {}
    for path in sorted(harness_tasks().glob(files)):
        config = _read_yaml(path)
        split = str(config.get("test_split") or config.get("validation_split"))
        names = {"dataset_path": str(config["dataset_path"]), "dataset_name": str(config["dataset_name"])}
        configs[log_language(names["dataset_name"])] = names | {"split": split}
    return configs


def _read_yaml(path: Path) -> dict[str, Any]:
    """A task file with what it includes; functions stay names."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    config: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader)
    included = config.pop("include", None)
    return {**(_read_yaml(path.parent / included) if included else {}), **config}


@cache
def _sib_categories() -> tuple[str, ...]:
    return tuple(_read_yaml(harness_tasks() / "afrobench/sib/prompt_1/sib")["doc_to_choice"])


def _place(entry: SetEntry, code: str) -> dict[str, str]:
    """Where the harness finds a language. It asks SIB-200 in African languages only; others have their FLORES code."""
    configs = harness_configs(BENCHMARKS[entry.name].files)
    if code not in entry.languages:
        raise CrossinError(f"{entry.name} has no language {code}; it has {', '.join(entry.languages)}")
    return configs.get(code) or next(iter(configs.values())) | {"dataset_name": LANGUAGES[code].flores}


def _find(entry: SetEntry, folder: Path, place: Mapping[str, str]) -> Path | None:
    config, split = place["dataset_name"], place["split"]
    below = (entry.name, entry.name.removeprefix("cross_"), place["dataset_path"].rpartition("/")[2])
    for where in (*(folder / name for name in below), folder):
        for stem in (f"{split}.{config}", f"{config}/{split}", config):
            for suffix in SUFFIXES:
                if (path := where / f"{stem}{suffix}").is_file():
                    return path
    return None


def _file(entry: SetEntry, folder: Path, place: Mapping[str, str]) -> Path:
    path = _find(entry, folder, place)
    if path is None:
        raise CrossinError(
            f"{folder}: no {place['split']}.{place['dataset_name']}.jsonl of {entry.name} in it or in "
            f"{entry.name.removeprefix('cross_')}/; save the split {place['split']} of {place['dataset_path']} there"
        )
    return path
