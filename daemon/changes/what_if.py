"""What other thresholds would do: movies and particles exactly, the map with an interval. Pure.

Which movies: by the function that the daemon itself judges with. The map: its SSNR is the sum of what its particles
carry, so kept particles over all is the factor by which it falls (`frazil.models.reconstruction.resolution.forecast`).
But those that are set aside are the worse ones: where losses by cause are known, each movie's particles count
exp(-loss) at the map's resolution. The truth is between the two shares, and the interval holds both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from frazil.config.cuts import CUT_METRICS
from frazil.config.errors import SettingsError
from frazil.config.loading import first_fault
from frazil.config.settings import ThresholdSettings
from frazil.daemon.session.thresholds import Facts, reason_for
from frazil.models.interval_words import eighty
from frazil.models.records import MovieState

Row = Mapping[str, Any]
_KEPT, _REJECTED = MovieState.READY.value, MovieState.REJECTED.value


@dataclass(frozen=True, slots=True)
class Change:
    """A movie that would change sides."""

    movie_id: str
    relative_path: str
    particles: int
    reason: str | None
    """Why it would be rejected; None: it would be kept."""


@dataclass(frozen=True, slots=True)
class MapChange:
    """Of the newest map, in angstrom; the interval is 80 % and holds what a map of any session like this may show."""

    resolution_from_angstrom: float
    resolution_to_angstrom: float
    best_angstrom: float
    worst_angstrom: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """See the module."""

    movies_kept_before: int
    movies_kept_after: int
    particles_before: int
    particles_after: int
    rejected: tuple[Change, ...]
    """Kept now, set aside then."""
    kept_again: tuple[Change, ...]
    map: MapChange | None
    """None: there is no map yet, or none of its particles would be left."""
    by_hand: int
    """Movies that a person has accepted or rejected: no threshold changes them."""
    share_of_signal: float | None = None
    """Of what the map's particles carry at its resolution, kept; None: no losses are known."""


def facts_of_row(row: Row) -> Facts:
    """Of a row of the query `threshold_facts`."""
    return Facts(bool(row["reliable"]), row["flag"], {name: row[name] for name in CUT_METRICS})


def state_and_reason(row: Row, thresholds: ThresholdSettings) -> tuple[str, str | None]:
    """What a movie is under these thresholds. A person's verdict stays."""
    if row["by_hand"]:
        return str(row["state"]), row["rejection_reason"]
    reason = reason_for(facts_of_row(row), thresholds)
    return (_KEPT, None) if reason is None else (_REJECTED, reason)


def what_if(
    rows: Iterable[Row],
    thresholds: ThresholdSettings,
    *,
    resolution_angstrom: float | None,
    gains: Sequence[tuple[float, float, float, float]],
) -> WhatIf:
    """The effect of thresholds on what has been processed.

    Parameters
    ----------
    rows:
        `threshold_facts`: movies that are `ready` or `rejected`.
    resolution_angstrom:
        Of the newest map; None: there is none.
    gains:
        (factor on the particles, best, median, worst resolution in angstrom) of that map's forecast.
    """
    rejected: list[Change] = []
    again: list[Change] = []
    kept_before = kept_after = particles_before = particles_after = by_hand = 0
    signal_before = signal_after = 0.0
    losses_known = True
    for row in rows:
        before, (after, reason) = row["state"], state_and_reason(row, thresholds)
        particles = int(row["particle_count"] or 0)
        by_hand += bool(row["by_hand"])
        signal = 0.0
        if row["loss_ln_ssnr"] is not None:
            signal = particles * math.exp(-float(row["loss_ln_ssnr"]))
        elif particles and _KEPT in (before, after):
            losses_known = False
        if before == _KEPT:
            kept_before += 1
            particles_before += particles
            signal_before += signal
        if after == _KEPT:
            kept_after += 1
            particles_after += particles
            signal_after += signal
        if before != after:
            change = Change(str(row["movie_id"]), str(row["relative_path"]), particles, reason)
            (rejected if after == _REJECTED else again).append(change)
    shares = [particles_after / particles_before] if particles_before else []
    of_signal = signal_after / signal_before if losses_known and signal_before > 0 else None
    if of_signal is not None:
        shares.append(of_signal)
    return WhatIf(
        movies_kept_before=kept_before,
        movies_kept_after=kept_after,
        particles_before=particles_before,
        particles_after=particles_after,
        rejected=tuple(sorted(rejected, key=lambda change: change.relative_path)),
        kept_again=tuple(sorted(again, key=lambda change: change.relative_path)),
        map=_map_change(shares, resolution_angstrom, gains),
        by_hand=by_hand,
        share_of_signal=of_signal,
    )


