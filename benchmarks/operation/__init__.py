"""A session in trouble, many readers over HTTP, a store of 50,000 movies."""
