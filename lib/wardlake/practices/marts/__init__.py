"""What a practice's manager opens in the morning: one mart a file, each with its grain, and what measures share."""
