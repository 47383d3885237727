"""Real micrographs, particles, trajectories; where the shared data lie."""
