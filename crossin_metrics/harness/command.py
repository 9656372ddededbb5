"""`crossin eval`: the harness's own command, its arguments unchanged, with our models registered first.

Harness 0.4.13 reads no entry points, so `lm_eval --model crossin-vllm` does not know the name there; this does.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from crossin_metrics.errors import CrossinError
from crossin_metrics.secrets import secret_place

# Parts of the harness that read the user's arguments. An error raised there becomes one line; others keep their
# traceback.
_ARGUMENT_READERS = ("lm_eval/config/", "lm_eval/_cli/", "lm_eval/api/registry.py")


def main(arguments: Sequence[str]) -> int:
    """Run the harness on `arguments` (those of `lm_eval`).

    Raises:
        CrossinError: an argument with a secret or one that the harness refuses, such as an unknown task, or a model
            that cannot be loaded.
    """
    from crossin_metrics import startup

    if place := secret_place(list(arguments), "an argument"):
        raise CrossinError(
            f"{place} holds a secret, which the harness writes into its results and other users see in the list of "
            "processes: leave it out and set HF_TOKEN (the hub) or OPENAI_API_KEY (a server)"
        )
    startup.install()  # the .pth file has done so, unless the package is used without being installed
    from lm_eval.__main__ import cli_evaluate

    from crossin_metrics.backends import register

    register()
    before = sys.argv
    sys.argv = ["crossin eval", *arguments]  # the harness parses sys.argv itself
    try:
        cli_evaluate()
    except CrossinError:
        raise
    except NotImplementedError as error:  # the harness's chat APIs have no likelihoods
        if "loglikelihood" not in str(error).lower():
            raise
        raise CrossinError(
            "this model gives no likelihoods: use the _gen task (cross_mmlu_gen for cross_mmlu), or --model crossin-api"
        ) from None
    except (ValueError, TypeError, KeyError, FileNotFoundError) as error:
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
    from crossin_metrics import startup

    startup.install()
    from lm_eval.tasks import TaskManager

    return bool(TaskManager().match_tasks([name]))
