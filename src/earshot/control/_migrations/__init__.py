"""How the tables came to be: one file a step, each run once, in one transaction with its note."""
