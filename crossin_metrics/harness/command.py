"""`crossin eval`: the harness's own command, its arguments unchanged, with our models registered first.

Harness 0.4.13 reads no entry points, so `lm_eval --model crossin-vllm` does not know the name there; this does.
Added to its arguments: `--set FILE`, a parallel set of the user's, whose tasks get the file's name (`my`, `my_cf`,
`my_gen` for my.jsonl); `--tasks` picks among them, by default the first; and `--sample N`, short for the task option
`sample`: N questions of each set, each group in proportion, the same ones for every model.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics import startup
from crossin_metrics.backends.checks import require_harness, vllm_without_statistics
from crossin_metrics.errors import CrossinError, say
from crossin_metrics.secrets import secret_place
from crossin_metrics.sets.catalogue import FORMULATIONS
from crossin_metrics.sets.loading import load_file

# The harness's usual options, for completion; its parser knows the others.
OPTIONS = """--set --sample --tasks --model --model_args --batch_size --output_path --log_samples --limit --num_fewshot
    --metadata --apply_chat_template --gen_kwargs --include_path --use_cache --device --seed""".split()  # noqa: SIM905
TASK_CLASS = "crossin_metrics.harness.ParallelMCQTask"

# Parts of the harness that read the user's arguments. An error raised there becomes one line; others keep their
# traceback.
_ARGUMENT_READERS = ("lm_eval/config/", "lm_eval/_cli/", "lm_eval/api/registry.py")


def main(arguments: Sequence[str]) -> int:
    """Run the harness on `arguments` (those of `lm_eval`, `--set` and `--sample`).

    Raises:
        CrossinError: an argument with a secret or one that the harness refuses, such as an unknown task, or a model
            that cannot be loaded.
    """
    if place := secret_place(list(arguments), "an argument"):
        raise CrossinError(
            f"{place} holds a secret, which the harness writes into its results and other users see in the list of "
            "processes: leave it out and set HF_TOKEN (the hub) or OPENAI_API_KEY (a server)"
        )
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--set", dest="file", type=Path)
    parser.add_argument("--tasks", "-t", nargs="+")
    parser.add_argument("--sample", type=int)
    try:
        own, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise CrossinError(f"eval: {str(error).removeprefix('argument ')}") from None
    if own.sample is not None:
        others += ["--metadata", f"sample={own.sample}"]
    with tempfile.TemporaryDirectory(prefix="crossin_") as folder:
        tasks = own.tasks or []
        if own.file is not None:
            name = _write_tasks(own.file, Path(folder))
            tasks = tasks or [name]
        startup.extra_folders.append(folder)
        startup.wanted[:] = [name for part in tasks for name in part.split(",") if name]
        try:
            return _harness([*others, *(["--tasks", *tasks] if tasks else [])])
        finally:
            startup.extra_folders.remove(folder)
            startup.wanted.clear()


def _write_tasks(file: Path, folder: Path) -> str:
    """Write one YAML per formulation for a set's file; returns the name of the letter task.

    Raises:
        CrossinError: the file is not a parallel set, or its name cannot be a task's.
    """
    data = load_file(file)  # says what is wrong before the harness is loaded
    if not re.fullmatch(r"\w+", data.name):
        raise CrossinError(f"{file}: its name becomes the task's: use letters, digits and '_' only, as in my_set.jsonl")
    for formulation, end in FORMULATIONS.items():
        metadata = {"set": data.name, "data_dir": str(file.resolve()), "formulation": formulation}
        text = f"task: {data.name}{end}\nclass: !function {TASK_CLASS}\nmetadata: {json.dumps(metadata)}\n"
        (folder / f"{formulation}.yaml").write_text(text, encoding="utf-8")
    return data.name


def _harness(arguments: Sequence[str]) -> int:
    require_harness()
    say("crossin: loading lm-evaluation-harness")  # takes seconds
    startup.register_tasks()  # the .pth file has done so, unless the package is used without being installed
    from lm_eval.__main__ import cli_evaluate

    from crossin_metrics.backends import register

    register()
    vllm_without_statistics()
    say("crossin: reading the task files")
    before = sys.argv
    sys.argv = ["crossin eval", *arguments]  # the harness parses sys.argv itself
    try:
        cli_evaluate()
    except CrossinError:
        raise
    except SystemExit as stopped:  # its parser has said what is wrong; add what was meant
        for word in arguments if stopped.code == 2 else ():
            if word.startswith("--") and word not in OPTIONS and (close := difflib.get_close_matches(word, OPTIONS, 1)):
                say(f"crossin: {word}: did you mean {close[0]!r}?")
        raise
    except NotImplementedError as error:  # the harness's chat APIs have no likelihoods
        if "loglikelihood" not in str(error).lower():
            raise
        raise CrossinError(
            "this model gives no likelihoods: use the _gen task (cross_mmlu_gen for cross_mmlu), or --model crossin-api"
        ) from None
    except (ValueError, TypeError, KeyError, FileNotFoundError) as error:
        if unknown := startup.unknown_task(error):
            raise CrossinError(unknown) from None
        last = Path(traceback.extract_tb(error.__traceback__)[-1].filename).as_posix()
        if not any(part in last for part in _ARGUMENT_READERS):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise CrossinError(" ".join(str(message).split())) from error
    finally:
        sys.argv = before
    return 0


def has_task(name: str) -> bool:
    """Whether the harness has a task, tag or group of this name; reading its index takes seconds."""
    startup.register_tasks()
    from lm_eval.tasks import TaskManager

    return bool(TaskManager().match_tasks([name]))
