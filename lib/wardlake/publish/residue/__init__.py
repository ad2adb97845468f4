"""The residue scan: what is searched in staged output, how well it sees, and what is made of what it finds."""
