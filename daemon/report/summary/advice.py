"""What to do about a session, from its numbers alone.

The limits are those that people at microscopes already set: astigmatism 1000 A (Scipion's CTF alarm), CTF resolution
6 A (RELION's default selection), a quarter of movies kept as the point to stop and look (Diamond's alert rule). The
causal model's advice (`interventions`) knows more and comes first.
"""

from __future__ import annotations

from dataclasses import replace

from frazil.daemon.report.summary.records import Metric, SessionSummary
from frazil.models.records import MovieState

ASTIGMATISM_ANGSTROM = 1000.0
CTF_FIT_ANGSTROM = 6.0
EARLY_MOTION_ANGSTROM = 5.0
KEPT_SHARE = 0.75
_WORSE_FACTOR = 1.3
_WORSE_P = 0.005
"""Of each metric; six are looked at: at most three sessions in a hundred are told of a trend that they do not have."""
_WORSE_BY = {
    "ctf_fit_angstrom": 0.5,
    "astigmatism_angstrom": 150.0,
    "motion_total_angstrom": 3.0,
    "motion_early_angstrom": 1.0,
    "ice_ring_density": 0.1,
    "ice_nm": 15.0,
    "relative_ice_thickness": 0.1,
}
"""A change that is worth a word, in the metric's unit: about a tenth of a limit above, or the error of one movie."""


def advice(summary: SessionSummary) -> SessionSummary:
    """The same summary with its `advice` filled."""
    said = [*summary.interventions[:3]]
    said += [f"{alert.text}: {alert.remedy}" for alert in summary.alerts if alert.remedy and alert.severity == "error"]
    said += _about_numbers(summary)
    if summary.set_aside:
        said.append(
            f"{_were(summary.set_aside, 'was', 'were')} set aside; see why with `frazil query {summary.session_dir} "
            "--named failures`; have one tried again with `frazil requeue` (`--as-is`: with the frames that it has)"
        )
    if summary.waiting and not summary.live:
        raw = summary.raw_root if summary.raw_is_there else "RAW (where the movies are now)"
        said.append(
            f"{_were(summary.waiting, 'is', 'are')} not processed yet: start `frazil watch {raw} "
            f"--session {summary.session_dir}` again and it goes on where it stopped"
        )
    if not said and summary.kept:
        said.append("nothing stands out; go on collecting")
    return replace(summary, advice=tuple(dict.fromkeys(said)))


def _were(count: int, one: str, several: str) -> str:
    return f"1 movie {one}" if count == 1 else f"{count} movies {several}"


def _about_numbers(summary: SessionSummary) -> list[str]:
    said = []
    metrics = {metric.name: metric for metric in summary.metrics}
    finished = summary.kept + summary.rejected
    if finished >= 8 and summary.kept < KEPT_SHARE * finished:
        top = next((reason for reason in summary.reasons if reason.state == MovieState.REJECTED), None)
        because = f", most often because: {top.example}" if top else ""
        said.append(f"only {100 * summary.kept / finished:.0f} % of the finished movies were kept{because}")
    ctf, astigmatism = metrics.get("ctf_fit_angstrom"), metrics.get("astigmatism_angstrom")
    motion = metrics.get("motion_early_angstrom")
    if ctf and ctf.median > CTF_FIT_ANGSTROM:
        said.append(
            f"half of the kept movies have a CTF that fits only to {ctf.median:.1f} A or worse: look for thinner ice, "
            "check the dose and the focus"
        )
    if astigmatism and astigmatism.median > ASTIGMATISM_ANGSTROM:
        said.append(f"correct the objective astigmatism: its median is {astigmatism.median:.0f} A")
    if motion and motion.median > EARLY_MOTION_ANGSTROM:
        said.append(
            f"wait longer after moving the stage: the specimen moves {motion.median:.1f} A within the first 4 e/A2"
        )
    said += [_worse(metric) for metric in summary.metrics if is_worse(metric)]
    if summary.live and summary.lag_p95_s and summary.found_per_hour and summary.finished_per_hour:
        behind = summary.found_per_hour - summary.finished_per_hour
        if behind > 0.1 * summary.found_per_hour and summary.waiting > 10:
            said.append(
                f"processing falls behind by {behind:.0f} movies an hour ({summary.waiting} wait): add workers or "
                "reduce motion.patch_grid_x and patch_grid_y"
            )
    return said


def is_worse(metric: Metric) -> bool:
    """Whether its last quarter is larger than its first by an amount that matters and that is no accident."""
    if not metric.less_is_better or metric.first_quarter_median is None or metric.last_quarter_median is None:
        return False
    early, late = metric.first_quarter_median, metric.last_quarter_median
    material = early > 0 and late > _WORSE_FACTOR * early and late - early >= _WORSE_BY.get(metric.name, 0.0)
    return material and metric.worse_p is not None and metric.worse_p < _WORSE_P


def _worse(metric: Metric) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    return (
        f"{metric.words} got worse during the session: {metric.first_quarter_median:.3g}{unit} in its first quarter, "
        f"{metric.last_quarter_median:.3g}{unit} in its last"
    )
