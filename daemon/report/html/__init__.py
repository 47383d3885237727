"""The summary as one page of HTML with its plots and pictures."""
