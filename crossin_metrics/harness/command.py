"""`crossin eval`: the harness's own command, its arguments unchanged, with our models registered first.

Harness 0.4.13 reads no entry points, so `lm_eval --model crossin-vllm` does not know the name there; this does.
Added to its arguments: `--set FILE`, a parallel set of the user's, whose tasks get the file's name (`my`, `my_cf`,
`my_gen` for my.jsonl); `--tasks` picks among them, by default the first; `--sample N`, short for the task option
`sample`: N questions of each set, each group in proportion, the same ones for every model; and `--models A B`, which
evaluates several models and keeps their answers (in `results/`, unless `--output_path` names another folder).
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing import get_context, util  # noqa: F401 util: see `main`
from pathlib import Path
from typing import Any, NoReturn

from crossin_metrics import startup
from crossin_metrics.backends.checks import require_harness, vllm_without_statistics
from crossin_metrics.errors import CrossinError, did_you_mean, exit_code, say, waiting
from crossin_metrics.records import SUFFIXES
from crossin_metrics.secrets import secret_place
from crossin_metrics.sets.catalogue import FORMULATIONS, all_tasks
from crossin_metrics.sets.loading import data_files, load_file
from crossin_metrics.text_tables import show

# The harness's usual options, for completion; its parser knows the others.
OPTIONS = """--set --sample --models --tasks --model --model_args --batch_size --output_path --log_samples --limit
    --num_fewshot --metadata --apply_chat_template --gen_kwargs --include_path --use_cache --device --seed""".split()  # noqa: SIM905
TASK_CLASS = "crossin_metrics.harness.ParallelMCQTask"

HELP = """\
usage: crossin eval --tasks TASK,TASK --model MODEL --model_args KEY=VALUE,... [OPTION ...]

lm_eval, with models and options added:
  --model NAME        also crossin-hf (faster than hf, the default), crossin-vllm, crossin-api (a server)
  --models A B        several models, one after the other; answers are kept in results/
  --set FILE          ask the questions of a file of your own instead of --tasks
  --sample N          a fixed, stratified part of each set

of lm_eval's own options, the usual ones:
  --tasks, --model, --model_args pretrained=PATH,dtype=float32, --output_path DIR, --log_samples, --limit N,
  --batch_size N, --apply_chat_template, --gen_kwargs, --metadata JSON (options of the tasks), --use_cache FILE

examples:
  crossin eval --tasks cross_mmlu --models MODEL_A MODEL_B
  crossin eval --set my_questions.jsonl --model crossin-hf --model_args pretrained=MODEL
  crossin eval --tasks cross_mmlu --model crossin-api --model_args base_url=URL,model=NAME --apply_chat_template

all options of lm_eval: crossin eval run --help; its tasks: crossin eval ls tasks
"""

# Parts of the harness that read the user's arguments. An error raised there becomes one line; others keep their
# traceback.
_ARGUMENT_READERS = ("lm_eval/config/", "lm_eval/_cli/", "lm_eval/api/registry.py")


def main(arguments: Sequence[str]) -> int:
    """Run the harness on `arguments` (those of `lm_eval`, `--set` and `--sample`).

    Raises:
        CrossinError: an argument with a secret or one that the harness refuses, such as an unknown task, or a model
            that cannot be loaded.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        show(HELP.rstrip())
        return 0
    if place := secret_place(list(arguments), "an argument"):
        raise CrossinError(
            f"{place} holds a secret, which the harness writes into its results and other users see in the list of "
            "processes: leave it out and set HF_TOKEN (the hub) or OPENAI_API_KEY (a server)"
        )
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--set", dest="file", type=Path)
    parser.add_argument("--tasks", "-t", nargs="+")
    parser.add_argument("--sample", type=int)
    several = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    several.add_argument("--models", nargs="+")
    several.add_argument("--model", "-M", default="hf")
    several.add_argument("--use_cache", "-c")
    several.add_argument("--output_path", "-o", default="results")
    try:
        own, others = parser.parse_known_args(arguments)
        plan, each = several.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise CrossinError(f"eval: {str(error).removeprefix('argument ')}") from None
    elsewhere = ("--task", "--conf", "-C", "-h", "--help")  # abbreviated, in a file, or not wanted
    named = own.tasks or own.file or any(word.startswith(elsewhere) for word in others)
    if not named and arguments[0] not in ("ls", "validate"):
        raise CrossinError(
            "eval: no tasks: say --tasks cross_mmlu, or --set FILE for questions of your own"
            + "".join(f"; {word}: {hint}" for word, hint in _misspelt(others))
        )
    if plan.models:
        return _each_model(plan, each)
    if own.sample is not None:
        others += ["--metadata", f"sample={own.sample}"]
    # Exit functions run in reverse order. multiprocessing's waits for vLLM's engine, which a finalizer ends, so its
    # module (`util`) must be imported before the first finalizer, this folder's.
    with tempfile.TemporaryDirectory(prefix="crossin_") as folder:
        tasks = own.tasks or []
        for name in tasks:
            if name.endswith(SUFFIXES) and Path(name).is_file():
                raise CrossinError(f"--tasks {name}: this is a file; for a set of your own say --set {name}")
        if own.file is not None:
            if str(own.file) in all_tasks() and not own.file.exists():
                raise CrossinError(f"--set {own.file}: this is a task; say --tasks {own.file}")
            name = _write_tasks(own.file, Path(folder))
            tasks = tasks or [name]
        startup.extra_folders.append(folder)
        startup.wanted[:] = [name for part in tasks for name in part.split(",") if name]
        try:
            return _harness([*others, *(["--tasks", *tasks] if tasks else [])])
        finally:
            startup.extra_folders.remove(folder)
            startup.wanted.clear()


