"""CrossIn mixes: which rows are drawn, how they read, how they are written."""
