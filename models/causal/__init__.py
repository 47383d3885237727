"""What a movie has lost and why: causes, their losses by equation, and the prior that a session's movies teach."""
