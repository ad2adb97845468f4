"""Columns that together point to a person of the source."""
