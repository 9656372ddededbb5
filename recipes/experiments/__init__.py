"""An experiment is a grid of runs (arms x seeds), each mixed, trained, evaluated; the stages behind `run_experiment.py`."""
