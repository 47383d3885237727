"""Motion correction: a movie in, its motion and its aligned sums out (`align`)."""
