"""External provers (Z3, Coq, Lean): claims written in their languages, and their answers read."""
