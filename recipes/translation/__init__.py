"""From an English instruction set to a parallel seed. Read in this order:

`run.py` (plan, ask, judge, write), `engines/base.py` (what a translator is), `masking.py`, `store.py`, `kinds.py`,
`gates.py`, `report.py`.
"""
