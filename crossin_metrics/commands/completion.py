"""`crossin completion`: a script that completes commands, options and task names in bash and zsh."""

from __future__ import annotations

import argparse

from crossin_metrics.cli import COMMANDS, PASS_THROUGH, RECIPES, subcommand_options
from crossin_metrics.sets.catalogue import GROUPS, all_tasks
from crossin_metrics.text_tables import show

_SCRIPT = """\
# crossin: add to ~/.bashrc or ~/.zshrc:  eval "$(crossin completion)"
[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit compinit && compinit && bashcompinit
_crossin() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in
        crossin) words="{commands}" ;;
        --tasks) words="{tasks}" ;;
        *) case "${{COMP_WORDS[1]}}" in
{options}
            *) words="--config --output_dir --help --help-all" ;;
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _crossin crossin
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options: one script serves both shells."""


def run(args: argparse.Namespace) -> int:
    """Print the script; files complete where nothing of ours fits."""
    from crossin_metrics.harness.command import OPTIONS

    options = {"eval": OPTIONS, **{name: subcommand_options(name) for name in COMMANDS}}
    show(
        _SCRIPT.format(
            commands=" ".join((*COMMANDS, *PASS_THROUGH, *RECIPES)),
            tasks=" ".join((*GROUPS, *all_tasks())),
            options="\n".join(f'            {name}) words="{" ".join(flags)}" ;;' for name, flags in options.items()),
        ).rstrip("\n")
    )
    return 0
