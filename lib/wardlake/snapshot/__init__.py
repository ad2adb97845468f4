"""Production source to raw Delta tables, content-hashed and archived."""
