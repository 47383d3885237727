"""Ice in nm of holes that nobody exposed, by their brightness in squares' images, against the truth.

    ./run bench hole_images [--grids 12] [--first-seed 8101] [--data DATA] [--json OUT.json]

simulated   grids of six kinds (`models/simulation/grid`), five squares each; after 0, 10 and 40 exposures in two of the
            squares, told by counts with a zero that nobody knows: error, and what the intervals hold
other_law   sessions of three images by the law of `pictures` (carbon and gold, uneven beam, holes a third of a diameter
            off, rows upwards): the same, where holes were found, blobs, film and torn places found
choice      rank correlation of what frazil expects of the holes left and what they give, by what is known of them
shuffled    exposures' ice dealt to other holes: how often it is refused, and how often the right one is
real        a square of a real grid, its lattice given by hand (docs/real-data.md)
speed       CPU seconds of a 4096 x 4096 image with 1,000 holes

The code was tried on simulated grids 3 to 8 and on images with other seeds than these.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.hole_images.choice import choice_figures
from benchmarks.hole_images.pictures import Drawn, PictureSettings
from benchmarks.hole_images.real import real_figures
from benchmarks.hole_images.sessions import Session, of_grid, of_pictures
from benchmarks.real_data import shared_data
from frazil.models.hole_images.cutouts import reduced
from frazil.models.hole_images.ice_calibration import Exposed, IceByBrightness, ice_by_brightness
from frazil.models.hole_images.looks import Array, HolePlaces
from frazil.models.hole_images.registration import found_holes
from frazil.models.hole_images.square import square_look
from frazil.models.simulation.grid.settings import KINDS, grid_of_kind

FIRST_SEED = 8101
EXPOSURES = (0, 10, 40)
SQUARES = 5
OTHER = {
    "carbon": {"film": "carbon"},
    "gold": {"film": "gold", "length_nm": 320.0},
    "thick": {"ice_nm": 95.0, "film": "gold"},
    "gradient": {"ice_spread_ln": 0.6, "length_nm": 210.0},
    "dirty": {"dirty_holes": 0.35, "covered_holes": 0.1},
    "uneven beam": {"vignetting": 0.1, "tilt": 0.05, "film": "gold"},
    "no vacuum": {"torn": False, "empty_holes": 0.0},
    "few counts": {"vacuum_counts": 60.0, "length_nm": 350.0},
}
_ROUNDS = 3


def told(session: Session, exposures: int) -> dict[str, Any]:
    """Error of the holes that nobody exposed."""
    exposed = session.exposed(exposures)
    ice = ice_by_brightness(session.brightness, exposed, session.references)
    asked = session.clean.copy()
    asked[exposed.hole] = False
    figures: dict[str, Any] = {"exposures": len(exposed.hole), "holes": int(asked.sum()), "refused": ice.refused}
    if ice.refused:
        return figures
    wrong = ice.ice_nm[asked] - session.ice_nm[asked]
    pull = np.abs(wrong) / ice.ice_sd_nm[asked]
    return figures | {
        "bias_nm": float(wrong.mean()), "rms_nm": float(np.sqrt((wrong**2).mean())), "spread_nm": float(wrong.std()),
        "told_sd_nm": float(ice.ice_sd_nm[asked].mean()), "inside_68": float((pull < 1.0).mean()),
        "inside_95": float((pull < 1.96).mean()), "length_nm": ice.length_nm, "length_sd_nm": ice.length_sd_nm,
        "zero_sd_nm": exposed.zero_sd_nm, "rank_correlation": _ranks(ice, session, asked),
        "rank_correlation_of_brightness": _rho(-session.brightness.ln_intensity[asked], session.ice_nm[asked]),
    }  # fmt: skip


def _ranks(ice: IceByBrightness, session: Session, asked: np.ndarray) -> float:
    return _rho(ice.ice_nm[asked], session.ice_nm[asked])


def _rho(a: Array, b: Array) -> float:
    return float(spearmanr(a, b).statistic)


def together(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over sessions: each counts once."""
    said = [row for row in rows if not row["refused"]]
    names = [name for name in said[0] if name not in ("refused", "exposures")]
    figures = {name: float(np.mean([row[name] for row in said])) for name in names}
    figures["bias_rms_nm"] = float(np.sqrt(np.mean([row["bias_nm"] ** 2 for row in said])))
    figures["worst_spread_nm"] = max(row["spread_nm"] for row in said)
    return {"sessions": len(rows), "refused": len(rows) - len(said), **figures}


def shuffled(session: Session, exposures: int) -> bool:
    """Whether exposures' ice is refused that was dealt to other holes."""
    exposed = session.exposed(exposures)
    dealt = np.random.default_rng([session.seed, 32]).permutation(exposed.ice_nm)
    lie = Exposed(exposed.hole, dealt, exposed.ice_sd_nm, exposed.zero_sd_nm)
    return bool(ice_by_brightness(session.brightness, lie, session.references).refused)


