"""How much of where to shoot next can be known at all: the same plan with more knowledge than frazil has."""
