"""Restored micrographs beside their rivals, linear ones with the true CTF and a Noise2Noise network, on new specimens.

    ./run bench restoration_rivals [--fields 10] [--development] [--structures FOLDER] [--json OUT.json]

Sixty low-dose fields (20 to 36 e/A2) of six specimens by two generators (`fields.py`). Rivals get the true CTF, frazil
its own fit:

- `sum`: the dose-weighted sum; `flip`: times the sign of the true CTF; `ctf`: times the true CTF;
- `oracle`: the Wiener filter with the true CTF and the true spectra of specimen and noise (no linear filter of |k| and
  CTF can know more);
- `warp`: the deconvolution of Warp with its defaults (Tegunov & Cramer 2019, Nat. Methods 16, 1146; tom_deconv.m):
  C / (C^2 + 1/SNR), SNR(x) = exp(-100 f x / a) 10^(3 s) h(x) + 1e-6, x = k / Nyquist, a the pixel size in A, strength
  s = 1, falloff f = 1, h = 1 - cos(pi min(1, x / 0.02));
- `n2n`, `n2n_flipped`: `noise2noise.py`, trained on the half sums of all of these fields, flipped with the true CTF
  after or before;
- `wiener`, `places`, `shipped`: frazil's Wiener filter, with places, and with the learned residual as it ships;
  `halves_alone`: `shipped` without the causal model's word on the field, its SSNR from the half sums alone;
- `taught`: the residual after the session has taught it as in a live session (`actors/restoration_teacher.py`: lessons
  of the session's own halves, every fourth field only to check, kept only where the checks gain).

One measure: the FRC with the noise-free projection (`bench.ring_correlation`), and where it falls through 0.5. Every
field counts. A field's best linear rival is the best of the five for that field (chosen by the truth, which favours
them). Of a rival that never reaches 0.5 the period of its highest correlation counts; a restoration that never does
counts 100 A. "Better": 1 - resolution / rival's, mean over the fields; 95 % by drawing specimens, then fields of them.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import math
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

import benchmarks.restoration.noise2noise as n2n
from benchmarks.picking.score import f1, score_centres
from benchmarks.restoration.bench import (
    NEVER_ANGSTROM,
    constant_wiener,
    on_grid,
    picking_f1,
    resolution,
    ring_correlation,
)
from benchmarks.restoration.fields import CPU, DEVELOPMENT, REPORTED, Field, covered_share, fields_of
from frazil.models.causal.attribution import attribute
from frazil.models.causal.prior import physics_prior
from frazil.models.deconvolution.artefacts import clean
from frazil.models.deconvolution.lessons import Lesson, learn
from frazil.models.deconvolution.network import ResidualNetwork
from frazil.models.deconvolution.restoration import Restored, restore_micrograph
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.deconvolution.wiener import to_image, wiener_spectrum
from frazil.models.optics.ctf import ctf_2d
from frazil.models.particles.picking import pick_particles

Array = NDArray[Any]
LINEAR = ("sum", "flip", "ctf", "oracle", "warp")
LEARNED_RIVALS = ("n2n", "n2n_flipped")
OWN = ("wiener", "places", "halves_alone", "shipped", "taught")
METHODS = (*LINEAR, *LEARNED_RIVALS, *OWN)
AIM = 0.237
N2N_STEPS, ROUNDS, ROUND_STEPS, CHECK_EVERY = 600, 4, 24, 4
HIGH_PASS_ANGSTROM = 400.0


class Spectra:
    """Half planes of one field at its full size."""

    def __init__(self, field: Field) -> None:
        self.field, self.size = field, len(field.truth)
        pixel = field.pixel_size_angstrom
        self.k = np.hypot(np.fft.fftfreq(self.size, pixel)[:, None], np.fft.rfftfreq(self.size, pixel)[None])
        self.contrast = ctf_2d(field.true_ctf, self.size, self.size, pixel).numpy()
        self.weighted = self.of(field.weighted)

    def of(self, image: Array) -> NDArray[Any]:
        return np.asarray(scipy.fft.rfft2(image - image.mean()))

    def back(self, transform: NDArray[Any]) -> Array:
        return np.asarray(scipy.fft.irfft2(transform, s=(self.size, self.size)), dtype=np.float32)

    def ring_mean(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of the half plane by rings, laid back on it."""
        ring = np.minimum(self.k * self.size * self.field.pixel_size_angstrom, self.size).round().astype(int)
        total, count = np.bincount(ring.ravel(), values.ravel()), np.bincount(ring.ravel())
        return np.asarray((total / np.maximum(count, 1))[ring])


