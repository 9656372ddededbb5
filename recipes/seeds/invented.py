"""Invented facts as data of an experiment: some are asked, the others are only trained on.

    python recipes/seeds/invented.py --output_dir out/invented

writes, of the set `invented_facts`: `asked/` and `others/` (parallel sets of disjoint people), `base.jsonl` (the asked
facts in English), `seed.jsonl` (the others, parallel) and `control.jsonl` (the asked ones, parallel: what a model shows
that was told them in every language). A row is a sentence up to its blank, and the rest of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout, not this folder, is where `recipes` is found
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.files import write_jsonl
from recipes.common.options import check_types, option, parse, run

SET = "invented_facts"


@dataclass
class InventedConfig:
    """What to write."""

    output_dir: str = option("Folder to write to.")
    n_asked: int = option("People whose facts are asked, four each; the other people are trained on only.", 40)

    def __post_init__(self) -> None:
        from crossin_metrics.sets.invented import N_PEOPLE

        check_types(self)
        if not 0 < self.n_asked < N_PEOPLE:
            raise CrossinError(f"n_asked: {self.n_asked} must be from 1 to {N_PEOPLE - 1}")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the options and write the files; returns the exit code."""
    (config,) = parse(InventedConfig, argv, prog="invented", description="Write invented facts.")
    from crossin_metrics.sets.catalogue import SETS
    from crossin_metrics.sets.invented import N_PEOPLE, build
    from crossin_metrics.sets.parallel_set import write_parallel

    folder = Path(config.output_dir)
    asked = build(SETS[SET], people=range(config.n_asked))
    others = build(SETS[SET], people=range(config.n_asked, N_PEOPLE))
    for name, data in (("asked", asked), ("others", others)):
        write_parallel(data, folder / name / f"{SET}.jsonl")
    parallel = rows(asked)
    write_jsonl(folder / "control.jsonl", parallel)
    write_jsonl(folder / "seed.jsonl", rows(others))
    write_jsonl(folder / "base.jsonl", ({"id": row["id"], "licence": row["licence"], **row["en"]} for row in parallel))
    say(f"{folder}: {len(asked)} facts asked, {len(others)} about other people")
    return 0


def rows(data: Any) -> list[dict[str, Any]]:
    """Parallel rows of a set of sentences with a blank: instruction (up to it), output (the answer and the rest)."""
    from crossin_metrics.harness.documents import filled_in

    out = []
    for k, key in enumerate(data.ids):
        row: dict[str, Any] = {"id": key, "licence": "Apache-2.0", "source": data.name}
        for code in data.languages:
            item = data.items[code][k]
            query, options, space = filled_in(item, item.choices)
            answer = options[data.gold[k]]
            text = f"{query}{space}{answer}"
            row[code] = {"instruction": query, "input": "", "output": answer, "translatable": text}
        out.append(row)
    return out


if __name__ == "__main__":
    run(main, "invented")