def detection(found: Sequence[Drawn], session: Session) -> dict[str, float]:
    """Where holes were found, and which were seen to be bad."""
    error, looks = [], session.looks
    for one in found:
        places = found_holes(reduced(one.image, HolePlaces(one.x_px, one.y_px, one.diameter_px)))
        seen = one.whole & ~one.torn
        error.append(np.hypot(places.x_px - one.true_x_px, places.y_px - one.true_y_px)[seen] / one.diameter_px)
    dark, covered, torn, whole = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("dark_share", "covered_share", "torn", "whole")
    )
    known = whole & ~torn & np.isfinite(looks.dark_share)
    flagged, left = looks.dark_share > 0.05, np.concatenate(error)
    clean = known & (dark < 0.005) & (covered == 0.0)
    blobs, film = known & (dark > 0.1), known & (covered > 0.2)
    gone = torn & np.isfinite(looks.ring_share)
    return {
        "off_median_diameters": float(np.median(left)), "found_within_0.1": float((left < 0.1).mean()),
        "blobs_seen": _share(flagged, blobs), "film_seen": _share(flagged, film),
        "clean_flagged": _share(flagged, clean),
        "torn_seen": _share(looks.ring_share < 0.4, gone),
        "whole_taken_for_torn": _share(looks.ring_share < 0.4, clean),
    }  # fmt: skip


def _share(seen: np.ndarray, asked: np.ndarray) -> float:
    return float(seen[asked].mean()) if asked.any() else math.nan


def simulated_figures(grids: int, first_seed: int) -> tuple[dict[str, Any], dict[str, Any], list[Session]]:
    """Also what it brings to the choice of holes."""
    rows: dict[int, list[dict[str, Any]]] = {count: [] for count in EXPOSURES}
    chosen, sessions = [], []
    for number in range(grids):
        kind = tuple(KINDS)[number % len(KINDS)]
        settings = grid_of_kind(kind, first_seed + number).with_changes(film={"surveyed_squares": SQUARES})
        session, surveyed = of_grid(settings)
        sessions.append(session)
        for count in EXPOSURES:
            rows[count].append({"name": session.name, **told(session, count)})
            print(session.name, _line(rows[count][-1]), flush=True)
        chosen.append({"name": session.name, **choice_figures(session, surveyed, EXPOSURES[-1])})
        print(session.name, chosen[-1], flush=True)
    names = [name for name in chosen[0] if name != "name"]
    together_chosen = {name: float(np.mean([row[name] for row in chosen])) for name in names}
    return _by_exposures(rows), {"mean": together_chosen, "each": chosen}, sessions


def _by_exposures(rows: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    unnamed = {count: [{k: v for k, v in row.items() if k != "name"} for row in some] for count, some in rows.items()}
    return {f"after_{count}": together(unnamed[count]) | {"each": rows[count]} for count in rows}


def other_figures(first_seed: int) -> tuple[dict[str, Any], dict[str, Any], list[Session]]:
    """By the law of `pictures`: ice, and what was found."""
    rows: dict[int, list[dict[str, Any]]] = {count: [] for count in EXPOSURES}
    seen, sessions = {}, []
    for number, (name, changes) in enumerate(OTHER.items()):
        plain = replace(PictureSettings(), **changes)  # type: ignore[arg-type]
        session, found = of_pictures(name, (plain,) * 3, first_seed + number)
        sessions.append(session)
        seen[name] = detection(found, session)
        for count in EXPOSURES:
            rows[count].append({"name": name, **told(session, count)})
            print(name, _line(rows[count][-1]), flush=True)
        print(name, {key: round(value, 3) for key, value in seen[name].items()}, flush=True)
    whole = {key: float(np.nanmean([one[key] for one in seen.values()])) for key in next(iter(seen.values()))}
    clean = {name: {k: None if math.isnan(v) else v for k, v in one.items()} for name, one in seen.items()}
    return _by_exposures(rows), {"mean": whole, "each": clean}, sessions


def _line(row: dict[str, Any]) -> str:
    if row["refused"]:
        return f"{row['exposures']} exposures: refused"
    return (
        f"{row['exposures']} exposures: bias {row['bias_nm']:.1f}, spread {row['spread_nm']:.1f}, told "
        f"{row['told_sd_nm']:.1f} nm; inside {row['inside_68']:.2f} {row['inside_95']:.2f}; rank "
        f"{row['rank_correlation']:.2f}"
    )


def speed() -> dict[str, float]:
    """The best of some rounds."""
    rng, at = np.random.default_rng(1), np.arange(32) * 124.0 + 120.0
    x, y = (part.ravel()[:1000] for part in np.meshgrid(at, at))
    image = rng.poisson(60.0, (4096, 4096))
    for to_x, to_y in zip(x.astype(int), y.astype(int), strict=True):
        rows, columns = np.mgrid[-35:36, -35:36]
        image[to_y - 35 : to_y + 36, to_x - 35 : to_x + 36] += 30 * (np.hypot(rows, columns) < 30.0)
    counts, spent = image.astype(np.uint16), []
    for _ in range(_ROUNDS):
        started_s = time.process_time()
        square_look(counts, HolePlaces(x + 5.0, y - 4.0, 60.0))
        spent.append(time.process_time() - started_s)
    return {"holes": len(x), "side_px": 4096, "cpu_s": min(spent)}


def main() -> None:
    parser = shared_data.parser(__doc__)
    parser.add_argument("--grids", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    args = parser.parse_args()
    simulated, choice, grids = simulated_figures(args.grids, args.first_seed)
    other, found, pictures = other_figures(args.first_seed)
    every = [*grids, *pictures]
    lies = {f"refused_after_{n}": sum(shuffled(one, n) for one in every) for n in EXPOSURES[1:]}
    figures = {
        "simulated": simulated, "other_law": other, "found": found, "choice": choice,
        "shuffled": {"sessions": len(every), **lies}, "real": real_figures(args), "speed": speed(),
    }  # fmt: skip
    for part, by_count in (("simulated", simulated), ("other_law", other)):
        for count, row in by_count.items():
            print(part, count, {key: round(value, 2) for key, value in row.items() if isinstance(value, float)})
    print({key: figures[key] for key in ("shuffled", "real", "speed")}, found["mean"], choice["mean"])
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
