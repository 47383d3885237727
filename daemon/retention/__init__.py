"""What may be removed from finished sessions, by a person's rules; and its removal, noted in the session's record."""
