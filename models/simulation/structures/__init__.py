"""Small atomic structures that ship with the simulated microscope (wwPDB coordinates, CC0).

Coordinates only: hydrogens, waters and temperature factors were left out of the deposited entries.
"""

from __future__ import annotations

from pathlib import Path

from frazil.config.errors import UsageError

STRUCTURE_FILES = {
    "t20s": "3j9i_t20s_proteasome.pdb.gz",  # 20S proteasome of T. acidophilum, D7, 46,228 atoms, 172 x 176 x 127 A
    "apoferritin": "4v1w_apoferritin.pdb.gz",  # 24-mer, O, 32,736 atoms, 124 A across
    "gltph": "2nwl_gltph.pdb.gz",  # membrane transporter GltPh, C3, 8,718 atoms (no micelle)
}
SYMMETRY = {"t20s": "D7", "apoferritin": "O", "gltph": "C3"}


def structure_path(name: str) -> Path:
    """Path of a shipped structure, or of a file of the user's own (.pdb, .cif, .gz of either).

    Raises
    ------
    UsageError
        If it is neither one of `STRUCTURE_FILES` nor a file.
    """
    if name in STRUCTURE_FILES:
        return Path(__file__).parent / STRUCTURE_FILES[name]
    path = Path(name)
    if path.is_file():
        return path
    raise UsageError(
        f"there is no structure '{name}'",
        remedy=f"name one of {', '.join(sorted(STRUCTURE_FILES))} or a PDB/mmCIF file",
    )
