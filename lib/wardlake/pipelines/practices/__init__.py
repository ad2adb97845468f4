"""What the commands about practices do: let practices in, capture, merge, watch."""
