"""Restored micrographs against the noise-free image: aligned sum, phase flip, Warp/IsoNet filter, frazil.

    ./run bench restoration [--scenes 63] [--seed 40000] [--structures FOLDER] [--json OUT.json]

Low-dose scenes with a known noise-free image (`restoration_scenes.py`, independent of frazil): 15 to 25 e/A2, 50 to
90 nm of ice, drift left in the sum; globular, membrane and fibre structures. Every method gets the same dose-weighted
sum and the same fitted CTF:

- `sum`: as it is; `flip`: times the sign of the CTF;
- `constant`: the filter of Warp and IsoNet with its published defaults, C / (C^2 + 1/SNR), SNR(x) = exp(-100 f x / a)
  10^(3 s) h(x) + 1e-6 with x the frequency over Nyquist, a the pixel size in A, f = s = 1 and the high-pass
  h = 1 - cos(pi min(1, x / 0.02)) (tom_deconv.m, D. Tegunov; Tegunov & Cramer 2019, Nat. Methods 16, 1146; IsoNet
  writes 10^s);
- `wiener`: frazil's Wiener filter; `local`: with places and bands weighted by what of them is specimen; `full`: with
  the learned residual where the held-out half bears it out.

Fourier ring correlation with the noise-free image: rings of 1/300 1/A, averaged over frequency with a Gaussian of sd
0.012 1/A (so that no method is judged by where a zero of the CTF falls), resolution where the curve falls through 0.5
and 0.143 beyond its highest point; 100 A where it never reaches that. `artefacts`: variance where there is no specimen,
of the images on a 4 A grid, after each is scaled to the noise-free image's contrast. F1 of picks (the same picker for
all). Intervals: bootstrap over micrographs, 95 %. "Best of three" is taken for each micrograph by itself, and over
those micrographs in which both that and frazil reach the threshold at all; the others are counted beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

import frazil.models.simulation
from benchmarks.ctf.bench import fit_scene
from benchmarks.picking import disc as picking_disc
from benchmarks.restoration import scenes as restoration_scenes
from frazil.models.causal.attribution import Attribution, attribute
from frazil.models.causal.evidence import collect_evidence
from frazil.models.causal.prior import physics_prior
from frazil.models.ctf_fit.fit import CtfFit
from frazil.models.deconvolution.artefacts import clean
from frazil.models.deconvolution.restoration import restore_micrograph
from frazil.models.deconvolution.ssnr import SsnrCurve
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.deconvolution.wiener import ctf_parameters, to_image, wiener_spectrum
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import ctf_2d
from frazil.models.records import CtfEstimate, FrameShifts, Quality

Array = NDArray[Any]
RIVALS = ("sum", "flip", "constant")
FRAMES = 20
"""Of the exposure, for the causal model: the scenes are sums."""
METHODS = (*RIVALS, "wiener", "local", "full")
NEVER_ANGSTROM = 100.0
GRID_ANGSTROM = 4.0
AIM, CPU = 0.237, torch.device("cpu")


def constant_wiener(spectrum: NDArray[Any], k: Array, ctf: Array, pixel_size: float) -> NDArray[Any]:
    """Warp's deconvolution with its default constants."""
    x = np.minimum(2 * pixel_size * k, 1.0)
    high_pass = 1 - np.cos(np.pi * np.minimum(1.0, x / 0.02))
    snr = np.exp(-100.0 * x / pixel_size) * 1e3 * high_pass + 1e-6
    return spectrum * ctf / (ctf * ctf + 1 / snr)


def predicted(known: restoration_scenes.KnownScene, fit: CtfFit, acquisition: AcquisitionParameters) -> Attribution:
    """What the causal model says of the scene's SSNR from its own rings, before any other movie has taught it."""
    truth, counts = known.scene.truth, float(known.scene.plain.mean())
    still, side = (0.0,) * FRAMES, truth.size_px * truth.pixel_size
    evidence = collect_evidence(
        shifts=FrameShifts(still, still, (0.1,) * FRAMES, 0.0, 0.0, 0.0, True),
        local_motion=None,
        ctf=fit.estimate,
        spectra=fit.spectra,
        quality=Quality(counts, counts / FRAMES, 0, None, 0.0, False),
        acquisition=acquisition,
        dose_per_frame_e_per_a2=truth.dose / FRAMES,
        frame_count=FRAMES,
        field_angstrom=(side, side),
        particle_diameter_angstrom=None,
    )
    return attribute(evidence, physics_prior())


