"""Invented facts: as many as said, unique names, parallel values, and two sets of disjoint people."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from crossin_metrics.sets.invented import N_PEOPLE, RELATIONS, name_of
from crossin_metrics.sets.loading import load_parallel
from recipes.seeds.invented import main


def test_the_facts() -> None:
    data = load_parallel("invented_facts")
    assert (len(data), data.hash) == (400, "1c162765c4d3")  # another hash is another set: raise the tasks' version
    assert max(Counter(data.gold).values()) < 0.3 * len(data)
    names = [name_of(number).split() for number in range(N_PEOPLE)]
    assert len({first for first, _ in names}) == len({last for _, last in names}) == N_PEOPLE
    for relation, wording in RELATIONS.items():
        assert {len(values) for _, values in wording.values()} == {8}, relation
        assert all(len(set(values)) == 8 and text.count("____") == 1 for text, values in wording.values())


def test_nobody_is_asked_who_is_also_trained_on(tmp_path: Path) -> None:
    assert main(["--output_dir", str(tmp_path), "--n_asked", "3"]) == 0
    asked, others = (load_parallel("invented_facts", data_dir=tmp_path / name) for name in ("asked", "others"))
    assert (len(asked), len(others)) == (12, 388)
    assert not {key.split("-")[0] for key in asked.ids} & {key.split("-")[0] for key in others.ids}
    whole = load_parallel("invented_facts")
    assert [asked.items["zh"][k] for k in range(12)] == [whole.items["zh"][k] for k in range(12)]
    rows = {name: (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in ("base", "seed")}
    assert (len(rows["base"]), len(rows["seed"])) == (12, 388)
    first = json.loads(rows["base"][0])
    assert (first["instruction"], first["output"]) == ("Zorvan Keltrow works as a", "teacher.")
    assert json.loads(rows["seed"][0])["zh"]["translatable"].count("的职业是") == 1
