"""A real parallel seed from XQuAD: passage and question -> human-translated answer, in up to 12 languages.

    python recipes/seeds/xquad.py --output_dir out/xquad

writes `seed.jsonl` (parallel rows) and `base.jsonl` (English rows of other articles) from the train half of the
articles. The halves are those of `sets.xquad.article_halves`, so nothing of it is in the questions that the
task `cross_xquad_spans_cf` asks of the test half, and base and seed share no article. An instruction is written as
that task shows it (`--prompt p1`), up to and with "Answer:"; with `--prompt fields` it is the question, and the
passage its input. Translation pairs translate the question alone (field `translatable`). XQuAD is CC BY-SA 4.0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.files import write_jsonl
from crossin_metrics.languages import language_code
from recipes.common.options import check_types, parse, run

if TYPE_CHECKING:
    from crossin_metrics.sets.xquad import Passage, XQuAD

LICENCE = "CC BY-SA 4.0"
SOURCE = "google/xquad"


@dataclass
class XQuADSeedConfig:
    """What to write. English is always read: it is the base rows' language."""

    output_dir: str = field(metadata={"help": "Folder to write seed.jsonl and base.jsonl to."})
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder of the files xquad.<lang>.json; default: CROSSIN_DATA_DIR, or the hub."}
    )
    revision: str | None = field(default=None, metadata={"help": "Commit or tag of the hub's google/xquad."})
    languages: list[str] = field(
        default_factory=lambda: ["en", "zh", "vi", "es"], metadata={"help": "Languages of the parallel rows."}
    )
    articles: Literal["train", "test"] = field(
        default="train", metadata={"help": "Half of the articles; test is for held-out loss, never for training."}
    )
    base_articles: int = field(
        default=8, metadata={"help": "Articles of the half that go to base.jsonl, in English, instead of seed.jsonl."}
    )
    prompt: Literal["p1", "p2", "p3", "p4", "p5", "fields"] = field(
        default="p1",
        metadata={"help": "Wording of the task's cloze prompt, or fields: question, and passage as input."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of the choice of base articles."})

    def __post_init__(self) -> None:
        check_types(self)
        self.languages = [language_code(name) for name in self.languages]
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise CrossinError(f"languages: {self.languages} must be one or more different languages")
        if self.base_articles < 0:
            raise CrossinError(f"base_articles: {self.base_articles} must not be negative")


def split_articles(data: XQuAD, half: str, n_base: int, seed: int) -> tuple[set[int], set[int]]:
    """Article numbers (base, seed) of one half, disjoint; the choice hangs on question ids and the seed alone.

    Raises:
        CrossinError: no article would be left for the seed.
    """
    from crossin_metrics.sets.xquad import article_halves
    from recipes.mixes.draws import raw

    mine = [number for number, name in enumerate(article_halves(data)) if name == half]
    if n_base >= len(mine):
        raise CrossinError(f"base_articles: {n_base} of {len(mine)} {half} articles leave none for the seed")
    first = {passage.article: passage.questions[0].id for passage in reversed(data.passages)}
    order = sorted(mine, key=lambda article: int(raw(seed, f"xquad/{first[article]}", 1)[0]))
    return set(order[:n_base]), set(order[n_base:])


def seed_rows(data: XQuAD, articles: set[int], languages: Sequence[str], prompt: str) -> Iterable[dict[str, Any]]:
    """Parallel rows of these articles: id, article, licence, source, and per language its texts."""
    for passage in data.passages:
        if passage.article in articles:
            for position, question in enumerate(passage.questions):
                texts = {code: _row(passage, position, code, prompt) for code in languages}
                yield {"id": question.id, "article": passage.article, "licence": LICENCE, "source": SOURCE, **texts}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options and write both files; returns the exit code."""
    (config,) = parse(XQuADSeedConfig, argv, prog="xquad", description="Write a parallel seed from XQuAD.")
    from crossin_metrics.sets.xquad import load_xquad

    codes = list(dict.fromkeys(["en", *config.languages]))
    data = load_xquad(codes, data_dir=config.data_dir, revision=config.revision)
    base, seed = split_articles(data, config.articles, config.base_articles, config.seed)
    folder = Path(config.output_dir)
    n_seed = write_jsonl(folder / "seed.jsonl", seed_rows(data, seed, config.languages, config.prompt))
    english = (
        {**{k: v for k, v in row.items() if k != "en"}, **row["en"]}
        for row in seed_rows(data, base, ["en"], config.prompt)
    )
    n_base = write_jsonl(folder / "base.jsonl", english)
    say(
        f"{folder}: {n_seed} parallel rows of {len(seed)} articles in {' '.join(config.languages)}, "
        f"{n_base} English rows of {len(base)} other articles"
    )
    return 0


def _row(passage: Passage, position: int, language: str, prompt: str) -> dict[str, str]:
    from crossin_metrics.harness.prompts import ENGLISH_PROMPTS

    span = passage.questions[position].spans[language]
    context = passage.contexts[language].strip()
    if prompt == "fields":
        return {"instruction": span.question, "input": context, "output": span.answer, "translatable": span.question}
    shown = ENGLISH_PROMPTS[prompt].render(context, span.question, (), "cf")
    return {"instruction": shown, "input": "", "output": span.answer, "translatable": span.question}


if __name__ == "__main__":
    run(main, "xquad")
