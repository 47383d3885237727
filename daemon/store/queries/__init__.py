"""Questions to a session by name, with typed parameters, and the texts of their SQL."""
