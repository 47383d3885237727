"""The running map against known structures, with RELION on the same particles."""
