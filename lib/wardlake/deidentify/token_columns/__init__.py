"""Tokens as columns, in both modes."""
