"""Mode *Map*: the running reconstruction, and how far to believe it."""
