"""The screen over 50,000 movies, and pictures of it."""
