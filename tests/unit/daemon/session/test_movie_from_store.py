"""What is left of a movie's metadata when settings and header are asked again."""

from __future__ import annotations

from frazil.config.loading import load_settings, with_changes
from frazil.daemon.session.movie_from_store import said_by_the_sidecar
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.records import AcquisitionMetadata, MovieHeader

HEADER = MovieHeader("/raw/m.tif", "tiff", 10, 4096, 4096, "uint8", pixel_size_angstrom=0.5)
SIDECAR = AcquisitionMetadata(
    voltage_kv=300.0,
    pixel_size_angstrom=1.0,
    image_width_px=2048,
    image_height_px=2048,
    total_dose_e_per_a2=40.0,
    frame_count=10,
    phase_plate=False,
    grid_square="7",
    sources=tuple(
        (name, "EPU sidecar") for name in ("voltage_kv", "pixel_size_angstrom", "total_dose_e_per_a2", "phase_plate")
    ),
)


def test_a_movie_without_its_file_has_the_numbers_that_it_would_have_with_it():
    before = load_settings(flags={"cs_mm": 2.7, "amplitude_contrast": 0.1})
    merged = merge_metadata(settings=before, header=HEADER, sidecar=SIDECAR)
    assert merged.pixel_size_angstrom == 0.5
    for changes in (
        {},
        {"cs_mm": 1.2, "amplitude_contrast": 0.07},
        {"pre_exposure_e_per_a2": 2},
        {"phase_plate": True},
    ):
        after = with_changes(before, changes, origin="set by ann at noon")
        with_file = resolve(merge_metadata(settings=after, header=HEADER, sidecar=SIDECAR), settings=after)
        left = said_by_the_sidecar(merged, after)
        without = resolve(merge_metadata(settings=after, header=HEADER, sidecar=left), settings=after)
        for name in ("pixel_size_angstrom", "voltage_kv", "cs_mm", "amplitude_contrast", "dose_per_frame_e_per_a2",
                     "pre_exposure_e_per_a2", "phase_plate", "exposure"):  # fmt: skip
            assert getattr(without, name) == getattr(with_file, name), (changes, name)
