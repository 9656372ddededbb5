"""Shortcut baselines: rules, learned rules and a passage-free model that answer a set without understanding it.

A set on which such a guesser does better (or worse) than chance measures something besides what it is meant to measure
(Gururangan et al. 2018, arXiv 1803.02324; Kaushik and Lipton 2018, arXiv 1808.04926).
"""
