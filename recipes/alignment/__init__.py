"""What `recipes/align_crossin.py` is made of: preference pairs of a parallel set, and losses that align languages.

`options` what can be set; `pairs` which question, languages and options; `sequences` their tokens; `losses` the
equations; `scoring` log-probabilities, those of the reference cached; `trainer` transformers' trainer with our loss.
"""
