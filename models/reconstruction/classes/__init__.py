"""Particles that are not alike: 2-D class averages, and K maps beside the common one."""
