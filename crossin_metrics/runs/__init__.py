"""Model outputs that others wrote, one reader a format: prediction tables, sample logs; and how two runs compare."""
