"""Every parallel set once: its languages, where its data comes from, and the harness tasks made from it.

A task's name is `<set>[_<languages>][_<formulation>]`, as in `cross_mmlu`, `cross_mmlu_cf`, `cross_mmlu_sea_gen`;
:func:`set_of_task` is the one place that takes it apart. To add a benchmark, add an entry to `SETS`, three YAML files
and a README in `lm_eval_tasks/`, and, if its files are not in the schema of parallel sets, a builder module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from crossin_metrics.errors import CrossinError, did_you_mean

DATA_DIR_VARIABLE = "CROSSIN_DATA_DIR"  # the folder of local sets, where none is given
FORMULATIONS = {"letter": "", "cf": "_cf", "gen": "_gen"}  # formulation -> end of the task's name
PAPER_LANGUAGES = ("en", "zh", "vi", "es")  # arXiv 2404.11932, section 4.1
SEAEVAL_LANGUAGES = (*PAPER_LANGUAGES, "id", "ms", "fil")  # arXiv 2309.04766
XQUAD_LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")  # arXiv 1910.11856
BMLAMA17_LANGUAGES = tuple("ar ca el en es fa fr he hu ja ko nl ru tr uk vi zh".split())  # noqa: SIM905
BMLAMA53_LANGUAGES = tuple(
    """af ar az be bg bn ca ceb cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy id it ja ka ko la lt lv ms nl
    pl pt ro ru sk sl sq sr sv ta th tr uk ur vi zh""".split()  # noqa: SIM905
)
BELEBELE_LANGUAGES = tuple(  # those of its 122 variants that crossin_metrics.languages has, in their usual script
    """af am ar az bg bn ca ceb cs da de el en es et eu fa fi fil fr gu ha he hi hr ht hu hy id ig it ja ka kk km kn ko
    lo lt lv mk ml mr ms my ne nl no pa pl pt ro ru si sk sl so sq sr sv sw ta te th tr uk ur uz vi wo yo zh
    zu""".split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True)
class SetEntry:
    """One parallel set.

    Attributes:
        name: also the stem of its file in a data folder (`<name>.jsonl`, `.parquet` ...).
        title: for people.
        languages: all languages of the set, ISO codes.
        n_questions: questions in the whole set.
        passages: whether a question comes with a passage (None: some do).
        licence: of the data.
        version: of the set's tasks; a change of texts, options or prompts raises it.
        tasks: suffix of the task's name -> languages the task asks by default.
        hub: hub data sets that have it, as (repository, config or None), in the order tried.
        packaged: whether it is installed with this package.
        builder: module that builds the set from other files, imported on use. It has two functions:
            `build(entry, *, languages, data_dir, revision, **options) -> ParallelMCQ` and
            `data_files(entry, folder) -> paths`.
        options: names of the builder's further options.
        cloze: whether every question is a sentence with one blank, which `_cf` tasks fill in.
        likelihood: what `_cf` tasks rank options by: the `sum` of their log-probabilities or the `mean` over tokens.
    """

    name: str
    title: str
    languages: tuple[str, ...]
    n_questions: int
    passages: bool | None
    licence: str
    version: float = 1.0
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"": PAPER_LANGUAGES})
    hub: tuple[tuple[str, str | None], ...] = ()
    packaged: bool = False
    builder: str | None = None
    options: tuple[str, ...] = ()
    cloze: bool = False
    likelihood: str = "sum"


def _seaeval(name: str) -> tuple[tuple[str, str | None], ...]:
    """The suite's one repository with a config per set, then the older repository per set."""
    return ("SeaEval/SeaEval_datasets", name), (f"SeaEval/{name}", None)


def _bmlama(name: str, title: str, n_questions: int, languages: tuple[str, ...], asked: tuple[str, ...]) -> SetEntry:
    return SetEntry(
        name=name,
        title=title,
        languages=languages,
        n_questions=n_questions,
        passages=False,
        licence="CC BY-NC 4.0",
        tasks={"": asked},
        builder="crossin_metrics.sets.bmlama",
        cloze=True,
        likelihood="mean",  # as its authors rank
    )


def _of_harness(
    name: str, title: str, n_questions: int, languages: str, asked: str, licence: str, **facts: bool
) -> SetEntry:
    """A benchmark that the harness has as one task a language."""
    return SetEntry(
        name=name,
        title=title,
        languages=tuple(languages.split()),
        n_questions=n_questions,
        passages=facts.get("passages", False),
        licence=licence,
        tasks={"": tuple(asked.split())},
        builder="crossin_metrics.sets.harness_sets",
        cloze=facts.get("cloze", False),
    )


