"""From a model's words to an option."""

from crossin_metrics.answers.rules import read_answer

__all__ = ["read_answer"]
