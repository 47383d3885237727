"""The session as a web page: words and plots from the summary and the newest state, served or as one file."""
