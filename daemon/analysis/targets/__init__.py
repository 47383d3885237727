"""The grid as acquisition programs tell it while they write it, which movie is of which hole, where to shoot next."""
