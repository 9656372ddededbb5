"""Cross-lingual consistency of language models: scores, answers, parallel sets and harness tasks."""

__version__ = "0.1.0"
