"""The running map: which movies enter it and when, the actor that keeps it, its rounds in the store."""
