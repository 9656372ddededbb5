"""Runnable scripts that build instruction mixes, tune adapters and run experiments, and the functions beside them."""
