"""BMLAMA-17 in two halves that share no subject, and its facts as rows for mixes.

    python recipes/seeds/bmlama.py --output_dir out/bmlama

writes `train/bmlama17.jsonl` and `test/bmlama17.jsonl` (parallel sets: `data_dir` of the task `bmlama17_cf` and of
`align_crossin.py`), and `seed.jsonl` (the training facts as parallel rows: the sentence up to the blank, and the rest).
Reads the released files from CROSSIN_DATA_DIR; the facts are CC BY-NC 4.0.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.files import write_jsonl
from recipes.common.options import check_minimum, check_types, language_codes, option, parse, run

SET = "bmlama17"


# ruff: noqa: RUF009 - option returns a dataclass field
@dataclass
class BMLAMAConfig:
    """What to write."""

    output_dir: str = option("Folder to write train/, test/ and seed.jsonl to.")
    data_dir: str | None = option("Folder with bmlama17/<lang>.tsv; default: CROSSIN_DATA_DIR.", None)
    languages: list[str] = option("Languages of both sets.", ["en", "zh", "vi", "es", "ar", "ja"])
    test_share: float = option("Share of the subjects whose facts are in the test set.", 0.5)
    n_test: int | None = option("Facts of the test set, drawn from each relation in proportion; default: all.", 600)

    def __post_init__(self) -> None:
        check_types(self)
        self.languages = language_codes(self.languages)
        check_minimum(self, 1, "n_test")
        if not 0 < self.test_share < 1:
            raise CrossinError(f"test_share: {self.test_share} must be between 0 and 1")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options and write the files; returns the exit code."""
    (config,) = parse(BMLAMAConfig, argv, prog="bmlama", description="Split BMLAMA-17 by subject.")
    from crossin_metrics.harness.documents import filled_in
    from crossin_metrics.sets.bmlama import read_tsv
    from crossin_metrics.sets.loading import data_files, load_parallel
    from crossin_metrics.sets.parallel_set import write_parallel

    codes = list(dict.fromkeys(["en", *config.languages]))
    data = load_parallel(SET, languages=codes, data_dir=config.data_dir)
    english = next((path for path in data_files(SET, config.data_dir) if path.stem == "en"), None)
    if english is None:
        raise CrossinError(f"{SET}: the split by subject needs the released en.tsv")
    subjects = [subject for _, _, subject in read_tsv(english)]
    in_test = [_share(subject) < config.test_share for subject in subjects]
    folder, halves = Path(config.output_dir), {}
    for name, wanted in (("train", False), ("test", True)):
        kept = [k for k, test in enumerate(in_test) if test == wanted]
        half = dataclasses.replace(
            data,
            ids=tuple(data.ids[k] for k in kept),
            items={code: tuple(column[k] for k in kept) for code, column in data.items.items()},
            gold=tuple(data.gold[k] for k in kept),
            groups=tuple(data.groups[k] for k in kept),
        )
        if wanted and config.n_test is not None:
            half = half.sample(min(config.n_test, len(half)))
        halves[name] = half.select(config.languages)
        write_parallel(halves[name], folder / name / f"{SET}.jsonl")
    train = halves["train"]
    rows = []
    for k, key in enumerate(train.ids):
        row: dict[str, object] = {"id": key, "licence": "CC BY-NC 4.0", "source": SET}
        for code in train.languages:
            item = train.items[code][k]
            query, options, _ = filled_in(item, item.choices)
            row[code] = {"instruction": query or item.question, "input": "", "output": options[train.gold[k]]}
        rows.append(row)
    write_jsonl(folder / "seed.jsonl", rows)
    say(
        f"{folder}: {len(train):,} facts to train on, {len(halves['test']):,} to test, without a common subject, in "
        f"{' '.join(config.languages)}"
    )
    return 0


def _share(subject: str) -> float:
    """A number from 0 to 1 that depends on the subject alone."""
    return int(hashlib.sha256(f"bmlama|{subject}".encode()).hexdigest()[:13], 16) / 16**13


if __name__ == "__main__":
    run(main, "bmlama")
