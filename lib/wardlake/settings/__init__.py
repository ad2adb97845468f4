"""Configuration at the edge: YAML with its lines, validated into the model's frozen values, all mistakes at once."""
