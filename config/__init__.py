"""What a person sets, and the errors that a person sees."""
