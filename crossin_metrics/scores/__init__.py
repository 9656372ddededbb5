"""What is measured, and how sure it is: numpy and scipy only.

>>> from crossin_metrics.scores import score
"""

from crossin_metrics.scores.definitions import score

__all__ = ["score"]