def linear(spectra: Spectra) -> dict[str, Array]:
    """(h, w) by the name of the filter, specimen bright."""
    x, c = spectra.weighted, spectra.contrast
    signal = spectra.of(spectra.field.truth)
    # Truth in rad, the sum in electrons: the sum's part that is the specimen's is fitted ring by ring.
    through = signal * c
    slope = spectra.ring_mean((x * through.conj()).real) / spectra.ring_mean(np.abs(through) ** 2).clip(1e-30)
    noise = spectra.ring_mean(np.abs(x - slope * through) ** 2).clip(1e-30)
    ssnr = slope**2 * spectra.ring_mean(np.abs(signal) ** 2) / noise
    made = {
        "sum": -x,
        "flip": x * np.sign(c),
        "ctf": x * c,
        "oracle": x * c / (c * c + 1 / ssnr.clip(1e-12)),
        "warp": constant_wiener(x, spectra.k, c, spectra.field.pixel_size_angstrom),
    }
    return {name: spectra.back(transform) for name, transform in made.items()}


def small_halves(spectra: Spectra, flipped: bool) -> tuple[Array, Array]:
    """Both halves on the 4 A grid, in units of their spread, without slow gradients."""
    high_pass = 1 - np.exp(-0.5 * (spectra.k * HIGH_PASS_ANGSTROM) ** 2)
    factor = high_pass * (np.sign(spectra.contrast) if flipped else 1.0)
    field = spectra.field
    pair = [
        on_grid(spectra.back(spectra.of(half) * factor), field.pixel_size_angstrom)[0]
        for half in (field.even, field.odd)
    ]
    spread = float(np.hypot(pair[0].std(), pair[1].std())) / math.sqrt(2)
    return pair[0] / spread, pair[1] / spread


