"""The motion of a movie: whole frames first, then one smooth local field, each with its errors."""
