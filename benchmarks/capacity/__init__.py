"""What a machine bears: a model of it from measured costs, beside what was measured."""
