"""Where to shoot next as a closed loop: strategies side by side on simulated grids."""
