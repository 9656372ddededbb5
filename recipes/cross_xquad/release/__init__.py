"""Release of a set: the data files, their card, the push."""
