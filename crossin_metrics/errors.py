"""The one exception for errors that the user can fix: bad files, unknown names, missing packages."""

from __future__ import annotations


class CrossinError(ValueError):
    """The input or the set-up is wrong.

    The message says what is wrong, where (file, line or id, language) and what to do. Command lines print it as
    one line, without a traceback, and exit with a code other than 0.
    """
