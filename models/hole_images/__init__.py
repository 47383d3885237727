"""Images of grid squares at low magnification: what they show of every hole, and how thick its ice is by that."""
