"""A movie between intake and result: its lifecycle, the gain gate, who works on it, its result made durable."""
