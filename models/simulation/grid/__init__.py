"""A simulated grid with known truth, and a microscope that shoots what it is told to shoot."""
