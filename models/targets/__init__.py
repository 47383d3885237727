"""Where to shoot next: what holes that nobody has exposed yet will give, and which of them to take first."""
