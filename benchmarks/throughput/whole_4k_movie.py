"""One 4096 x 4096 x 40 TIFF-LZW movie through the whole daemon: how much memory all its processes take together.

    ./run bench whole_4k_movie [--json OUT.json]

The claim: below 8 GB (proportional set size of the daemon, Ray and the workers, sampled four times a second), and the
known motion and defocus are found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import torch

from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.optics.ctf import CtfParameters, ctf_2d

SIZE_PX, FRAMES, PIXEL_SIZE_ANGSTROM = 4096, 40, 1.0
DEFOCUS = CtfParameters(300.0, 2.7, 0.1, 12_300.0, 11_900.0, 30.0)
LIMIT_GB = 8.0
_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"


def true_shifts_px() -> np.ndarray:
    """(2, frames) x and y displacement, zero mean."""
    t = np.linspace(0, 1, FRAMES)
    shifts = np.stack([8 * t, -5 * t**2])
    return shifts - shifts.mean(axis=1, keepdims=True)


def frames() -> Iterator[np.ndarray]:
    """A white scene through a CTF, moved, one electron a pixel."""
    generator = torch.Generator().manual_seed(1)
    spectrum = torch.fft.rfft2(torch.randn(SIZE_PX, SIZE_PX, generator=generator))
    kx, ky = torch.fft.rfftfreq(SIZE_PX)[None], torch.fft.fftfreq(SIZE_PX)[:, None]
    spectrum = spectrum * ctf_2d(DEFOCUS, SIZE_PX, SIZE_PX, PIXEL_SIZE_ANGSTROM) * torch.exp(-20 * (kx**2 + ky**2))
    spectrum = spectrum * (0.1 / torch.fft.irfft2(spectrum).std())
    for x, y in true_shifts_px().T:
        scene = torch.fft.irfft2(spectrum * torch.exp(-2j * math.pi * (kx * float(x) + ky * float(y))))
        yield torch.poisson((1 + scene).clamp_min(0), generator=generator).to(torch.uint8).numpy()


def memory_gb(root_pid: int) -> float:
    """Proportional set size of a process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
    family, grew = {root_pid}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grew = bool(more)
    total_kb = 0
    for pid in family:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total_kb / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").mkdir()
        movie = folder / "raw" / "movie.tiff"
        write_movie_tiff(movie, frames(), compression="lzw")
        command = ["watch", str(folder / "raw"), "--session", str(folder / "session"), "--preset", "simulated"]
        command += ["--no-gain", "--pixel-size-angstrom", "1.0", "--dose-per-frame-e-per-a2", "1.0", "--once"]
        began_s = time.monotonic()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-c", _VERB, *command], stdout=log, stderr=log, env=os.environ)
            peak_gb = 0.0
            while process.poll() is None:
                peak_gb = max(peak_gb, memory_gb(process.pid))
                time.sleep(0.25)
        if process.returncode != 0:
            raise SystemExit((folder / "log").read_text())
        database = duckdb.connect(str(folder / "session" / "session.duckdb"), read_only=True)
        shifts = database.execute(
            "SELECT shift_x_angstrom, shift_y_angstrom FROM frame_shifts ORDER BY frame"
        ).fetchnumpy()
        defocus = database.execute("SELECT defocus_u_angstrom, defocus_v_angstrom FROM ctf").fetchall()[0]
        stages = dict(database.execute("SELECT stage, seconds FROM stages").fetchall())
        database.close()
        difference = np.stack([shifts["shift_x_angstrom"], shifts["shift_y_angstrom"]]) - true_shifts_px()
        result = {
            "size_bytes": movie.stat().st_size,
            "peak_memory_gb": round(peak_gb, 2),
            "limit_gb": LIMIT_GB,
            "wall_s_with_start": round(time.monotonic() - began_s, 1),
            "stages_s": {stage: round(seconds, 2) for stage, seconds in stages.items()},
            "shift_rms_angstrom": round(float(np.sqrt((difference**2).sum(axis=0).mean())), 3),
            "defocus_u_v_angstrom": [round(value, 1) for value in defocus],
            "true_defocus_u_v_angstrom": [DEFOCUS.defocus_u_angstrom, DEFOCUS.defocus_v_angstrom],
        }
    print(json.dumps(result, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    raise SystemExit(0 if peak_gb < LIMIT_GB else 1)


if __name__ == "__main__":
    main()