def _map_change(
    shares: Sequence[float], resolution_angstrom: float | None, gains: Sequence[tuple[float, float, float, float]]
) -> MapChange | None:
    if resolution_angstrom is None or len(gains) < 2 or not shares or min(shares) <= 0:
        return None
    table = np.array(sorted(gains), dtype=np.float64)
    at = np.log(table[:, 0])

    def resolution(share: float, column: int) -> float:
        return float(np.interp(math.log(share), at, table[:, column]))

    # The measured map is one draw: what is foretold is how far the forecast moves, with its own spread.
    off = resolution_angstrom - resolution(1.0, 2)
    if all(share == 1.0 for share in shares):
        return MapChange(resolution_angstrom, resolution_angstrom, resolution_angstrom, resolution_angstrom)
    return MapChange(
        resolution_from_angstrom=resolution_angstrom,
        resolution_to_angstrom=off + resolution(shares[-1], 2),
        best_angstrom=off + resolution(max(shares), 1),
        worst_angstrom=off + resolution(min(shares), 3),
    )


def with_thresholds(thresholds: ThresholdSettings, changes: Mapping[str, object]) -> ThresholdSettings:
    """Thresholds with some of them other; `cuts` may be one text with `;` between them.

    Raises
    ------
    SettingsError
        A name or a value that thresholds do not have.
    """
    unknown = sorted(set(changes) - set(ThresholdSettings.model_fields))
    if unknown:
        raise SettingsError(
            f"there is no threshold {', '.join(unknown)}",
            remedy=f"there are {', '.join(ThresholdSettings.model_fields)}",
        )
    values = {**thresholds.model_dump(), **changes}
    if isinstance(values["cuts"], str):
        values["cuts"] = tuple(part.strip() for part in values["cuts"].split(";") if part.strip())
    try:
        return ThresholdSettings(**values)
    except ValidationError as error:
        where, fault = first_fault(error)
        # A rule between several thresholds names them itself.
        sentence = f"thresholds.{where}: {fault[:1].lower()}{fault[1:]}" if where else fault
        raise SettingsError(sentence, remedy="correct the value") from error


def to_dict(effect: WhatIf) -> dict[str, Any]:
    """For JSON."""
    return asdict(effect)


def to_lines(effect: WhatIf, *, most: int = 10) -> list[str]:
    """For a person."""
    lost = effect.particles_before - effect.particles_after
    share = f" ({-lost / effect.particles_before:+.0%})" if lost and effect.particles_before else ""
    lines = [
        f"movies     {effect.movies_kept_before} kept now, {effect.movies_kept_after} then: "
        f"{len(effect.rejected)} set aside, {len(effect.kept_again)} kept again",
        f"particles  {effect.particles_before:,} now, {effect.particles_after:,} then" + share,
    ]
    if effect.share_of_signal is not None and effect.share_of_signal != 1.0:
        lines.append(
            f"signal     {effect.share_of_signal:.1%} of what the particles carry at the map's resolution stays"
        )
    if effect.map is None:
        lines.append("map        nothing can be foretold")
    elif effect.map.resolution_to_angstrom == effect.map.resolution_from_angstrom:
        lines.append(f"map        {effect.map.resolution_from_angstrom:.2f} A, no change")
    else:
        lines.append(
            f"map        {effect.map.resolution_from_angstrom:.2f} A now, "
            f"{effect.map.resolution_to_angstrom:.2f} A then"
            f"{eighty(effect.map.best_angstrom, effect.map.worst_angstrom, 2)}"
        )
    if effect.by_hand:
        lines.append(f"by hand    {effect.by_hand} movies were accepted or rejected by a person and stay what they are")
    for title, changes in (("set aside", effect.rejected), ("kept again", effect.kept_again)):
        for change in changes[:most]:
            lines.append(f"  {title}: {change.relative_path}" + (f": {change.reason}" if change.reason else ""))
        if len(changes) > most:
            lines.append(f"  ... and {len(changes) - most} more {title}")
    return lines
