"""How far a map can be believed: masks, FSC (half-map, conical, local), and the forecast of both."""
