"""A session on disk and in memory: folder, options, registry of movies, epochs, thresholds, inbox."""
