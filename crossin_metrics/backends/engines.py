"""vLLM's engine ends with the process that started it, also when that one is killed, and sleeps while it waits.

vLLM (0.32) ends its engine from the process that started it; after SIGKILL (or the out-of-memory killer) nobody does,
and the engine and its workers keep their memory for ever. Linux can signal a process when its parent ends.

The engine polls for a second before it sleeps until its workers answer. On CPUs a step takes less, so it would keep a
core busy that the workers compute on.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from functools import partialmethod
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_vllms_own: Any = None  # where the engine is forked; where it is spawned, a new import has vLLM's own


def end_with_this_process() -> None:
    """Engines that vLLM starts from now on in this process end with it.

    Does nothing outside Linux, nor outside the main thread, since the signal comes when the thread that started the
    engine ends. The workers of an engine end with it by vLLM's own means.
    """
    global _vllms_own
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return
    with contextlib.suppress(ImportError, AttributeError):  # another release's engine is started as it is
        from vllm.v1.engine.core import EngineCoreProc

        if EngineCoreProc.run_engine_core is not _run:
            _vllms_own, EngineCoreProc.run_engine_core = EngineCoreProc.run_engine_core, staticmethod(_run)


def _run(*args: Any, **kwargs: Any) -> None:
    from vllm.v1.engine.core import EngineCoreProc

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it ended before the call above
        sys.exit(f"the process {parent.pid} that started this engine has ended")
    sleep_at_once_on_a_cpu()
    (_vllms_own or EngineCoreProc.run_engine_core)(*args, **kwargs)


def sleep_at_once_on_a_cpu() -> None:
    """On a CPU, vLLM's processes sleep while they wait instead of polling first."""
    with contextlib.suppress(ImportError, AttributeError):  # as above
        from vllm.distributed.device_communicators.shm_broadcast import SpinCondition
        from vllm.platforms import current_platform

        if current_platform.is_cpu():
            patient: Any = partialmethod(SpinCondition.__init__, busy_loop_s=0.0)
            SpinCondition.__init__ = patient  # type: ignore[method-assign]
