"""Pictures as a terminal takes them: what it can draw, pixels with marks over them, half blocks, sixel, kitty."""
