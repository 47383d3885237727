"""What particles tell of their movie that its rings cannot: coma and heterogeneity, against known truth.

Sessions of `reconstruction_scenes.py` (physics that shares no code with frazil) with drift, ice of all thicknesses, a
coma that grows with the image shift, and subunits that move in some movies, go through `RunningMap` as the actor drives
it. Each movie's particles are compared with the other half's map whenever they have been searched; the newest row of
each movie is what is judged:

- its beam tilt: error, the stated error's chi-square, and the same for what the session makes of all movies;
- its ln SSNR (coma taken out) against the true one, between movies: slope and scatter, band by band;
- the losses that the causal model then gives to coma and heterogeneity: median error with the prior alone, and with
  the particles.

What the causal model is otherwise given (image shift, drift in frames, counts, defocus) is the truth.

    ./run bench particle_evidence --structures DIR [--sessions pentamer:2001] [--movies 50]
        [--flexible 1.5] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ctf import scenes as ctf_scenes
from benchmarks.reconstruction import scenes
from benchmarks.reconstruction.bench import CPU, Bench
from frazil.models.causal.attribution import attribute, session_of
from frazil.models.causal.bands import band_frequencies_per_angstrom, curves_at
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.prior import physics_prior
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.records import ExposureFacts, MovieEvidence

Array = NDArray[Any]
_FRAMES = 8
_SCORED_ANGSTROM = (8.0, 5.0, 4.0)
_HELD_68 = 1.0


def wavelength_angstrom() -> float:
    return ctf_scenes.wavelength(300.0)


def true_tilt_mrad(movie: scenes.Movie) -> Array:
    """(2,) from the phase at 1/4 A."""
    rad_per_mrad = 2e-3 * math.pi * movie.optics.cs_mm * 1e7 * wavelength_angstrom() ** 2 / 4**3
    return np.array(movie.coma_rad) / rad_per_mrad


def known_beside(movie: scenes.Movie) -> MovieEvidence:
    """What the movie's frames, counts and records say: no rings."""
    t = movie.optics
    length, angle = t.drift
    step = np.arange(_FRAMES) - (_FRAMES - 1) / 2
    dose = t.dose / _FRAMES
    return MovieEvidence(
        shift_x_angstrom=tuple((step * length * math.cos(math.radians(angle))).tolist()),
        shift_y_angstrom=tuple((step * length * math.sin(math.radians(angle))).tolist()),
        shift_sd_angstrom=(),
        local_residual_angstrom=0.0,
        frame_count=_FRAMES,
        dose_per_frame_e_per_a2=dose,
        pre_exposure_e_per_a2=0.0,
        dose_per_frame_e_per_px=0.95 * dose * t.pixel_size**2 * math.exp(-t.ice_thickness / 3400.0),
        pixel_size_angstrom=t.pixel_size,
        voltage_kv=t.voltage_kv,
        cs_mm=t.cs_mm,
        defocus_angstrom=t.defocus,
        relative_ice_thickness=None,
        log_ssnr=(None,) * len(band_frequencies_per_angstrom()),
        log_ssnr_sd=0.25,
        exposure=ExposureFacts(
            stated_dose_per_frame_e_per_a2=dose,
            image_shift_x_um=movie.image_shift_um[0],
            image_shift_y_um=movie.image_shift_um[1],
            energy_filter=True,
        ),
    )


def newest_rows(bench: Bench) -> tuple[dict[int, ParticleEvidence], RunningMap, dict[str, float]]:
    """As the actor does it: after each search, of the new movie and of the earlier ones that were due."""
    running = RunningMap(
        bench.start(),
        bench.plane,
        symmetry=bench.session.shape.symmetry,
        diameter_angstrom=bench.diameter_angstrom,
        device=CPU,
    )
    rows: dict[int, ParticleEvidence] = {}
    search_s = evidence_s = 0.0

    def compare(number: int) -> None:
        nonlocal evidence_s
        particles = bench.spectra(number)
        begun = time.process_time()
        found = running.evidence(number, particles, voltage_kv=300.0, cs_mm=bench.movies[number].optics.cs_mm)
        evidence_s += time.process_time() - begun
        if found is not None:
            rows[number] = found

    for number in range(len(bench.movies)):
        begun = time.process_time()
        running.add(bench.spectra(number), bench.halves(number), bench.uniform_ssnr(number))
        search_s += time.process_time() - begun
        compare(number)
        for earlier in running.due():
            begun = time.process_time()
            running.again(earlier, bench.spectra(earlier))
            search_s += time.process_time() - begun
            compare(earlier)
    count = len(bench.movies)
    return rows, running, {"search_s_per_movie": search_s / count, "evidence_s_per_movie": evidence_s / count}


