"""Sessions started by themselves: a process for each new acquisition below a folder, by a person's rules."""
