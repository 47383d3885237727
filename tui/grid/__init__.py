"""Mode *Grid*: the squares and holes of the grid, what came of them, and where to shoot next."""
