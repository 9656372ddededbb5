"""Strict configuration for every recipe: default < YAML (`--config`) < flag, and nothing unknown passes.

TRL's `TrlParser` does the parsing. Added here: a misspelt key or flag, a duplicate key and a value of the wrong type
are one clear message each, and flags cannot be abbreviated.
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from crossin_metrics.cli import RECIPES
from crossin_metrics.errors import DAMAGE, CrossinError, did_you_mean, exit_code
from crossin_metrics.languages import language_code
from crossin_metrics.records import read_yaml
from crossin_metrics.secrets import secret_place
from crossin_metrics.text_tables import show
from recipes.common.paths import expand_user
from recipes.common.provenance import REPO

_SCRIPTS = {  # an option of one script, set in most files for it -> that script
    "arms": "run_experiment.py",  # first: a grid holds others' options too
    "variant": "build_mix.py",
    "mix": "sft_crossin.py",
    "loss": "align_crossin.py",
    "regenerate": "build_cross_xquad.py",
    "engine": "translate_seed.py",
}


def option(help: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with its help text; a list as default is copied for each instance."""
    text = help.replace("%", "%%")  # argparse formats help with %
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata={"help": text})
    return dataclasses.field(default=default, metadata={"help": text})


def parse(
    dataclass_types: Sequence[Any] | type,
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    usual: Sequence[str] = (),
) -> tuple[Any, ...]:
    """Parse a command line, and the YAML file behind `--config`, into dataclass instances.

    Args:
        dataclass_types: one dataclass or several; a field's help text is in its metadata under "help".
        argv: the arguments without the program's name; None means those of this process.
        prog: the program's name, for usage lines.
        description: one sentence for `--help`.
        usual: names of the options that `--help` shows; `--help-all` shows all.

    Returns:
        One instance per dataclass, in the order given.

    Raises:
        CrossinError: unknown, repeated or missing option, unreadable file, a value of the wrong type, or a secret.
        SystemExit: after `--help`, with code 0.
    """
    prog = _called(prog)
    try:
        from trl import TrlParser
    except ImportError as error:
        raise CrossinError(f"{prog} needs TRL to read its configuration: pip install 'crossin[train]'") from error

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            raise CrossinError(f"{message} (see {prog} --help)")

    wanted = (dataclass_types,) if isinstance(dataclass_types, type) else tuple(dataclass_types)
    parser = Parser(dataclass_types=wanted, prog=prog, description=description, allow_abbrev=False)
    # TrlParser takes --config out of the arguments itself; this line only puts it into --help.
    parser.add_argument("--config", metavar="FILE", help="YAML file of these same options; a flag wins over it")
    parser.add_argument("--help-all", action="help", help="show every option")
    given = list(sys.argv[1:] if argv is None else argv)
    if usual and {"-h", "--help"}.intersection(given):
        show(_short_help(parser, usual, prog, description))
        sys.exit(0)
    arguments: list[str] = []
    for argument in given:  # TrlParser does not know --config=FILE
        name, _, file = argument.partition("=")
        arguments += ["--config", file] if name == "--config" and file else [argument]
    if "--config" in arguments:
        position = arguments.index("--config") + 1
        arguments[position:] = map(expand_user, arguments[position:])
        if position == len(arguments):
            raise CrossinError(f"--config needs a file (see {prog} --help)")
        if arguments.count("--config") > 1:
            raise CrossinError("--config given twice: put everything into one file, or use flags")
        if not Path(arguments[position]).exists() and (REPO / arguments[position]).exists():
            arguments[position] = str(REPO / arguments[position])  # recipes/configs/... from any folder
        _check_yaml(
            Path(arguments[position]), {action.dest for action in parser._actions} - {"help", "help_all", "config"}
        )
    known = [name for action in parser._actions for name in action.option_strings]

    def refuse_unknown(items: Sequence[str]) -> None:
        if items:
            flag = next((item for item in items if item.startswith("-")), items[0]).split("=")[0]
            raise CrossinError(f"unknown option {flag!r}{did_you_mean(flag, known)} (see {prog} --help)")

    # first, since an option may be missing because its name is misspelt
    refuse_unknown([item for item in arguments if item.startswith("--") and item.split("=")[0] not in known])
    try:
        *instances, remaining = parser.parse_args_and_config(args=arguments, return_remaining_strings=True)
    except DAMAGE as error:
        raise error if isinstance(error, CrossinError) else CrossinError(f"{prog}: {error}") from error
    refuse_unknown(remaining)
    found = tuple(instance for instance in instances if dataclasses.is_dataclass(instance))
    for instance in found:
        for field in dataclasses.fields(instance):
            value = getattr(instance, field.name, None)
            if (expanded := expand_user(value)) != value:  # the shell expands `--mix ~/mix`, but neither `=~` nor YAML
                setattr(instance, field.name, expanded)
    _refuse_secrets(found)
    return found


def _called(prog: str) -> str:
    """`crossin tune` for `sft_crossin` where the command was called so."""
    command = sys.argv[1] if len(sys.argv) > 1 and Path(sys.argv[0]).stem == "crossin" else ""
    script, _ = RECIPES.get(command, (None, ""))
    return prog.replace(script, f"crossin {command}") if script else prog


