"""Tokens: the same identifier is the same token in every table of a dataset, and another one for another purpose."""
