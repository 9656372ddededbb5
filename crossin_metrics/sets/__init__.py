"""Parallel multiple-choice sets: one question in several languages."""