def restorations(known: restoration_scenes.KnownScene, fit: CtfFit) -> tuple[dict[str, Array], dict[str, Any]]:
    """(h, w) by method, specimen bright, and what frazil says of its own."""
    truth, scene, ctf = known.scene.truth, known.scene, fit.estimate
    n, pixel = truth.size_px, truth.pixel_size
    acquisition = AcquisitionParameters(
        pixel, truth.voltage_kv, truth.cs_mm, truth.amplitude_contrast, truth.dose / FRAMES, 0.0, False, ()
    )
    spectrum = scipy.fft.rfft2(scene.weighted - scene.weighted.mean())
    contrast = ctf_2d(ctf_parameters(ctf, acquisition), n, n, pixel).numpy()
    k = np.hypot(np.fft.fftfreq(n, pixel)[:, None], np.fft.rfftfreq(n, pixel)[None]).astype(np.float32)

    def back(transform: NDArray[Any]) -> Array:
        return scipy.fft.irfft2(transform, s=(n, n)).astype(np.float32)

    made = {
        "sum": back(-spectrum),
        "flip": back(spectrum * np.sign(contrast)),
        "constant": back(constant_wiener(spectrum, k, contrast, pixel)),
    }
    weighted, even, odd = (torch.from_numpy(image) for image in (scene.weighted, scene.even, scene.odd))
    said: dict[str, Any] = {}
    attribution = predicted(known, fit, acquisition)
    for name, network in (("local", None), ("full", shipped_network(CPU))):
        before = time.process_time()
        restored = restore_micrograph(
            weighted,
            (even, odd),
            pixel_size_angstrom=pixel,
            ctf=ctf,
            acquisition=acquisition,
            predicted=attribution,
            network=network,
            device=CPU,
        )
        made[name] = restored.image.numpy()
        gain = restored.held_out_gain
        said[name] = {
            "method": restored.method,
            "gain": None if gain is None else [gain.gain, gain.sd],
            "specimen_share": restored.specimen_share,
            "cpu_s": time.process_time() - before,
        }
    assert restored.ssnr is not None
    filtered = wiener_spectrum(
        clean(weighted, pixel).image, pixel_size_angstrom=pixel, ctf=ctf, acquisition=acquisition, ssnr=restored.ssnr
    )
    made["wiener"] = to_image(filtered, ctf).numpy()
    return made, said


