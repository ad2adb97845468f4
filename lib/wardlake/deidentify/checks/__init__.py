"""What is refused before anything is de-identified."""
