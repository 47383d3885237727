"""Whatever a byte is changed to, a reader answers with data or with a typed error that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from frazil.config.errors import FrazilError
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.movie import open_movie
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.structure import check_structure
from frazil.models.formats.tiff_write import write_movie_tiff

_TELLING = (0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF)


def mutated(original: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(original)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(min(len(content), 600) if rng.random() < 0.5 else len(content)))
        choice = rng.random()
        if choice < 0.7:
            content[place] = int(rng.choice(_TELLING)) if rng.random() < 0.6 else int(rng.integers(256))
        elif choice < 0.9:
            content[place : place + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(4, "little")
        else:
            del content[place : place + int(rng.integers(1, 20))]
    return bytes(content)


@pytest.mark.parametrize(
    "kind", ["lzw.tif", "deflate.tif", "none.tif", "tiles.tif", "bytes.mrc", "floats.mrc", "movie.eer"]
)
def test_no_mutation_escapes_the_typed_errors(
    tmp_path: Path, make_eer: Callable[..., Path], counts: np.ndarray, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "tiles.tif":
        tifffile.imwrite(path, counts.astype("f4"), tile=(16, 16), bigtiff=True, compression="lzw", predictor=True)
    elif kind == "movie.eer":
        make_eer(counts > 2, name=kind, metadata='<metadata><item name="totalDose">3</item></metadata>')
    elif kind.endswith("mrc"):
        write_mrc(path, counts.astype("i1" if kind == "bytes.mrc" else "f4"), 1.1)
    else:
        write_movie_tiff(path, counts.astype("u1"), compression=kind[:-4], rows_per_strip=8)  # type: ignore[arg-type]
    original = path.read_bytes()
    rng = np.random.default_rng(sum(map(ord, kind)))

    def read_frames() -> object:
        with open_movie(path, eer_dose_per_fraction_e_per_a2=1.0, pixel_size_angstrom=1.0) as reader:
            return [frame.shape for frame in reader.frames()]

    refusals = []
    for _ in range(80):
        path.write_bytes(mutated(original, rng))
        for read in (read_frames, lambda: check_structure(path), lambda: read_image_2d(path, section=0)):
            try:
                read()
            except FrazilError as error:
                refusals.append(str(error))
    assert len(refusals) > 20  # the mutations do reach the checks
    assert all(str(path) in refusal for refusal in refusals)
