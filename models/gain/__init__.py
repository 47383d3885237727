"""Gain references: which file is the session's, how it lies on the camera, and frames corrected with it."""
