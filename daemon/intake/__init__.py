"""From files on a disk to complete movies: a pure state machine, and the shell that looks and reads for it."""
