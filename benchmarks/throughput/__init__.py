"""How long a movie takes: in a running worker, on more workers, of 4k frames, at the pace of a real K3 session."""
