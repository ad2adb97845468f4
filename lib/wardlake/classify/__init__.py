"""What each column is: catalogue, evidence from names and content, gate, review."""
