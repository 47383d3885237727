"""Randomised comparisons at the microscope: their order, what a movie counts as, a verdict at any look."""
