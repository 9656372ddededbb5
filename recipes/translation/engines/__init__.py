"""Translators: `base.py` is the contract, its siblings the implementations, each imported only when it is used."""
