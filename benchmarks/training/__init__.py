"""Scripts that make the weights that ship."""
