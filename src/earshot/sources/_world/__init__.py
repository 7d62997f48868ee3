"""The synthetic world of the demo: pure functions of (seed, step); see `plot` for the law of it."""
