"""What a session was like, as one record and as text; what the page, the screen and the command line tell of it."""
