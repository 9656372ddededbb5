"""Checks of a generated item: within a language, across languages, by a model."""