SETS: dict[str, SetEntry] = {
    entry.name: entry
    for entry in (
        SetEntry(
            name="crossin_mini",
            title="crossin_mini",
            languages=PAPER_LANGUAGES,
            n_questions=32,
            passages=None,
            licence="Apache-2.0",
            packaged=True,
        ),
        SetEntry(
            name="cross_xquad",
            title="Cross-XQuAD",
            languages=PAPER_LANGUAGES,
            n_questions=1190,
            passages=True,
            licence="CC BY-NC 4.0",
            hub=_seaeval("cross_xquad"),
        ),
        SetEntry(
            name="cross_mmlu",
            title="Cross-MMLU",
            languages=SEAEVAL_LANGUAGES,
            n_questions=150,
            passages=False,
            licence="CC BY-NC 4.0",
            tasks={"": PAPER_LANGUAGES, "sea": SEAEVAL_LANGUAGES},
            hub=_seaeval("cross_mmlu"),
        ),
        SetEntry(
            name="cross_logiqa",
            title="Cross-LogiQA",
            languages=SEAEVAL_LANGUAGES,
            n_questions=176,
            passages=True,
            licence="CC BY-NC 4.0",
            tasks={"": PAPER_LANGUAGES, "sea": SEAEVAL_LANGUAGES},
            hub=_seaeval("cross_logiqa"),
        ),
        SetEntry(
            name="cross_xquad_spans",
            title="Cross-XQuAD from spans",
            languages=XQUAD_LANGUAGES,
            n_questions=1190,
            passages=True,
            licence="CC BY-SA 4.0",
            version=2.0,
            builder="crossin_metrics.sets.spans",
            options=("articles", "distractors"),
        ),
        _bmlama("bmlama17", "BMLAMA-17", 6792, BMLAMA17_LANGUAGES, BMLAMA17_LANGUAGES),
        _bmlama("bmlama17_mini", "BMLAMA-17, 500 facts", 500, BMLAMA17_LANGUAGES, (*PAPER_LANGUAGES, "fr", "ar")),
        _bmlama("bmlama53", "BMLAMA-53", 3070, BMLAMA53_LANGUAGES, BMLAMA53_LANGUAGES),
        SetEntry(
            name="invented_facts",
            title="Invented facts",
            languages=PAPER_LANGUAGES,
            n_questions=400,
            passages=False,
            licence="Apache-2.0",
            builder="crossin_metrics.sets.invented",
            cloze=True,
        ),
        _of_harness(
            "cross_belebele",
            "Belebele",
            900,
            " ".join(BELEBELE_LANGUAGES),
            "en zh vi es fr ar",
            "CC BY-SA 4.0",
            passages=True,
        ),
        _of_harness(
            "cross_global_mmlu",
            "Global-MMLU-Lite",
            400,
            "ar bn de en es fr hi id it ja ko pt sw yo zh",
            "en zh es fr ar sw",
            "Apache-2.0",
        ),
        _of_harness(
            "cross_global_mmlu_full",
            "Global-MMLU",
            14042,
            "am ar bn cs de el en es fa fil fr ha he hi id ig it ja ko lt ms ne nl pl pt ro ru si so sr sv sw te tr uk "
            "vi yo zh",
            "en zh vi es fr ar",
            "Apache-2.0",
        ),
        _of_harness(
            "cross_mmlu_prox",
            "MMLU-ProX",
            11759,
            "af ar bn cs de en es fr hi hu id it ja ko mr ne pt ru sr sw te th uk ur vi wo yo zh zu",
            "en zh vi es fr ar",
            "MIT",
        ),
        _of_harness(
            "cross_mmlu_prox_lite",
            "MMLU-ProX-Lite",
            588,
            "af ar bn cs de en es fr hi hu id it ja ko mr ne pt ru sr sw te th uk ur vi wo yo zh zu",
            "en zh vi es fr ar",
            "MIT",
        ),
        _of_harness(
            "cross_xcopa", "XCOPA", 500, "et ht id it qu sw ta th tr vi zh", "id th tr vi zh", "CC BY 4.0", cloze=True
        ),
        _of_harness(
            "cross_xstorycloze",
            "XStoryCloze",
            1511,
            "ar en es eu hi id my ru sw te zh",
            "en zh es id ru ar",
            "CC BY-SA 4.0",
            cloze=True,
        ),
        _of_harness(
            "cross_sib200",
            "SIB-200",
            204,
            " ".join(sorted({*BELEBELE_LANGUAGES, "be", "bs", "cy", "ga", "gl", "qu"})),
            "en zh vi es fr ar",
            "CC BY-SA 4.0",
            passages=True,
        ),
    )
}
GROUPS = {"crossin": ("cross_xquad", "cross_mmlu", "cross_logiqa")}  # the paper's three sets, averaged by the harness


class SetTask(NamedTuple):
    """A harness task: one set, asked in some languages in one formulation."""

    name: str
    set: SetEntry
    languages: tuple[str, ...]
    formulation: str


def all_tasks() -> dict[str, SetTask]:
    """Task name -> task, for every set of the catalogue."""
    tasks = {}
    for entry in SETS.values():
        for suffix, languages in entry.tasks.items():
            for formulation, end in FORMULATIONS.items():
                name = f"{entry.name}_{suffix}".rstrip("_") + end
                tasks[name] = SetTask(name, entry, languages, formulation)
    return tasks


def set_of_task(name: str) -> SetTask:
    """Look up a task by name.

    Raises:
        CrossinError: no set of the catalogue has a task of that name.
    """
    tasks = all_tasks()
    if name not in tasks:
        hint = did_you_mean(name, tasks, f"; known sets: {', '.join(SETS)}")
        raise CrossinError(f"unknown task {name!r}{hint}")
    return tasks[name]


def expand_tasks(names: str) -> list[SetTask]:
    """Look up the tasks of a comma-separated list, groups replaced by their members; raises as :func:`set_of_task`."""
    tasks = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        group = split_formulation(name)[0]
        tasks += [set_of_task(name.replace(group, member, 1)) for member in GROUPS.get(group, (group,))]
    return tasks


def split_formulation(task: str) -> tuple[str, str]:
    """Split any task's name into benchmark and formulation.

    >>> split_formulation("cross_mmlu_sea_gen")
    ('cross_mmlu_sea', 'gen')
    >>> split_formulation("belebele")
    ('belebele', 'letter')
    """
    for formulation, end in FORMULATIONS.items():
        if end and task.endswith(end):
            return task.removesuffix(end), formulation
    return task, "letter"
