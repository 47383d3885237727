"""Losses by cause, advice and changes found, against sessions whose causes are known."""
