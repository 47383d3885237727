"""Impact: the citations that a structure may get, forecast from a citation graph."""
