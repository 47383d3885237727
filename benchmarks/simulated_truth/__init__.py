"""The simulated microscope against formulas of its own physics."""
