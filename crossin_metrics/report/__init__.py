"""Reports: result folders of any number of models and tasks as tables, plots, words and one page."""
