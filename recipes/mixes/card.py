"""What a mix folder says about itself: `README.md` (a hub dataset card) and `manifest.json` (the same for programs)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from crossin_metrics.text_tables import markdown_table, md
from recipes.mixes.config import MixConfig
from recipes.mixes.plan import PARTS, PRETRAIN, Plan
from recipes.mixes.sources import SourceInfo

if TYPE_CHECKING:
    import pyarrow as pa

_ORIGIN = ("role", "set", "revision", "languages", "licence", "sha256 of ids and texts", "rows", "dropped")
LENGTHS = ("mean", "median", "p95", "max", "sum")

FORMAT = 1
"""Version of the folder's layout and of the drawing rules; increased when the same options give other rows."""


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Any: ...


class Statistics:
    """Counts, lengths and the content hash of a mix, gathered batch by batch."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer
        self.rows: Counter[tuple[str, str, str]] = Counter()
        self._digest = hashlib.sha256()
        self._lengths: dict[tuple[str, str, str], list[np.ndarray]] = {}  # unit, part, side

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch of mix rows."""
        columns = batch.to_pydict()
        for column in columns.values():
            for text in column:
                data = text.encode("utf-8")
                self._digest.update(len(data).to_bytes(4, "big") + data)
        self.rows.update(zip(columns["part"], columns["in_lang"], columns["out_lang"], strict=True))
        parts = np.array(columns["part"])
        for side in ("prompt", "completion"):
            self._measure(side, "characters", parts, [len(text) for text in columns[side]])
            if self.tokenizer is not None:
                ids = self.tokenizer(columns[side], add_special_tokens=False)["input_ids"]
                self._measure(side, "tokens", parts, [len(row) for row in ids])

    def content_sha256(self) -> str:
        """Hash of all rows in order: the same for every version of the Parquet writer."""
        return self._digest.hexdigest()

    def lengths(self) -> list[dict[str, Any]]:
        """Mean, median, 95th percentile, maximum and sum per unit, part and side; in characters or tokens."""
        out = []
        order = sorted(self._lengths, key=lambda key: (key[0], PARTS.index(key[1])))
        for unit, part, side in order:
            chunks = self._lengths[unit, part, side]
            values = np.sort(np.concatenate(chunks))
            out.append(
                {
                    "unit": unit,
                    "part": part,
                    "side": side,
                    "mean": round(int(values.sum()) / len(values), 1),
                    "median": int(values[(len(values) - 1) // 2]),
                    "p95": int(values[(95 * (len(values) - 1)) // 100]),
                    "max": int(values[-1]),
                    "sum": int(values.sum()),
                }
            )
        return out

    def _measure(self, side: str, unit: str, parts: np.ndarray, values: list[int]) -> None:
        array = np.array(values, dtype=np.int64)
        for part in np.unique(parts):
            self._lengths.setdefault((unit, str(part), side), []).append(array[parts == part])


def manifest(
    config: MixConfig,
    plan: Plan,
    sources: dict[str, SourceInfo],
    statistics: Statistics,
    fingerprint: str,
    parquet: str,
) -> dict[str, Any]:
    """Everything the card says, as data. No times, paths or machine names, so that it is reproducible too."""
    import pyarrow

    pairs = sorted(statistics.rows.items(), key=lambda kv: (PARTS.index(kv[0][0]), kv[0][1:]))
    noisy = int(np.count_nonzero(plan.drop) + np.count_nonzero(plan.partner >= 0))
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "n_rows": len(plan),
        "n_noisy": noisy,
        "parts": {
            part: n for part in PARTS if (n := sum(n for key, n in pairs if key[0] == part)) or part != PARTS[PRETRAIN]
        },
        "pairs": [{"part": part, "in_lang": a, "out_lang": b, "n": n} for (part, a, b), n in pairs],
        "lengths": statistics.lengths(),
        "sources": {
            role: {**dataclasses.asdict(info), "languages": list(info.languages)} for role, info in sources.items()
        },
        "content_sha256": statistics.content_sha256(),
        "parquet_sha256": parquet,
        "pyarrow": pyarrow.__version__,
    }


def fingerprint(config: MixConfig, sources: dict[str, SourceInfo]) -> str:
    """Hash of what decides the rows: the options, the sources' contents, and the drawing rules' version."""
    options = {k: v for k, v in config.portable().items() if k not in ("base_set", "seed_set")}  # folders differ
    decisive = [
        FORMAT,
        sorted(options.items()),
        [(role, info.name, info.sha256) for role, info in sorted(sources.items())],
    ]
    return hashlib.sha256(repr(decisive).encode()).hexdigest()


def card(config: MixConfig, facts: dict[str, Any]) -> str:
    """The dataset card, in Markdown with the hub's YAML header."""
    import yaml

    languages = sorted({pair[side] for pair in facts["pairs"] for side in ("in_lang", "out_lang")})
    header = {
        "pretty_name": "CrossIn instruction mix",
        "license": "other",
        "license_name": "see-sources",
        "language": ["tl" if code == "fil" else code for code in languages],
        "task_categories": ["text-generation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}],
    }
    parts, sources = facts["parts"], facts["sources"]
    pairs = (
        (p["part"], p["in_lang"], p["out_lang"], f"{p['n']:,}", f"{p['n'] / parts[p['part']]:.3f}")
        for p in facts["pairs"]
    )
    lengths = (
        (*(row[name] for name in ("part", "side", "unit")), *(f"{row[name]:,}" for name in LENGTHS))
        for row in facts["lengths"]
    )
    origin = []
    for role, info in sources.items():
        counts = f"{info['n_rows']:,}", f"{sum(info['dropped'].values()):,}"
        names = role, info["name"], info["revision"] or "-", " ".join(info["languages"]), info["licence"]
        origin.append((*names, info["sha256"], *counts))
    dropped = [
        f"- {md(f'{role}: {reason}: {n:,}')}" for role, info in sources.items() for reason, n in info["dropped"].items()
    ]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(header, sort_keys=False) + "---",
            "",
            f"# Instruction mix: {config.variant}{' with translation' if config.trans else ''}",
            "",
            f"{facts['n_rows']:,} rows, made by `recipes/build_mix.py` from `config.yaml` (seed {config.seed}).",
            f"Language tag: {config.tag}. Answer style: {config.answer_style}. "
            f"Noise: {config.noise}, {facts['n_noisy']:,} rows damaged.",
            "",
            "A row has `prompt`, `completion`, `part` (`base`: from the base set; `crossin`: from the seed set, also",
            "where both sides are in one language; `trans`: an instruction to translate), `in_lang`, `out_lang`,",
            "`source` and `source_id`.",
            "",
            "## Rows by part and language pair",
            "",
            *markdown_table(("part", "instruction", "answer", "rows", "share of part"), pairs, 3),
            "",
            "## Lengths",
            "",
            *markdown_table(("part", "side", "unit", "mean", "median", "95%", "max", "sum"), lengths, 3),
            "",
            "## Sources",
            "",
            *markdown_table(_ORIGIN, origin, 6),
            *(["", "Rows dropped, by reason:", "", *dropped] if dropped else []),
            "",
            "## Hashes",
            "",
            f"- rows (any version of the writer): `{facts['content_sha256']}`",
            f"- train.parquet (pyarrow {facts['pyarrow']}): `{facts['parquet_sha256']}`",
            f"- options and sources: `{facts['fingerprint']}`",
            "",
        ]
    )
