"""Sessions drawn at random, as the truth that documents are then written from; some of it is left out on purpose."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

MICROSCOPES = ("Titan Krios G3i", "Titan Krios G4", "Talos Arctica", "Glacios", "CRYO ARM 300 II", "Titan Krios")
CAMERAS = ("Gatan K3", "Falcon 4i", "Gatan K2 Summit", "Falcon 4", "Falcon 3", "DE Apollo")
GROUPS = ("C1", "C2", "C3", "C4", "C7", "D2", "D7", "O", "I", "T")


@dataclass(frozen=True, slots=True)
class Truth:
    """What a session's documents say; `None`: nothing."""

    microscope: str | None = None
    camera: str | None = None
    voltage_kv: float | None = None
    cs_mm: float | None = None
    amplitude_contrast: float | None = None
    pixel_angstrom: float | None = None
    dose_e_per_a2: float | None = None
    frames: int | None = None
    dose_frame_e_per_a2: float | None = None
    exposure_s: float | None = None
    defocus_um: tuple[float, float] | None = None
    """Underfocus positive, the smaller first."""
    slit_ev: float | None = None
    magnification: float | None = None
    symmetry: str | None = None
    diameter_angstrom: float | None = None

    def told(self) -> dict[str, object]:
        """What is said, by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def drawn(seed: int, *, left_out: float = 0.25) -> Truth:
    """A session; each value is left out with this chance."""
    chance = random.Random(seed)
    frames = chance.randint(20, 80)
    dose_frame = round(chance.uniform(0.6, 1.6), 3)
    least = round(chance.uniform(0.4, 1.4), 1)
    whole = {
        "microscope": chance.choice(MICROSCOPES),
        "camera": chance.choice(CAMERAS),
        "voltage_kv": chance.choice((200.0, 300.0, 300.0, 120.0)),
        "cs_mm": chance.choice((2.7, 2.0, 0.01, 1.4)),
        "amplitude_contrast": chance.choice((0.07, 0.1, 0.12)),
        "pixel_angstrom": round(chance.uniform(0.4, 2.4), 3),
        "dose_e_per_a2": round(dose_frame * frames, 1),
        "frames": frames,
        "dose_frame_e_per_a2": dose_frame,
        "exposure_s": round(chance.uniform(1.2, 9.0), 1),
        "defocus_um": (least, round(least + chance.uniform(0.4, 2.0), 1)),
        "slit_ev": float(chance.choice((5, 10, 15, 20))),
        "magnification": float(chance.choice((45, 63, 81, 96, 105, 130, 165, 215)) * 1000),
        "symmetry": chance.choice(GROUPS),
        "diameter_angstrom": float(chance.randint(8, 60) * 5),
    }
    return Truth(**{name: value for name, value in whole.items() if chance.random() >= left_out})  # type: ignore[arg-type]
