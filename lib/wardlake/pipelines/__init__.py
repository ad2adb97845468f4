"""Each command's work from end to end: the plan as data, and the steps that gather, decide and apply."""
