"""The mean power spectrum of proteins that the forecast takes for its prior, and how far single structures are from it.

    ./run bench protein_spectrum STRUCTURE ... [--json OUT]

Prints ln of the rotationally averaged power of the potential (B-factor 0), its mean over 15 to 4 A set to 0, averaged
over the structures, and the scatter about it after a Guinier line of each structure's own.
`models/reconstruction/resolution/forecast.py` holds the table of GroEL-GroES (1AON), Rubisco (1BXN), an IgG1 (1IGY),
Norwalk's capsid unit (1IHM), GroEL (1MNF), ClpB (1QVR), p97 (3CF3) and beta-galactosidase (5A1A).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft

_BOX_PX, _PIXEL_ANGSTROM, _B_FACTOR_A2 = 160, 1.6, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    last = _BOX_PX // 2
    k = np.arange(1, last) / (_BOX_PX * _PIXEL_ANGSTROM)
    shell = shell_index(_BOX_PX).flatten()
    count = torch.bincount(shell)
    spectra = []
    for path in given.structures:
        volume = potential_map(
            read_atoms(path), box_px=_BOX_PX, pixel_size_angstrom=_PIXEL_ANGSTROM, b_factor_a2=_B_FACTOR_A2
        )
        power = torch.bincount(shell, weights=centred_fft(volume.double(), 3).abs().square().flatten()) / count
        spectra.append(np.log(power.numpy()[1:last]) + _B_FACTOR_A2 / 2 * k**2)
    levels = np.array(spectra)
    wilson = (k > 1 / 15) & (k < 1 / 4)
    levels -= levels[:, wilson].mean(axis=1, keepdims=True)
    mean = levels.mean(axis=0)
    line = np.stack([np.ones_like(k), k**2], axis=1)
    apart = np.array([row - line @ np.linalg.lstsq(line[wilson], row[wilson])[0] for row in levels - mean])
    for number in range(0, last - 1, 3):
        print(
            f"{1 / k[number]:6.1f} A  k {k[number]:.4f}  ln power {mean[number]:5.2f}  sd {apart[:, number].std():.2f}"
        )
    inner = apart[:, (k > 1 / 20) & (k < 1 / 4)]
    lags = [float((inner[:, lag:] * inner[:, : inner.shape[1] - lag]).mean() / inner.var()) for lag in range(6)]
    print(f"20 to 4 A: sd {inner.std():.2f}; correlation at {k[0]:.4f} 1/A steps: {np.round(lags, 2)}")
    if given.json is not None:
        record = {"frequency_per_angstrom": k.tolist(), "ln_power": mean.tolist(), "sd": apart.std(axis=0).tolist()}
        given.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
