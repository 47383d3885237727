"""Movies, optics, particles, maps: pure functions and records, without Ray, sockets or a database."""
