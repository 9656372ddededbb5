"""Scores in the formats of others: the hub's evaluation results, Every Eval Ever, model cards."""
