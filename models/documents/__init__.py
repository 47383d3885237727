"""What people wrote of a session: documents as trees, the quantities in them, and settings proposed from both."""
