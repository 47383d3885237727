"""The running map: its start, its weights, its rounds, and what it says of each movie's particles."""
