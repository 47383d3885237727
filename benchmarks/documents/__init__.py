"""Settings from documents, against documents of known truth: made ones in every format, shared ones with truth by hand."""
