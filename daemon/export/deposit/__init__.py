"""A session as a deposition: its files with their checksums, and what archives and facilities ask of them."""
