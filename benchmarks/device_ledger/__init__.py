"""What a movie's stages ask of a GPU: launches, bytes moved and synchronisations, counted without one."""
