"""Strict configuration: default < YAML < flag; anything unknown, repeated or of the wrong type is one clear message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from crossin_metrics.errors import CrossinError
from recipes.common.options import check_types, parse
from tests.conftest import REPO


@dataclass
class Options:
    """One field of each kind that recipes use."""

    where: str
    count: int = 3
    rate: float = 0.5
    flag: bool = True
    maybe: bool | None = None
    limit: int | None = None
    names: list[str] = field(default_factory=lambda: ["a"])
    weights: list[float] | None = None
    kind: Literal["x", "y"] = "x"

    def __post_init__(self) -> None:
        check_types(self)


def read(tmp_path: Path, yaml: str | None, *flags: str) -> Options:
    arguments = list(flags)
    if yaml is not None:
        (tmp_path / "options.yaml").write_text(yaml, encoding="utf-8")
        arguments = ["--config", str(tmp_path / "options.yaml"), *arguments]
    (options,) = parse(Options, arguments, prog="tool", description="A tool.")
    assert isinstance(options, Options)
    return options


def test_default_then_yaml_then_flag(tmp_path: Path) -> None:
    yaml = "where: here\ncount: 7\nrate: 1\nnames: [b, c]\nweights: [1, 2.5]\nmaybe: false\nkind: y\n"
    options = read(tmp_path, yaml, "--count", "9", "--names", "d", "--flag", "false")
    assert options == Options("here", 9, 1.0, False, False, None, ["d"], [1.0, 2.5], "y")
    assert isinstance(options.rate, float)
    assert read(tmp_path, None, "--where", "w") == Options("w")
    assert read(tmp_path, "where: w\nlimit: null\n").limit is None
    assert read(tmp_path, "where: w\nlimit: 4\n").limit == 4
    assert read(tmp_path, "where: w\n", "--no_flag").flag is False


def test_config_with_an_equals_sign(tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("where: here\n", encoding="utf-8")
    (options,) = parse(Options, [f"--config={tmp_path / 'options.yaml'}"], prog="tool", description="")
    assert options.where == "here"


@pytest.mark.parametrize(
    ("yaml", "flags", "message"),
    [
        ("where: w\ncuont: 3\n", [], r"options.yaml: unknown option 'cuont'; did you mean 'count'\?"),
        ("where: w\ncount: 3\ncount: 4\n", [], "line 3: duplicate key 'count'"),
        ("where: w\ncount: 3.5\n", [], "count: 3.5 must be a whole number"),
        ("where: w\ncount: true\n", [], "count: True must be a whole number"),
        ("where: w\ncount: many\n", [], "argument --count: invalid int value: 'many'"),
        ("where: w\nnames: a\n", [], "names: 'a' must be a list of text"),
        ("where: w\nnames: [1]\n", [], r"names: \[1\] must be a list of text"),
        ("where: 3\n", [], "where: 3 must be text"),
        ("where: w\nkind: z\n", [], "kind: 'z' must be one of x, y|invalid choice: 'z'"),
        ("where: w\nflag: 3\n", [], "flag: 3 must be true or false"),
        ("- a list\n", [], "must be a YAML mapping"),
        ("where: [w\n", [], "not valid YAML"),
        ("{}", [], "required: --where"),
        ("where: w\n", ["--coun", "3"], "unknown option '--coun'; did you mean '--count'"),
        ("where: w\n", ["--other=3"], "unknown option '--other'"),
        ("where: w\n", ["stray"], "unknown option 'stray'"),
        ("where: w\n", ["--count", "x"], "argument --count: invalid int value: 'x'"),
        ("where: w\n", ["--config", "again.yaml"], "--config given twice"),
    ],
)
def test_mistakes(tmp_path: Path, yaml: str, flags: list[str], message: str) -> None:
    with pytest.raises(CrossinError, match=message) as caught:
        read(tmp_path, yaml, *flags)
    assert "\n" not in str(caught.value)


CONFIGS = [
    path
    for path in sorted((REPO / "recipes" / "configs").rglob("*.yaml"))
    if path.parent.name not in ("accelerate", "slurm")
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_another_scripts_file_is_recognised(path: Path) -> None:
    script = re.findall(r"Launch: .*recipes/(\w+\.py) --config recipes/configs/", path.read_text(encoding="utf-8"))[0]
    with pytest.raises(CrossinError, match=rf"unknown option .*; is this a configuration of {script}\?"):
        parse(Options, ["--config", str(path)], prog="tool", description="A tool.")


def test_usage_names_the_command_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for argv, prog in ((["/bin/crossin", "tune"], "crossin tune"), (["recipes/sft_crossin.py"], "sft_crossin")):
        monkeypatch.setattr("sys.argv", argv)
        with pytest.raises(
            CrossinError, match=rf"unknown option '--wher'; did you mean '--where'\? \(see {prog} --help\)"
        ):
            parse(Options, ["--wher", "x"], prog="sft_crossin", description="A tool.")
