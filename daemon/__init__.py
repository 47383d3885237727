"""The long-running program: the only place that knows everything. Rooms are levels: each imports only what lies below it."""
