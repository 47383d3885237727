"""Robustness: parts of the pipeline run again with every instrument parameter off by its error."""
