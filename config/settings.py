"""Everything a person can set, with its unit in its name and what `null` means.

Each section is a model in `frazil.config.sections`. Unknown keys are refused (`frazil.config.loading` names the nearest
known one). The text under each key is the text of docs/configuration.md (`frazil.config.reference` makes the page).
"""

from __future__ import annotations

from frazil.config.sections.analysis import CausalSettings, EvaluationSettings
from frazil.config.sections.base import Section
from frazil.config.sections.instrument import CameraSettings, GainOrientation, MicroscopeSettings
from frazil.config.sections.operation import IntakeSettings, StoreSettings, WorkerSettings
from frazil.config.sections.outside import ALERT_SUBJECTS, AlertSettings, HttpSettings
from frazil.config.sections.processing import (
    CtfSettings,
    MotionSettings,
    ParticleSettings,
    RestorationSettings,
    ThresholdSettings,
)
from frazil.config.sections.targets import TargetsSettings
from frazil.config.sections.verdict import VerdictSettings

__all__ = [
    "ALERT_SUBJECTS",
    "PATH_KEYS",
    "AlertSettings",
    "CameraSettings",
    "CausalSettings",
    "CtfSettings",
    "EvaluationSettings",
    "GainOrientation",
    "HttpSettings",
    "IntakeSettings",
    "MicroscopeSettings",
    "MotionSettings",
    "ParticleSettings",
    "RestorationSettings",
    "Settings",
    "StoreSettings",
    "TargetsSettings",
    "ThresholdSettings",
    "VerdictSettings",
    "WorkerSettings",
]

PATH_KEYS = frozenset(
    {
        "camera.gain",
        "camera.defects",
        "particles.initial_map",
        "intake.sidecar_roots",
        "targets.roots",
        "causal.learn_from",
        "causal.graph",
        "evaluation.model",
        "evaluation.citation_graph",
        "evaluation.references_dir",
    }
)
"""Settings that are paths: made absolute when they are loaded."""


class Settings(Section):
    """The whole effective configuration; stored with the session as YAML."""

    preset: str | None = None
    """The preset that filled what nobody said."""
    microscope: MicroscopeSettings = MicroscopeSettings()
    camera: CameraSettings = CameraSettings()
    intake: IntakeSettings = IntakeSettings()
    motion: MotionSettings = MotionSettings()
    ctf: CtfSettings = CtfSettings()
    particles: ParticleSettings = ParticleSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    workers: WorkerSettings = WorkerSettings()
    restoration: RestorationSettings = RestorationSettings()
    causal: CausalSettings = CausalSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    targets: TargetsSettings = TargetsSettings()
    store: StoreSettings = StoreSettings()
    alerts: AlertSettings = AlertSettings()
    verdict: VerdictSettings = VerdictSettings()
    http: HttpSettings = HttpSettings()
    origins: dict[str, str] = {}
    """`section.key` to where the value came from (a flag, a variable, a file, a preset); a default is not listed.
    Written by `frazil.config.loading`."""
