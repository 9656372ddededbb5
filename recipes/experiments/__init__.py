"""An experiment is a grid of runs (arms x seeds), each mixed, trained and evaluated; stages of `run_experiment.py`."""
