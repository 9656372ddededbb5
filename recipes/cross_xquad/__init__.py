"""Building a parallel multiple-choice set from an extractive one: the stages behind `recipes/build_cross_xquad.py`."""
