"""The long-running program, the only place that knows everything; each room imports only what lies below it."""
