"""Attacks on a warehouse under row policies: as practice A, try to see practice B. Questions out, answers in, verdicts out."""
