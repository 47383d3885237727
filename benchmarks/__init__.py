"""Measurements of every claim that README and docs make: a package a claim, `./run bench` lists them."""
