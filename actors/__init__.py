"""What runs in processes of its own, under Ray or alone: each file one actor around one model object."""
