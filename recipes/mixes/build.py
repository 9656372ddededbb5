"""From a configuration to the files of a mix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossin_metrics.errors import CrossinError, say
from crossin_metrics.files import atomic_folder, check_replaceable, file_sha256, read_json, write_json
from recipes.mixes.config import MixConfig
from recipes.mixes.methods import PIVOT
from recipes.mixes.sources import SourceSpec, Store, build_store, parse_fields

if TYPE_CHECKING:
    from recipes.mixes.card import Statistics
    from recipes.mixes.plan import Plan


FILES = ("train.parquet", "README.md", "config.yaml", "manifest.json")


def build(config: MixConfig) -> dict[str, Any]:
    """Build the mix and return its manifest; do nothing if the folder already holds this very mix.

    Raises:
        CrossinError: a source is unreadable or inconsistent; the options leave nothing to draw; the folder holds
            something else; or it cannot be written (the folder is then unchanged).
    """
    from recipes.mixes.card import Statistics, card, fingerprint, manifest
    from recipes.mixes.plan import make_plan

    target = Path(config.output_dir)
    with atomic_folder(target) as folder:
        old = _existing(target)
        base, seed = open_sources(config, folder.parent / "stores")
        sources = {role: store.info for role, store in (("base", base), ("seed", seed)) if store is not None}
        wanted = fingerprint(config, sources)
        if old is not None and old["fingerprint"] == wanted and _sha256(target / FILES[0]) == old["parquet_sha256"]:
            say(f"{target} is up to date: {old['n_rows']:,} rows")
            return old
        if old is not None and not config.overwrite:
            what = "a damaged mix" if old["fingerprint"] == wanted else "a mix of other options or sources"
            raise CrossinError(f"{target} holds {what}: choose another folder, or add --overwrite")
        plan = make_plan(config, len(base) if base else 0, len(seed) if seed else 0)
        statistics = Statistics(_tokenizer(config.tokenizer))
        _write_rows(folder / FILES[0], plan, config, base, seed, statistics)
        facts = manifest(config, plan, sources, statistics, wanted, _sha256(folder / FILES[0]))
        (folder / FILES[1]).write_text(card(config, facts), encoding="utf-8")
        (folder / FILES[2]).write_text(_yaml(config), encoding="utf-8")
        write_json(folder / FILES[3], facts)
    return facts


def open_sources(config: MixConfig, folder: Path) -> tuple[Store | None, Store | None]:
    """The base and the seed store, laid out in `folder`; None for one that the mix does not need."""
    base = seed = None
    if config.variant != "seed_only" and config.n_base != 0 and config.base_seed_ratio != 0:
        base = build_store(_source(config, "base", [PIVOT]), folder)
    if config.samples != 0 or (config.trans and config.n_trans != 0):
        seed = build_store(_source(config, "seed", config.seed_languages), folder)
    return base, seed


def _source(config: MixConfig, role: str, languages: list[str]) -> SourceSpec:
    """The base or seed set of the options."""
    names = ("set", "config", "split", "revision", "licence", "fields")
    spec, hub_config, split, revision, licence, fields = (getattr(config, f"{role}_{name}") for name in names)
    mapping = parse_fields(fields, f"{role}_fields")
    return SourceSpec(spec, tuple(languages), mapping, hub_config, split, revision, licence, config.bad_rows)


def _write_rows(
    path: Path, plan: Plan, config: MixConfig, base: Store | None, seed: Store | None, statistics: Statistics
) -> None:
    import pyarrow.parquet as pq
    from tqdm import tqdm

    from recipes.mixes.rows import render_all, schema

    # Every setting that shapes the bytes is stated, so that a new default of pyarrow does not change them.
    settings: dict[str, Any] = {
        "version": "2.6",
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": ["part", "in_lang", "out_lang", "source"],
        "data_page_version": "1.0",
        "data_page_size": 1 << 20,
        "write_statistics": True,
        "store_schema": True,
    }
    with (
        pq.ParquetWriter(path, schema(), **settings) as writer,
        tqdm(total=len(plan), unit=" rows", desc="mix", disable=None, mininterval=1.0) as progress,
    ):
        for batch in render_all(plan, config, base, seed, config.num_workers):
            statistics.add(batch)
            writer.write_batch(batch)
            progress.update(batch.num_rows)


def _existing(target: Path) -> dict[str, Any] | None:
    """The manifest of the mix in the folder; None if the folder is absent or empty."""
    if not check_replaceable(target, FILES[3], "mix", lambda: FILES):
        return None
    content = read_json(target / FILES[3]) or {}
    try:
        return {**content, "fingerprint": str(content["fingerprint"]), "parquet_sha256": str(content["parquet_sha256"])}
    except KeyError:  # damaged: rebuild
        return {"fingerprint": "", "parquet_sha256": "", "n_rows": 0}


def _sha256(path: Path) -> str:
    return file_sha256(path) if path.is_file() else ""


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise CrossinError(f"cannot load tokenizer {name!r}: {str(error).strip().splitlines()[0]}") from error


def _yaml(config: MixConfig) -> str:
    import yaml

    return "# The merged options of this mix; build it again with --config.\n" + yaml.safe_dump(
        config.portable(), sort_keys=False, allow_unicode=True
    )