def ring_correlation(a: Array, b: Array, pixel_size: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Frequencies and the smoothed FRC."""
    n, width = len(a), 1 / 300
    first, second = scipy.fft.rfft2(a), scipy.fft.rfft2(b)
    k = np.hypot(np.fft.fftfreq(n, pixel_size)[:, None], np.fft.rfftfreq(n, pixel_size)[None])
    ring, top = (k / width).astype(int).ravel(), int(0.5 / pixel_size / width)

    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(ring, values.ravel(), minlength=top)[:top]

    cross = total((first * second.conj()).real)
    curve = cross / np.sqrt(total(np.abs(first) ** 2) * total(np.abs(second) ** 2) + 1e-30)
    at = (np.arange(top) + 0.5) * width
    kernel = np.exp(-0.5 * ((at[:, None] - at) / 0.012) ** 2)
    return at, kernel @ curve / kernel.sum(1)


def resolution(at: NDArray[Any], curve: NDArray[Any], threshold: float) -> float:
    """Where the curve falls through the threshold, from its highest point between 100 and 12 A outwards."""
    start = int(np.argmax(np.where((at > 1 / 100) & (at < 1 / 12), curve, -np.inf)))
    if curve[start] < threshold:
        return NEVER_ANGSTROM
    for j in range(start, len(at) - 1):
        if curve[j + 1] < threshold:
            share = (curve[j] - threshold) / (curve[j] - curve[j + 1])
            return float(1 / (at[j] + share * (at[j + 1] - at[j])))
    return float(1 / at[-1])


def on_grid(image: Array, pixel_size: float) -> tuple[Array, float]:
    """The image Fourier-cropped to about 4 A per pixel, and that pixel size."""
    n = len(image)
    m = 2 * round(0.5 * n * pixel_size / GRID_ANGSTROM)
    transform = scipy.fft.rfft2(image)
    rows = np.r_[0 : m // 2, n - m // 2 : n]
    small = scipy.fft.irfft2(transform[rows, : m // 2 + 1], s=(m, m)) * (m * m / (n * n))
    return small.astype(np.float32), n * pixel_size / m


def artefact_variance(image: Array, truth: Array) -> float:
    """Variance off the specimen after scaling to the truth's contrast, over the truth's own variance on it."""
    near = torch.nn.functional.max_pool2d(torch.from_numpy(np.abs(truth))[None, None], 11, 1, 5)[0, 0].numpy()
    level = np.percentile(near, 99)
    on, off = near > 0.15 * level, near < 0.02 * level
    if off.mean() < 0.02:
        return math.nan
    centred = image - image[off].mean()
    reference = truth - truth[off].mean()
    slope = float((centred * reference)[on].mean() / (reference[on] ** 2).mean())
    return float(centred[off].var() / slope**2 / (reference[on] ** 2).mean()) if slope > 0 else math.inf


def picking_f1(image: Array, centres: Array, radius_px: float) -> float:
    """Best F1 over thresholds of one and the same disc template; a hit lies within half a radius of a centre."""
    if len(centres) == 0:
        return math.nan
    score = picking_disc.in_sigmas(picking_disc.response(torch.from_numpy(image), 0.78 * radius_px), 0.78 * radius_px)
    size = 2 * math.ceil(0.7 * radius_px / 0.78) + 1
    highest = torch.nn.functional.max_pool2d(score[None, None], size, stride=1, padding=size // 2)[0, 0]
    margin = math.ceil(radius_px)
    peak = (score == highest) & (score > 1.0)
    peak[:margin], peak[-margin:], peak[:, :margin], peak[:, -margin:] = False, False, False, False
    found = torch.nonzero(peak).numpy()
    n = len(image)
    inside = centres[((centres > margin) & (centres < n - margin)).all(1)]
    if len(found) == 0 or len(inside) == 0:
        return 0.0
    order = np.argsort(-score[peak].numpy())
    best, hits, free = 0.0, 0, np.ones(len(inside), dtype=bool)
    for number, index in enumerate(order, start=1):
        away = np.hypot(*(inside - found[index]).T)
        away[~free] = np.inf
        nearest = int(np.argmin(away))
        if away[nearest] < 0.5 * radius_px:
            hits += 1
            free[nearest] = False
        best = max(best, 2 * hits / (number + len(inside)))
    return best


def score(known: restoration_scenes.KnownScene, fit: CtfFit) -> dict[str, Any]:
    """One row: figures of every method on one scene."""
    pixel = known.scene.truth.pixel_size
    made, said = restorations(known, fit)
    small_truth, grid = on_grid(known.truth, pixel)
    row: dict[str, Any] = {
        "class": known.structure_class,
        "structure": Path(known.scene.truth.structure).name.split("_")[0],
        "seed": known.scene.truth.seed,
        "dose": known.scene.truth.dose,
        "coverage": known.scene.truth.coverage,
        "said": said,
    }
    for name in METHODS:
        at, curve = ring_correlation(made[name], known.truth, pixel)
        small, _ = on_grid(made[name], pixel)
        row[name] = {
            "frc_0.5": resolution(at, curve, 0.5),
            "frc_0.143": resolution(at, curve, 0.143),
            "artefacts": artefact_variance(small, small_truth),
            "f1": picking_f1(small, known.centres_px * pixel / grid, known.radius_angstrom / grid)
            if known.structure_class != "fibre"
            else math.nan,
        }
    return row


def interval(values: NDArray[Any], statistic: Any) -> tuple[float, float, float]:
    """Statistic and its 95 % bootstrap interval."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return math.nan, math.nan, math.nan
    rng = np.random.default_rng(0)
    draws = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(2000)]
    return float(statistic(values)), float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians by method; frazil against the best of three, micrograph by micrograph."""
    figures: dict[str, Any] = {"micrographs": len(rows)}
    for name in METHODS:
        column = {
            key: np.array([row[name][key] for row in rows]) for key in ("frc_0.5", "frc_0.143", "artefacts", "f1")
        }
        figures[name] = {
            key: float(np.nanmedian(values)) if np.isfinite(values).any() else None for key, values in column.items()
        }
    for name in ("wiener", "local", "full"):
        for key in ("frc_0.5", "frc_0.143"):
            best = np.array([min(row[rival][key] for rival in RIVALS) for row in rows])
            mine = np.array([row[name][key] for row in rows])
            both = (best < NEVER_ANGSTROM) & (mine < NEVER_ANGSTROM)
            figures[name][f"{key}_better"] = interval(1 - mine[both] / best[both], np.mean)
            figures[name][f"{key}_only_frazil"] = int(((best >= NEVER_ANGSTROM) & (mine < NEVER_ANGSTROM)).sum())
            figures[name][f"{key}_only_rivals"] = int(((best < NEVER_ANGSTROM) & (mine >= NEVER_ANGSTROM)).sum())
        quietest = np.array([min(row[rival]["artefacts"] for rival in RIVALS) for row in rows])
        figures[name]["artefacts_left"] = interval(
            np.array([row[name]["artefacts"] for row in rows]) / quietest, np.median
        )
    return figures


def show(name: str, figures: dict[str, Any]) -> None:
    print(f"\n{name}: {figures['micrographs']} micrographs (better: than the best of three, where both get there)")
    print(
        f"{'method':10} {'FRC 0.5 A':>9} {'0.143 A':>8} {'artefacts':>10} {'F1':>6}  {'better at 0.5 (95 %)':26}"
        f"{'at 0.143':>9} {'only frazil, only rivals at 0.5':>32}  artefacts left (95 %)"
    )
    for method in METHODS:
        f = figures[method]
        f1 = math.nan if f["f1"] is None else f["f1"]
        line = f"{method:10} {f['frc_0.5']:9.1f} {f['frc_0.143']:8.1f} {f['artefacts']:10.3g} {f1:6.2f}"
        if "frc_0.5_better" in f:
            half, low, left = f["frc_0.5_better"], f["frc_0.143_better"], f["artefacts_left"]
            line += f"  {half[0]:6.1%} ({half[1]:.1%} to {half[2]:.1%})".ljust(28) + f"{low[0]:9.1%}"
            line += f"{f['frc_0.5_only_frazil']:30d}, {f['frc_0.5_only_rivals']}"
            line += f"  {left[0]:.3f} ({left[1]:.3f} to {left[2]:.3f})"
        print(line, flush=True)


def cost(side_px: int = 4096) -> dict[str, float]:
    """CPU seconds of one thread for a square micrograph: a transform there and back, the Wiener filter, all."""
    generator = torch.Generator().manual_seed(1)
    even, odd = (torch.poisson(torch.full((side_px, side_px), 12.0), generator=generator) for _ in range(2))
    ctf = CtfEstimate(15000.0, 14500.0, 20.0, 0.0, 10.0, 10.0, 4.0, 0.9, 0.0, True, "")
    acquisition = AcquisitionParameters(1.0, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
    k = np.linspace(1 / 40, 1 / 2.8, 24)
    curve = SsnrCurve(k, 2 - 40 * k, np.full(24, 0.1))
    whole = even + odd

    def wiener() -> torch.Tensor:
        cleaned = clean(whole, 1.0).image
        filtered = wiener_spectrum(cleaned, pixel_size_angstrom=1.0, ctf=ctf, acquisition=acquisition, ssnr=curve)
        return to_image(filtered, ctf)

    def full() -> torch.Tensor:
        return restore_micrograph(
            whole,
            (even, odd),
            pixel_size_angstrom=1.0,
            ctf=ctf,
            acquisition=acquisition,
            predicted=None,
            network=shipped_network(CPU),
            device=CPU,
        ).image

    figures = {}
    for name, work in (
        ("transform there and back", lambda: torch.fft.irfft2(torch.fft.rfft2(whole), s=whole.shape)),
        ("Wiener filter", wiener),
        ("full", full),
    ):
        work()
        before = time.process_time()
        work()
        figures[name] = time.process_time() - before
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=63)
    parser.add_argument("--seed", type=int, default=40_000)
    default = Path(frazil.models.simulation.__path__[0]) / "structures"
    parser.add_argument(
        "--structures", type=Path, default=default, help="folder of structures [default: the shipped ones]"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    classes = restoration_scenes.classes_in(arguments.structures)
    rows: list[dict[str, Any]] = []
    unknown = 0
    for number in range(arguments.scenes):
        known = restoration_scenes.draw_scene(
            arguments.seed + number, classes[number % len(classes)], arguments.structures
        )
        fit = fit_scene(known.scene)
        if not fit.estimate.defocus_known:
            # Without a CTF there is no deconvolution, by any method.
            unknown += 1
            continue
        rows.append(score(known, fit))
        row = rows[-1]
        print(
            f"{number:3d} {row['class']:9} {row['structure']:5} "
            + " ".join(f"{m} {row[m]['frc_0.5']:.1f}/{row[m]['frc_0.143']:.1f}" for m in METHODS)
            + f" {row['said']['full']['method']}",
            flush=True,
        )
    print(f"\n{unknown} of {arguments.scenes} scenes without a usable CTF are left out")
    result = {"all": summary(rows), **{c: summary([r for r in rows if r["class"] == c]) for c in classes}}
    for name, figures in result.items():
        show(name, figures)
    seconds = cost()
    print("\nCPU s at 4096 x 4096: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items()))
    full = result["all"]["full"]
    holds = {
        f"resolution at FRC 0.5 at least {AIM:.1%} better": full["frc_0.5_better"][0] >= AIM,
        "artefact variance at least halved": full["artefacts_left"][0] <= 0.5,
    }
    for claim, true in holds.items():
        print(f"{'holds' if true else 'FAILS':6} {claim}")
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps(
                {
                    "seed": arguments.seed,
                    "unknown_ctf": unknown,
                    "summary": result,
                    "holds": holds,
                    "cpu_s": seconds,
                    "scenes": rows,
                },
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
