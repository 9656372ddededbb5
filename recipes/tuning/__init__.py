"""What `recipes/sft_crossin.py` and `recipes/merge_adapter.py` are made of.

`options` what can be set; `frames` the chat template; `loss_masks` from mix rows to labelled tokens; `model` tokenizer,
model and adapter; `checks` what is refused before training; `run_folder` whose folder it is; `trainer` TRL's trainer
with whole `checkpoints`; `manifest` and `cards` what a run says about itself; `merge` and `evaluate` what follows.
"""
