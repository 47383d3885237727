"""The sandbox: runaways by how they were stopped, and sensitivities against finite differences of another step.

./run bench sandbox [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch

from frazil.actors.sandbox_process import SandboxLimits, run_sandboxed
from frazil.config.settings import EvaluationSettings, Settings
from frazil.models.evaluation.robustness.rerun import instrument_errors
from frazil.models.evaluation.robustness.rerun_parts import Sums, align, ctf_part, motion_part
from frazil.models.evaluation.robustness.sensitivity import Part, run_part, sensitivities
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.simulation import SimulatedSession, preset

RUNAWAYS = {
    "infinite loop": "while True: pass",
    "sleep for ever": "import time; time.sleep(1e9)",
    "100 GB": "bytearray(100 << 30)",
    "100 GB by numpy": "import numpy; numpy.ones(100 << 27)",
    "fork bomb": "import os\nwhile True: os.fork()",
    "fork bomb past Python": "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.fork()",
    "shell": "import os; os.system(':(){ :|:& };:')",
    "file write outside": "open({outside!r}, 'w')",
    "the same past Python": "import ctypes\nassert ctypes.CDLL(None).open({outside!r}.encode(), 65, 420) < 0",
    "network": "import socket; socket.create_connection(('127.0.0.1', 22))",
    "endless file": "with open('a', 'wb') as file:\n while True: file.write(bytes(1 << 20))",
    "kill its parent": "import os; os.kill(os.getppid(), 9)",
}
FARTHER = 2.0
"""Step of the check, in errors: none of those that the table is made from."""


def runaways() -> list[dict[str, object]]:
    limits = SandboxLimits(cpu_s=2, wall_s=10.0, memory_mib=2048, disk_mib=16)
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder) / "outside"
        for name, code in RUNAWAYS.items():
            ended = run_sandboxed(code.replace("{outside!r}", repr(str(outside))), limits=limits)
            stopped = str(ended.stopped or ("refused, went on" if ended.finished else ended.text))
            print(f"{name:22} {stopped:26} {ended.wall_seconds:6.2f} s  left over {ended.left_over}")
            found.append({"code": name, "stopped": stopped, "seconds": ended.wall_seconds, "left": ended.left_over})
        print(f"a file outside: {'yes' if outside.exists() else 'none'}; walls: {dict(ended.walls)}")
    return found


def differences(seed: int) -> list[dict[str, object]]:
    chosen = preset("demo").with_changes(seed=seed)
    movie = SimulatedSession(chosen).movie(0)
    frames = np.stack([frame.numpy() for frame in movie.corrected_frames()])
    pixel, dose = chosen.pixel_size_angstrom, chosen.dose_per_frame_e_per_a2
    acquisition = AcquisitionParameters(pixel, 300.0, chosen.optics.cs_mm, 0.1, dose, 0.0, False, ())
    at = {
        "pixel_size_angstrom": pixel, "voltage_kv": 300.0, "cs_mm": chosen.optics.cs_mm,
        "dose_per_frame_e_per_a2": dose, "gain_error": 0.0, "defocus_offset_angstrom": 0.0,
    }  # fmt: skip
    settings = Settings()
    errors = instrument_errors(EvaluationSettings(), at, 10.0)
    aligned = align(frames, at, acquisition, settings.motion)
    sums = Sums(aligned.dose_weighted, aligned.plain, aligned.even, aligned.odd)
    parts: dict[str, tuple[Part, tuple[str, ...]]] = {
        "motion": (motion_part(frames, acquisition, settings.motion), ("pixel_size_angstrom",)),
        "ctf": (
            ctf_part(sums, acquisition, settings.ctf, electrons_per_px=float(aligned.plain.mean())),
            ("pixel_size_angstrom", "voltage_kv", "cs_mm"),
        ),
    }
    found: list[dict[str, object]] = []
    for name, (part, parameters) in parts.items():
        wanted = {parameter: errors[parameter] for parameter in parameters}
        base, runs = run_part(part, at, wanted)
        for row in sensitivities(name, base, runs, at, errors):
            if row.in_own_errors is None or row.value is None or row.per_unit is None:
                continue
            step = FARTHER * row.error
            up, down = (part({**at, row.parameter: row.at + sign * step})[row.output].value for sign in (1, -1))
            if not isinstance(up, float) or not isinstance(down, float):
                continue
            other = (up - down) / (2 * step)
            off = abs(row.per_unit / other - 1.0) if other else math.inf
            print(
                f"{row.output:24} against {row.parameter:20} {row.per_unit:12.5g} +- {row.per_unit_error:.2g}, at "
                f"{FARTHER:g} errors {other:12.5g}: {off:.1%} off; {row.in_own_errors:.2f} of its own errors"
            )
            found.append(
                {
                    "output": row.output, "parameter": row.parameter, "per_unit": row.per_unit, "other": other,
                    "off": off, "in_own_errors": row.in_own_errors,
                }
            )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {"runaways": runaways(), "differences": differences(options.seed)}
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
