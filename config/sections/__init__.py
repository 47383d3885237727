"""The sections of the settings, each a model: its keys with type, range, default, unit and what they touch."""
