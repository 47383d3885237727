"""Ice in nm by the brightness of holes in squares' images, against grids whose ice is known."""
