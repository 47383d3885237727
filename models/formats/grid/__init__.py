"""What acquisition programs write of a grid's squares and holes, which movie is of which, and what is handed back."""