def enlarged(spectra: Spectra, small: Array, flipped: bool) -> Array:
    """(h, w): a result on the 4 A grid at full size; what was not flipped before is flipped now. Empty beyond 8 A."""
    n, m = spectra.size, len(small)
    whole = np.zeros((n, n // 2 + 1), dtype=np.complex64)
    transform = scipy.fft.rfft2(small)
    half = m // 2
    whole[:half, :half], whole[-half + 1 :, :half] = transform[:half, :half], transform[half + 1 :, :half]
    return spectra.back(whole if flipped else whole * np.sign(spectra.contrast))


def restored(field: Field, network: ResidualNetwork | None, *, lessons: bool = False, causes: bool = True) -> Restored:
    """As a worker calls it: with the causal model's word on this field (`causes`), and its own fit of the CTF."""
    return restore_micrograph(
        torch.from_numpy(field.weighted),
        (torch.from_numpy(field.even), torch.from_numpy(field.odd)),
        pixel_size_angstrom=field.pixel_size_angstrom,
        ctf=field.fit,
        acquisition=field.acquisition,
        predicted=attribute(field.evidence, physics_prior()) if causes else None,
        network=network,
        device=CPU,
        blur_covariance_a2=field.blur_covariance_a2,
        learn_from=lessons,
    )


def wiener(field: Field, made: Restored) -> Array:
    """Frazil's own filter alone (the low-pass where it knows no CTF)."""
    if made.ssnr is None:
        return np.asarray(made.image.numpy())
    filtered = wiener_spectrum(
        clean(torch.from_numpy(field.weighted), field.pixel_size_angstrom).image,
        pixel_size_angstrom=field.pixel_size_angstrom,
        ctf=field.fit,
        acquisition=field.acquisition,
        ssnr=made.ssnr,
        blur_covariance_a2=field.blur_covariance_a2,
    )
    return np.asarray(to_image(filtered, field.fit).numpy())


def taught_by(lessons: list[tuple[Lesson, ...]], seed: int) -> tuple[ResidualNetwork, list[dict[str, Any]]]:
    """The network after the session's rounds, and what each round said. Of four fields the last only checks."""
    network, told = shipped_network(CPU), []
    checks = [one for number, of in enumerate(lessons) if number % CHECK_EVERY == CHECK_EVERY - 1 for one in of]
    taken = [one for number, of in enumerate(lessons) if number % CHECK_EVERY != CHECK_EVERY - 1 for one in of]
    for number in range(ROUNDS):
        network, report = learn(network, taken, checks, steps=ROUND_STEPS, seed=seed + number, device=CPU)
        told.append(
            {"accepted": report.accepted, "improvement": report.improvement, "improvement_sd": report.standard_error}
        )
    return network, told


def figures_of(field: Field, image: Array) -> dict[str, float]:
    """One method on one field."""
    at, curve = ring_correlation(image, field.truth, field.pixel_size_angstrom)
    searched = (at > 1 / 100) & (at < 1 / 12)
    top = int(np.argmax(np.where(searched, curve, -np.inf)))
    small, grid = on_grid(image, field.pixel_size_angstrom)
    return {
        "frc_0.5": resolution(at, curve, 0.5),
        "frc_0.143": resolution(at, curve, 0.143),
        "highest_at": float(1 / at[top]),
        "f1": picking_f1(small, field.centres_px * field.pixel_size_angstrom / grid, field.radius_angstrom / grid),
    }


def own_picks_f1(field: Field) -> float:
    """F1 of frazil's picker, which looks at the sum with a filter of its own, with the true diameter."""
    picks = pick_particles(
        torch.from_numpy(field.weighted),
        pixel_size_angstrom=field.pixel_size_angstrom,
        diameter_angstrom=2 * field.radius_angstrom,
        ctf=field.fit,
        acquisition=field.acquisition,
        device=CPU,
    )
    found = np.array([picks.x_px, picks.y_px]).T.reshape(-1, 2)
    diameter_px = 2 * field.radius_angstrom / field.pixel_size_angstrom
    return f1([score_centres(found, field.centres_px[:, ::-1], diameter_px, len(field.truth))])


def kept(cache: Path, said: str, make: Callable[[], Any]) -> Any:
    """What `make` gives; made once for all that is `said`, so that a run that was stopped goes on where it was."""
    path = cache / f"kept_{hashlib.sha256(said.encode()).hexdigest()[:16]}.pickle"
    if not path.exists():
        path.write_bytes(pickle.dumps(make()))
    return pickle.loads(path.read_bytes())


def code_said() -> str:
    """All that a row depends on besides its field: this package, frazil's models and their weights."""
    told = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(__file__).parents[2] / "models"):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.npz")]):
            told.update(path.read_bytes())
    return told.hexdigest()


def learned_rivals(
    fields: list[Field], steps: int, cache: Path
) -> dict[str, tuple[n2n.DenoisingNetwork, n2n.Training]]:
    """Both Noise2Noise networks of these fields."""
    said = inspect.getsource(n2n) + str([(one.session, one.number, float(one.even.sum()), steps) for one in fields])

    def make(flipped: bool) -> tuple[n2n.DenoisingNetwork, n2n.Training]:
        return n2n.train([small_halves(Spectra(field), flipped) for field in fields], steps, seed=1)

    return {
        name: kept(cache, f"{said}{flipped}", partial(make, flipped))
        for name, flipped in zip(LEARNED_RIVALS, (False, True), strict=True)
    }


def session_rows(
    fields: list[Field], nets: dict[str, n2n.DenoisingNetwork], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row a field, and what the session's rounds of learning said."""
    lessons = [restored(field, shipped_network(CPU), lessons=True).lessons for field in fields]
    taught, rounds = taught_by(lessons, seed)
    return [row_of(field, nets, taught) for field in fields], rounds


def measured(sessions: dict[str, list[Field]], steps: int, cache: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row a field, and what was told of all learning."""
    trained = learned_rivals([field for of in sessions.values() for field in of], steps, cache)
    nets = {name: network for name, (network, _) in trained.items()}
    told: dict[str, Any] = {
        name: {
            "parameters": training.parameters, "steps": training.steps, "cpu_s": training.cpu_s,
            "held_back_loss": training.watched, "flattened": training.flattened,
        }
        for name, (_, training) in trained.items()
    }  # fmt: skip
    print(json.dumps(told, indent=1), flush=True)
    rows, code = [], code_said()
    for number, (session, of) in enumerate(sessions.items()):
        said = f"{code}{session}{len(of)}{float(of[0].even.sum())}{steps}{len(sessions)}"
        own, told[session] = kept(cache, said, partial(session_rows, of, nets, 100 * number))
        for row in own:
            show_row(row)
        rows += own
    return rows, told


def row_of(field: Field, nets: dict[str, n2n.DenoisingNetwork], taught: ResidualNetwork) -> dict[str, Any]:
    spectra = Spectra(field)
    images = linear(spectra)
    for name, flipped in zip(LEARNED_RIVALS, (False, True), strict=True):
        small = n2n.denoised(nets[name], small_halves(spectra, flipped))
        images[name] = enlarged(spectra, small, flipped)
    before = time.process_time()
    places, shipped, after = restored(field, None), restored(field, shipped_network(CPU)), restored(field, taught)
    seconds = (time.process_time() - before) / 3
    images |= {"wiener": wiener(field, shipped), "places": places.image.numpy()}
    images["halves_alone"] = restored(field, shipped_network(CPU), causes=False).image.numpy()
    images |= {"shipped": shipped.image.numpy(), "taught": after.image.numpy()}
    defocus = (field.true_ctf.defocus_u_angstrom + field.true_ctf.defocus_v_angstrom) / 2
    return {
        "session": field.session,
        "generator": field.generator,
        "field": field.number,
        "dose_e_per_a2": field.dose_e_per_a2,
        "ice_nm": field.ice_nm,
        "defocus_angstrom": defocus,
        "defocus_error_angstrom": (field.fit.defocus_u_angstrom + field.fit.defocus_v_angstrom) / 2 - defocus,
        "covered_share": covered_share(field),
        "method": {"places": places.method, "shipped": shipped.method, "taught": after.method},
        "cpu_s": seconds,
        "picks_on_sum_f1": own_picks_f1(field),
        **{name: figures_of(field, images[name]) for name in METHODS},
    }


def show_row(row: dict[str, Any]) -> None:
    told = " ".join(f"{name} {row[name]['frc_0.5']:.1f}" for name in METHODS)
    print(f"{row['session'][:22]:22} {row['field']:2d} {told} {row['method']['shipped']}", flush=True)


def reached(figures: dict[str, float], *, rival: bool) -> float:
    """A; what counts where 0.5 is never reached: see the module's description."""
    value = figures["frc_0.5"]
    return figures["highest_at"] if rival and value >= NEVER_ANGSTROM else value


def better(rows: list[dict[str, Any]], method: str, rivals: tuple[str, ...]) -> NDArray[Any]:
    """1 - resolution over that of the best rival, field by field."""
    best = np.array([min(reached(row[rival], rival=True) for rival in rivals) for row in rows])
    return 1 - np.array([reached(row[method], rival=False) for row in rows]) / best


def with_interval(values: NDArray[Any], sessions: list[str]) -> list[float]:
    """Mean over fields, and 95 %: specimens drawn, then fields of each."""
    random, names = np.random.default_rng(0), sorted(set(sessions))
    own = [values[np.array(sessions) == name] for name in names]
    draws = []
    for _ in range(2000):
        chosen = [own[int(i)] for i in random.integers(len(own), size=len(own))]
        draws.append(
            float(np.concatenate([some[random.integers(len(some), size=len(some))] for some in chosen]).mean())
        )
    return [float(values.mean()), *(float(np.percentile(draws, q)) for q in (2.5, 97.5))]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians by method, and each of frazil's steps against the best linear rival and the better Noise2Noise."""
    sessions = [row["session"] for row in rows]
    told: dict[str, Any] = {"fields": len(rows), "specimens": len(set(sessions))}
    for method in METHODS:
        values = np.array([row[method]["frc_0.5"] for row in rows])
        told[method] = {
            "frc_0.5": float(np.median(values)),
            "frc_0.143": float(np.median([row[method]["frc_0.143"] for row in rows])),
            "never": int((values >= NEVER_ANGSTROM).sum()),
            "f1": float(np.mean([row[method]["f1"] for row in rows])),
        }
        if method not in LINEAR:
            told[method]["better_than_linear"] = with_interval(better(rows, method, LINEAR), sessions)
            told[method]["better_than_linear_median"] = float(np.median(better(rows, method, LINEAR)))
        if method in OWN:
            told[method]["better_than_n2n"] = with_interval(better(rows, method, LEARNED_RIVALS), sessions)
            told[method]["worse_than_linear_fields"] = int((better(rows, method, LINEAR) < 0).sum())
    told["causes_bring"] = with_interval(better(rows, "shipped", ("halves_alone",)), sessions)
    told["teaching_brings"] = with_interval(better(rows, "taught", ("shipped",)), sessions)
    told["picks_on_sum_f1"] = float(np.mean([row["picks_on_sum_f1"] for row in rows]))
    return told


def show(name: str, told: dict[str, Any]) -> None:
    print(f"\n{name}: {told['fields']} fields; frazil's picker on the sum: F1 {told['picks_on_sum_f1']:.3f}")
    print(
        f"{'method':12} {'0.5 A':>6} {'0.143':>6} {'never':>5} {'F1':>6}  better than linear (95 %), than Noise2Noise"
    )
    for method in METHODS:
        f = told[method]
        line = f"{method:12} {f['frc_0.5']:6.1f} {f['frc_0.143']:6.1f} {f['never']:5d} {f['f1']:6.3f}"
        for key in ("better_than_linear", "better_than_n2n"):
            if key in f:
                line += f"  {f[key][0]:6.1%} ({f[key][1]:.1%} to {f[key][2]:.1%})"
        print(line, flush=True)
    for key, words in (("causes_bring", "the causal model's word"), ("teaching_brings", "the session's teaching")):
        print(f"{words} brings {told[key][0]:.2%} ({told[key][1]:.2%} to {told[key][2]:.2%})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=10, help="of each session")
    parser.add_argument("--development", action="store_true", help="the sessions on which choices were made")
    parser.add_argument("--steps", type=int, default=N2N_STEPS, help="of the Noise2Noise networks")
    known = os.environ.get("FRAZIL_STRUCTURES")
    parser.add_argument(
        "--structures", type=Path, default=known, required=known is None, help="folder of *.pdb.gz and *.cif.gz"
    )
    cache = Path(tempfile.gettempdir()) / "frazil-benchmark" / "fields"
    parser.add_argument("--cache", type=Path, default=cache, help="where fields are kept")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wishes = DEVELOPMENT if arguments.development else REPORTED
    sessions = {w.name: list(fields_of(w, arguments.fields, arguments.structures, arguments.cache)) for w in wishes}
    rows, learning = measured(sessions, arguments.steps, arguments.cache)
    result = {"all": summary(rows)}
    for name in sessions:
        result[name] = summary([row for row in rows if row["session"] == name])
    for name, told in result.items():
        show(name, told)
    taught = result["all"]["taught"]
    holds = {
        f"resolution at FRC 0.5 at least {AIM:.1%} better than the best linear rival's": taught["better_than_linear"][0]
        >= AIM,
        "better than Noise2Noise": taught["better_than_n2n"][0] > 0,
    }
    for claim, true in holds.items():
        print(f"{'holds' if true else 'FAILS':6} {claim}")
    if arguments.json is not None:
        said = {
            "reported_seeds": {w.name: w.seed for w in REPORTED},
            "development_seeds": {w.name: w.seed for w in DEVELOPMENT},
            "development": arguments.development,
            "learning": learning,
            "summary": result,
            "holds": holds,
            "fields": rows,
        }
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
