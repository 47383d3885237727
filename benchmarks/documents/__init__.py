"""Settings from documents of known truth: made ones in every format, and shared ones that were read by hand."""