def tilt_scores(bench: Bench, rows: dict[int, ParticleEvidence]) -> dict[str, float]:
    """Of single movies."""
    error, truth, chi2, stated = [], [], [], []
    for number, row in rows.items():
        if row.beam_tilt_covariance_mrad2 is None:
            continue
        xx, xy, yy = row.beam_tilt_covariance_mrad2
        true = true_tilt_mrad(bench.movies[number])
        own = np.array([row.beam_tilt_x_mrad, row.beam_tilt_y_mrad]) - true
        error.append(own)
        truth.append(true)
        stated.append((xx + yy) / 2)
        chi2.append(own @ np.linalg.inv([[xx, xy], [xy, yy]]) @ own / 2)
    off, true_all = np.array(error), np.array(truth)
    weight = 1 / np.array(stated)
    slope = float((weight[:, None] * (off + true_all) * true_all).sum() / (weight[:, None] * true_all**2).sum())
    return {
        "movies": len(off),
        "true_rms_mrad": float(np.sqrt((true_all**2).mean())),
        "bias_x_mrad": float(np.average(off[:, 0], weights=weight)),
        "bias_y_mrad": float(np.average(off[:, 1], weights=weight)),
        "bias_sd_mrad": float(1 / np.sqrt(weight.sum())),
        "slope_on_truth": slope,
        "slope_sd": float(1 / np.sqrt((weight[:, None] * true_all**2).sum())),
        "rms_error_mrad": float(np.sqrt((off**2).mean())),
        "stated_sd_mrad": float(np.sqrt(np.mean(stated))),
        "chi2_per_degree": float(np.mean(chi2)),
    }


def ssnr_scores(bench: Bench, rows: dict[int, ParticleEvidence]) -> list[dict[str, float]]:
    """Of each band: differences between movies against the true ones."""
    found = []
    for band, frequency in enumerate(band_frequencies_per_angstrom()):
        value, sd, true = [], [], []
        for number, row in rows.items():
            if row.log_ssnr[band] is None:
                continue
            movie = bench.movies[number]
            value.append(row.log_ssnr[band])
            sd.append(row.log_ssnr_sd[band])
            true.append(np.interp(frequency, movie.frequency_per_angstrom, movie.ln_without_coma))
        if len(value) < 10:
            continue
        weight = 1 / np.square(np.array(sd, dtype=float))
        y = np.array(value, dtype=float) - np.average(np.array(value, dtype=float), weights=weight)
        x = np.array(true) - np.average(true, weights=weight)
        found.append(
            {
                "resolution_angstrom": float(1 / frequency),
                "movies": len(value),
                "slope": float((weight * x * y).sum() / (weight * x * x).sum()),
                "slope_sd": float(1 / np.sqrt((weight * x * x).sum())),
                "true_sd": float(np.std(x)),
                "scatter": float(np.std(y - x)),
                "stated_sd": float(np.sqrt(np.mean(1 / weight))),
                "chi2_per_degree": float(np.mean((y - x) ** 2 * weight)),
            }
        )
    return found


def attribution_scores(
    bench: Bench, rows: dict[int, ParticleEvidence], together: SessionParticles
) -> dict[str, dict[str, float]]:
    """Median error of the losses given to coma and heterogeneity, before and after the particles."""
    prior = physics_prior()
    off: dict[str, dict[str, list[float]]] = {}
    usual = {
        angstrom: float(
            np.median([np.interp(1 / angstrom, m.frequency_per_angstrom, m.ln_of_heterogeneity) for m in bench.movies])
        )
        for angstrom in _SCORED_ANGSTROM
    }
    for number, movie in enumerate(bench.movies):
        evidence = known_beside(movie)
        before = attribute(evidence, prior).losses
        after = attribute(evidence, prior, together, rows.get(number)).losses
        for angstrom in _SCORED_ANGSTROM:
            k = 1 / angstrom
            at = lambda curve, k=k, movie=movie: float(np.interp(k, movie.frequency_per_angstrom, curve))  # noqa: E731
            truths = {
                "aberrations": at(movie.ln_without_coma) - at(movie.ln_relative_ssnr),
                # What all movies share is in the map as well: the model speaks of differences from the median movie.
                "heterogeneity": max(0.0, usual[angstrom] + at(-movie.ln_of_heterogeneity)),
            }
            for name, true in truths.items():
                cell = off.setdefault(f"{name} at {angstrom:g} A", {"true": [], "before": [], "after": [], "z": []})
                index = before.factor_names.index(name)
                was = float(curves_at(k, np.array(before.loss_ln_ssnr[index])))
                now = float(curves_at(k, np.array(after.loss_ln_ssnr[index])))
                sd = float(curves_at(k, np.array(after.loss_sd[index])))
                cell["true"].append(true)
                cell["before"].append(was - true)
                cell["after"].append(now - true)
                cell["z"].append((now - true) / sd)
    scores = {}
    for name, cell in off.items():
        trues, before_off, after_off = (np.array(cell[part]) for part in ("true", "before", "after"))
        scores[name] = {
            "true_mean": float(trues.mean()),
            "true_largest": float(trues.max()),
            "median_error_before": float(np.median(np.abs(before_off))),
            "median_error_after": float(np.median(np.abs(after_off))),
            "rms_error_before": float(np.sqrt((before_off**2).mean())),
            "rms_error_after": float(np.sqrt((after_off**2).mean())),
            "correlation_before": _correlation(before_off + trues, trues),
            "correlation_after": _correlation(after_off + trues, trues),
            "inside_stated_sd": float(np.mean(np.abs(cell["z"]) <= _HELD_68)),
        }
    return scores


