"""ZeroMQ: typed requests and replies, the newest state as it is published, where sockets lie."""
