"""Every parallel set the project knows, once."""

from __future__ import annotations

PACKAGED = ("crossin_mini",)


# Hub places in the order tried: the suite's one repository with a config a set, then the older one a set.
HUB_SETS: dict[str, tuple[tuple[str, str | None], ...]] = {
    name: (("SeaEval/SeaEval_datasets", name), (f"SeaEval/{name}", None))
    for name in ("cross_xquad", "cross_mmlu", "cross_logiqa")
}


BUILT = ("cross_xquad_spans",)  # made from other files, see crossin_metrics.sets.spans
