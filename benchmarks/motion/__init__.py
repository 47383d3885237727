"""Motion correction on movies with known motion, with RELION beside it."""
