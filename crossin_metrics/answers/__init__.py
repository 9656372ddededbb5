"""From a model's words to an option."""

from crossin_metrics.answers.reading import read_answer

__all__ = ["read_answer"]
