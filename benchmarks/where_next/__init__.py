"""Where to shoot next, on a grid of which every hole was shot and on simulated ones."""
