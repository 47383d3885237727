"""How particles lie: rotations, point groups, the search for poses, and the coverage of views."""
