"""A session told to a person: the summary as text and page, why a movie is bad, sessions compared."""