def _short_help(parser: Any, usual: Sequence[str], prog: str, description: str) -> str:
    """The usual options, two lines each at most: the first sentence of their help, and the default."""
    actions = {action.dest: action for action in reversed(parser._actions)}  # not the --no_ forms
    lines = [f"usage: {prog} [--config FILE] [OPTIONS]", "", description, ""]
    for name in ("config", *usual):
        action = actions[name]
        text = action.help.replace("%%", "%").split(". ")[0].rstrip(".")
        known = action.default not in (None, "", dataclasses.MISSING) and action.default != [] and not action.required
        shown = " ".join(map(str, action.default)) if isinstance(action.default, list) else action.default
        default = f" (default: {shown})" if known and "efault" not in text else ""
        choices = f" ({', '.join(map(str, action.choices))})" if action.choices and action.nargs != "?" else ""
        mark = " (required)" if action.required else ""
        flag = f"  --{name}"
        lines += textwrap.wrap(
            text + choices + default + mark,
            width=79,
            initial_indent=flag.ljust(24) + " " if len(flag) < 24 else f"{flag} ",
            subsequent_indent=" " * 25,
            break_long_words=False,
        )
    n_more = len(actions) - len(usual) - 3  # --config, --help and --help-all are no settings
    return "\n".join([*lines, "", f"--help-all shows {n_more} more; all can also go in the --config file."])


def check_types(instance: Any) -> None:
    """Check a dataclass's values against its annotations; an int where a float is wanted becomes a float.

    argparse converts flags but not YAML values, so `languages: en` (a string, not a list) would pass unseen.

    Raises:
        CrossinError: names the field, the value and the wanted type.
    """
    hints = typing.get_type_hints(type(instance))
    for name in (field.name for field in dataclasses.fields(instance)):
        hint = hints[name]
        given = getattr(instance, name)
        value = _floats(given, hint)
        if value is not given:
            setattr(instance, name, value)
        if not _matches(value, hint):
            raise CrossinError(f"{name}: {value!r} must be {_describe(hint)}")


def check_minimum(instance: Any, least: float, *names: str) -> None:
    """Check that these options are not below `least`; None passes.

    Raises:
        CrossinError: names the option and its value.
    """
    for name in names:
        value = getattr(instance, name)
        if value is not None and not value >= least:
            wanted = "must not be negative" if least == 0 else f"must be at least {least:g}"
            raise CrossinError(f"{name}: {value} {wanted}")


def language_codes(names: Iterable[str]) -> list[str]:
    """The codes of the option `languages`.

    Raises:
        CrossinError: unknown language, a language named twice, or none at all.
    """
    codes = [language_code(name) for name in names]
    if not codes or len(set(codes)) < len(codes):
        raise CrossinError(f"languages: {' '.join(codes) or 'none'}; must be one or more different languages")
    return codes


def run(main: Callable[[], int], prog: str) -> NoReturn:
    """Run a recipe's `main` as a command: a user's mistake is one line on standard error and exit code 2."""
    sys.exit(exit_code(prog, main))


def _refuse_secrets(instances: Iterable[Any]) -> None:
    """Options are stored beside the results, and appear in the command lines of other processes."""
    for instance in instances:
        values = {field.name: getattr(instance, field.name, None) for field in dataclasses.fields(instance)}
        if place := secret_place(values):
            raise CrossinError(
                f"{place} holds a secret, which would be written beside the results: leave it out and set an "
                "environment variable instead (HF_TOKEN for the hub, the one that api_key_env names for a server)"
            )


def _check_yaml(path: Path, known: set[str]) -> None:
    if not path.is_file():
        raise CrossinError(f"cannot read configuration {path}: no such file")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise CrossinError(f"{path}: must be a YAML mapping of options")
    unknown = [str(key) for key in content if key != "env" and key not in known]
    for key, script in _SCRIPTS.items():
        if key in unknown:
            raise CrossinError(f"{path}: unknown option {key!r}; is this a configuration of {script}?")
    for key in unknown:
        raise CrossinError(f"{path}: unknown option {key!r}{did_you_mean(key, known)}")


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _floats(value: Any, hint: Any) -> Any:
    """The value with ints made floats where `hint` has float, or list[float], and no int."""
    if isinstance(value, list) and list[float] in _members(hint):
        return [_floats(item, float) for item in value]
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_int and float in _members(hint) and int not in _members(hint) else value


def _matches(value: Any, hint: Any) -> bool:
    for member in _members(hint):
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if origin is typing.Literal:
            fits = value in arguments
        elif origin is list:
            fits = isinstance(value, list) and all(_matches(item, arguments[0]) for item in value)
        else:  # True is an int to Python, but not to us
            fits = isinstance(member, type) and isinstance(value, member)
            fits = fits and (member is bool or not isinstance(value, bool))
        if fits:
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
        origin, arguments = typing.get_origin(member), typing.get_args(member)
        if origin is typing.Literal:
            names.append("one of " + ", ".join(map(str, arguments)))
        elif origin is list:
            names.append(f"a list of {_describe(arguments[0])}")
        else:
            names.append(_KINDS.get(member, getattr(member, "__name__", str(member))))
    return " or ".join(names)
