"""The running reconstruction: 2-D classes and 3-D maps that grow movie by movie."""
