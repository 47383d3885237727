"""Defocus, astigmatism and their errors on micrographs by an independent image formation."""
