"""Review by people: page, table, Label Studio, and what they decided."""
