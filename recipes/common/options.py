"""Strict configuration for every recipe: default < YAML (`--config`) < flag, and nothing unknown passes.

TRL's `TrlParser` does the work. Added here: a misspelt YAML key or flag, a key given twice and a value of the wrong
type are one clear message each, and an unambiguous beginning of a flag is not taken for the flag.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from crossin_metrics.errors import CrossinError


def option(help: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with its help text; a list as default is copied for each instance."""
    text = help.replace("%", "%%")  # argparse formats help with %
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata={"help": text})
    return dataclasses.field(default=default, metadata={"help": text})


def parse(
    dataclass_types: Sequence[Any] | type, argv: Sequence[str] | None = None, *, prog: str, description: str
) -> tuple[Any, ...]:
    """Parse a command line, and the YAML file behind `--config`, into dataclass instances.

    Args:
        dataclass_types: one dataclass or several; field help stands in the field's metadata under "help".
        argv: the arguments without the program's name; None means those of this process.
        prog: the program's name, for usage lines.
        description: one sentence for `--help`.

    Returns:
        One instance per dataclass, in the order given.

    Raises:
        CrossinError: unknown, repeated or missing option, unreadable file, or a value of the wrong type.
        SystemExit: after `--help`, with code 0.
    """
    try:
        from trl import TrlParser
    except ImportError as error:
        raise CrossinError(f"{prog} needs TRL to read its configuration: pip install 'crossin[train]'") from error

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            raise CrossinError(f"{message} (see {prog} --help)")

    wanted: tuple[Any, ...] = (dataclass_types,) if isinstance(dataclass_types, type) else tuple(dataclass_types)
    parser = Parser(dataclass_types=wanted, prog=prog, description=description, allow_abbrev=False)
    # TrlParser takes --config out of the arguments itself; this line only puts it into --help.
    parser.add_argument("--config", metavar="FILE", help="YAML file of these same options; a flag wins over it")
    arguments = _split_config_flag(list(sys.argv[1:] if argv is None else argv))
    if "--config" in arguments:
        position = arguments.index("--config")
        if position + 1 == len(arguments):
            raise CrossinError(f"--config needs a file (see {prog} --help)")
        if arguments.count("--config") > 1:
            raise CrossinError("--config was given twice; put everything into one file or use flags")
        known = {action.dest for action in parser._actions} - {"help", "config"}
        _check_yaml(Path(arguments[position + 1]), known)
    try:
        parsed = parser.parse_args_and_config(args=arguments, return_remaining_strings=True)
    except CrossinError:
        raise
    except (ValueError, TypeError) as error:
        raise CrossinError(f"{prog}: {error}") from error
    *instances, remaining = parsed
    if remaining:
        raise CrossinError(_unknown(remaining, [s for action in parser._actions for s in action.option_strings], prog))
    return tuple(instance for instance in instances if dataclasses.is_dataclass(instance))


def check_types(instance: Any) -> None:
    """Check a dataclass's values against its annotations; an int where a float is wanted becomes a float.

    argparse converts what comes from flags, not what comes from YAML, so `languages: en` (a string, not a list) or
    `n_samples: 5.5` would pass unseen.

    Raises:
        CrossinError: names the field, the value and the wanted type.
    """
    for name, hint in typing.get_type_hints(type(instance)).items():
        value = getattr(instance, name)
        if isinstance(value, int) and not isinstance(value, bool) and _accepts(float, hint) and not _accepts(int, hint):
            value = float(value)
            setattr(instance, name, value)
        if not _matches(value, hint):
            raise CrossinError(f"{name}: {value!r} is not {_describe(hint)}")


def run(main: Callable[[], int], prog: str) -> NoReturn:
    """Run a recipe's `main` as a command: a user's mistake is one line on standard error and exit code 2."""
    try:
        sys.exit(main())
    except CrossinError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{prog}: stopped", file=sys.stderr)
        sys.exit(130)


def _split_config_flag(arguments: list[str]) -> list[str]:
    """Turn `--config=FILE`, which TrlParser does not see, into `--config FILE`."""
    out: list[str] = []
    for argument in arguments:
        out += ["--config", argument.removeprefix("--config=")] if argument.startswith("--config=") else [argument]
    return out


def _check_yaml(path: Path, known: set[str]) -> None:
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [loader.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise CrossinError(f"{path}: key {key!r} stands twice in the mapping that begins on line {line}")
        return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))

    UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
    except OSError as error:
        raise CrossinError(f"cannot read the configuration {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise CrossinError(f"{path} is not valid YAML: {detail}") from error
    if not isinstance(content, dict):
        raise CrossinError(f"{path} must be a YAML mapping of options")
    for key in content:
        if key != "env" and key not in known:
            raise CrossinError(f"{path}: unknown option {key!r}{_closest(str(key), known)}")


def _unknown(remaining: list[str], options: list[str], prog: str) -> str:
    flag = next((item for item in remaining if item.startswith("-")), remaining[0]).split("=")[0]
    return f"unknown option {flag!r}{_closest(flag, options)} (see {prog} --help)"


def _closest(word: str, options: Sequence[str] | set[str]) -> str:
    match = difflib.get_close_matches(word, sorted(options), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _accepts(kind: type, hint: Any) -> bool:
    return kind in _members(hint)


def _matches(value: Any, hint: Any) -> bool:
    for member in _members(hint):
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if origin is typing.Literal and value in arguments:
            return True
        if origin is list and isinstance(value, list):
            if arguments == (float,):
                value[:] = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in value]
            if all(_matches(item, arguments[0]) for item in value):
                return True
        if member is type(None) and value is None:
            return True
        if isinstance(member, type) and isinstance(value, member) and (member is bool or not isinstance(value, bool)):
            return True
    return False


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "null",
}


def _describe(hint: Any) -> str:
    names = []
    for member in _members(hint):
        if typing.get_origin(member) is typing.Literal:
            names.append("one of " + ", ".join(map(str, typing.get_args(member))))
        elif typing.get_origin(member) is list:
            names.append(f"a list, each {_describe(typing.get_args(member)[0])}")
        else:
            names.append(_KINDS.get(member, getattr(member, "__name__", str(member))))
    return " or ".join(names)
