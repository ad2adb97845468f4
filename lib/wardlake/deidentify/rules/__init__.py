"""The rules, each as column expressions, and what they may know of a row."""