def _correlation(first: Array, second: Array) -> float:
    if first.std() < 1e-9 or second.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def session_tilt_scores(bench: Bench, together: SessionParticles) -> dict[str, float]:
    """Of t0 and M, which all movies of the session share."""
    shift = np.array([(1.0, *movie.image_shift_um) for movie in bench.movies])
    tilt = np.array([true_tilt_mrad(movie) for movie in bench.movies])
    true = np.linalg.lstsq(shift, tilt, rcond=None)[0].T.ravel()
    mean, covariance = np.array(together.tilt_mean), np.array(together.tilt_covariance)
    off = mean - true
    said = (shift @ mean.reshape(2, 3).T) - tilt
    return {
        "true_mrad_per_um": float(np.hypot(true[1], true[2])),
        "found_mrad_per_um": float(np.sqrt((mean.reshape(2, 3)[:, 1:] ** 2).sum() / 2)),
        "sd_mrad_per_um": float(np.sqrt(np.diag(covariance)[[1, 2, 4, 5]].mean())),
        "rms_error_of_movies_mrad": float(np.sqrt((said**2).mean())),
        "chi2_per_degree": float(off @ np.linalg.inv(covariance) @ off / 6),
    }


def one_session(bench: Bench) -> dict[str, object]:
    rows, running, cost = newest_rows(bench)
    together = session_of([(known_beside(bench.movies[n]), row) for n, row in sorted(rows.items())], physics_prior())
    resolution = running.round().resolution_0143_angstrom
    report: dict[str, object] = {
        "session": bench.label,
        "movies": len(bench.movies),
        "particles": running.particle_count,
        "map_0143_angstrom": resolution,
        "tilt_of_movies": tilt_scores(bench, rows),
        "tilt_of_session": session_tilt_scores(bench, together),
        "log_ssnr": ssnr_scores(bench, rows),
        "attribution": attribution_scores(bench, rows, together),
        "cost": cost,
    }
    print(f"{bench.label}: {running.particle_count} particles of {len(bench.movies)} movies, map {resolution:.2f} A")
    for part in ("tilt_of_movies", "tilt_of_session", "cost"):
        print(f"  {part}: {_line(report[part])}")
    for one in ssnr_scores(bench, rows):
        print(f"  ln SSNR: {_line(one)}")
    for name, scores in attribution_scores(bench, rows, together).items():
        print(f"  {name}: {_line(scores)}")
    print(flush=True)
    return report


def _line(values: object) -> str:
    assert isinstance(values, dict)
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True, help="folder of *.pdb.gz and *.cif.gz")
    parser.add_argument("--sessions", nargs="*", default=["pentamer:2001"])
    parser.add_argument("--movies", type=int, default=50)
    parser.add_argument("--flexible", type=float, default=1.5, metavar="ANGSTROM")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    reports = []
    for text in options.sessions:
        name, _, seed = text.partition(":")
        bench = Bench(
            name,
            int(seed),
            options.structures,
            movies=options.movies,
            artefacts=True,
            hard=False,
            flexible_angstrom=options.flexible,
        )
        reports.append(one_session(bench))
        if options.json is not None:
            options.json.write_text(json.dumps({"flexible_angstrom": options.flexible, "sessions": reports}, indent=1))


if __name__ == "__main__":
    main()