def _misspelt(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in arguments:
        if word.startswith("--") and word not in OPTIONS and (hint := did_you_mean(word, OPTIONS)):
            yield word, hint.removeprefix("; ")


def _each_model(plan: argparse.Namespace, arguments: list[str]) -> int:
    """Evaluate one model after the other, each in its own process, which frees its memory; say how to compare them.

    Returns:
        The highest exit code; a model that fails does not keep the others from being evaluated.
    """
    from lm_eval.utils import sanitize_model_name

    models = list(dict.fromkeys(name for part in plan.models for name in part.split(",") if name))
    key = "model" if plan.model.endswith(("-api", "completions")) else "pretrained"
    folders, codes = [], [0]
    for number, name in enumerate(models, 1):
        say(f"crossin: model {number} of {len(models)}: {name}")
        folder = sanitize_model_name(name)
        folders.append(f"{plan.output_path.rstrip('/')}/{folder}")
        options = [*arguments, "--model", plan.model, "--model_args", f"{key}={name}"]
        options += ["--output_path", plan.output_path, "--log_samples"]
        if plan.use_cache is not None:  # the harness's cache does not know models apart
            options += ["--use_cache", f"{plan.use_cache}_{folder}"]
        process = get_context("spawn").Process(target=_alone, args=(options,))
        process.start()
        process.join()
        codes.append(abs(process.exitcode or 0))
        if codes[-1]:
            say(f"crossin: {name} failed (exit code {process.exitcode})")
    if len(models) > 1 and not any(codes):
        say(f"crossin: next: crossin compare {' '.join(map(shlex.quote, folders))}")
    return max(codes)


def _alone(arguments: list[str]) -> NoReturn:
    sys.exit(exit_code("crossin", lambda: main(arguments)))


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
    with waiting("crossin: loading lm-evaluation-harness"):
        startup.register_tasks()  # the .pth file has done so, unless the package is used without being installed
        from lm_eval.__main__ import cli_evaluate
        from lm_eval.config.evaluate_config import EvaluatorConfig
        from lm_eval.tasks._index import TaskIndex
        from tqdm import tqdm

        from crossin_metrics.backends import MODELS, register

        register()
    vllm_without_statistics()
    say("crossin: reading the task files")
    before, files, process = sys.argv, TaskIndex._iter_yaml_files, EvaluatorConfig.process_tasks

    def shown(root: Path) -> Iterator[Path]:
        yield from tqdm(list(files(root)), desc="task files", leave=False, disable=None, mininterval=1)

    def checked(config: EvaluatorConfig, metadata: dict[str, Any] | None = None) -> Any:
        """Also look for the sets' files, which the harness would miss only after it has loaded the model."""
        manager, ours = process(config, metadata), all_tasks()
        for name in filter(ours.__contains__, map(str, config.tasks)):
            data_files(ours[name].set.name, (config.metadata or {}).get("data_dir"))
        return manager

    TaskIndex._iter_yaml_files = staticmethod(shown)  # type: ignore[method-assign]
    EvaluatorConfig.process_tasks = checked  # type: ignore[method-assign]
    sys.argv = ["crossin eval", *arguments]  # the harness parses sys.argv itself
    try:
        cli_evaluate()
    except CrossinError:
        raise
    except SystemExit as stopped:  # its parser has said what is wrong; add what was meant
        for word, hint in _misspelt(arguments) if stopped.code == 2 else ():
            say(f"crossin: {word}: {hint}")
        raise
    except NotImplementedError as error:  # the harness's chat APIs have no likelihoods
        if "loglikelihood" not in str(error).lower():
            raise
        raise CrossinError(
            "this model gives no likelihoods: use the _gen task (cross_mmlu_gen for cross_mmlu), or --model crossin-api"
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError, OSError, RuntimeError) as error:
        if unknown := startup.unknown_task(error):
            raise CrossinError(unknown) from None
        frames = traceback.extract_tb(error.__traceback__)
        loading = "cannot load the model: " * any(frame.name.startswith("create_from_arg_") for frame in frames)
        if not loading and not any(part in Path(frames[-1].filename).as_posix() for part in _ARGUMENT_READERS):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        if found := re.match(r"Attempted to load model '(.+?)', but no model", str(message)):
            raise CrossinError(f"unknown model {found[1]!r}{did_you_mean(found[1], [*MODELS, 'hf', 'vllm'])}") from None
        raise CrossinError(loading + " ".join(str(message).split())) from error
    finally:
        sys.argv = before
        TaskIndex._iter_yaml_files = staticmethod(files)  # type: ignore[method-assign]
        EvaluatorConfig.process_tasks = process  # type: ignore[method-assign]
    return 0


def has_task(name: str) -> bool:
    """Whether the harness has a task, tag or group of this name; reading its index takes seconds."""
    startup.register_tasks()
    from lm_eval.tasks import TaskManager

    return bool(TaskManager().match_tasks([name]))
