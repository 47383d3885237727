"""`frazil watch`: the daemon in the foreground."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.config.loading import load_settings
from frazil.config.settings import Settings
from frazil.daemon.http.ray_start import ray_start
from frazil.daemon.report.state_words import counts_words
from frazil.daemon.session import folder as session_folder
from frazil.daemon.session.folder import SETTINGS_FILE
from frazil.daemon.session.options import DaemonOptions, ExitReport
from frazil.daemon.session.resumed import raw_root_of, told_at_the_start
from frazil.daemon.store.lock import open_to_writing
from frazil.daemon.transport.messages import LiveState

_LOG_BYTES = 10 << 20


def watch(
    raw: Annotated[
        Path | None,
        typer.Argument(
            help="Folder that the camera (or a transfer) writes movies to. Never written to "
            "[default: that of the session before]"
        ),
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Session folder for results [default: the raw folder's name + '-frazil']")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Microscope and camera: krios-k3, krios-falcon4i, glacios-falcon4i, simulated")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with further settings (docs/configuration.md)")] = None,
    gain: Annotated[Path | None, typer.Option(help="Gain reference: .mrc, .dm4, .gain, .tif")] = None,
    no_gain: Annotated[bool, typer.Option("--no-gain", help="The movies are already gain-corrected")] = False,
    gain_orientation: Annotated[
        str | None,
        typer.Option(help="How the reference lies: rot0, rot90, rot180-flipud, ... [default: frazil finds it]"),
    ] = None,
    gain_convention: Annotated[
        str | None,
        typer.Option(help="How the reference is applied: multiply, divide or auto [default: auto]"),
    ] = None,
    defects: Annotated[Path | None, typer.Option(help="Defect map (image) or list (.txt)")] = None,
    pixel_size_angstrom: Annotated[float | None, typer.Option(help="Pixel size of the movies as stored, in A")] = None,
    voltage_kv: Annotated[float | None, typer.Option(help="Acceleration voltage in kV")] = None,
    cs_mm: Annotated[float | None, typer.Option(help="Spherical aberration in mm")] = None,
    amplitude_contrast: Annotated[float | None, typer.Option(help="Amplitude contrast, 0 to 1 [default: 0.1]")] = None,
    dose_per_frame_e_per_a2: Annotated[float | None, typer.Option(help="Dose per frame in e/A2")] = None,
    particle_diameter_angstrom: Annotated[
        float | None, typer.Option(help="Longest extent of the particle in A")
    ] = None,
    least_particle_diameter_angstrom: Annotated[
        float | None, typer.Option(help="If only a range of diameters is known: its lower end in A")
    ] = None,
    symmetry: Annotated[str | None, typer.Option(help="Point group of the particle: C1, D7, O, ...")] = None,
    map_classes: Annotated[
        int | None, typer.Option(help="How many maps particles are sorted into, if they are of several kinds")
    ] = None,
    initial_map: Annotated[Path | None, typer.Option(help="Map (.mrc) to start the 3D reconstruction from")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of workers [default: one per GPU, else one a core]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    once: Annotated[bool, typer.Option("--once", help="Process what is there, then end")] = False,
    exit_when_idle: Annotated[float | None, typer.Option(help="End after so many seconds without anything new")] = None,
    http: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve the session over HTTP on this port of 127.0.0.1")
    ] = None,
    no_http: Annotated[bool, typer.Option("--no-http", help="No longer serve it")] = False,
    http_token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that writing over HTTP needs [default: nothing can be written]"),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print the state once a second as one line of JSON")
    ] = False,
) -> None:
    """Process movies as they arrive; go on where an earlier run of the same session ended.

    Examples:

      frazil watch /data/raw --session /data/s1 --preset krios-k3 --gain gain.mrc --pixel-size-angstrom 0.83

      frazil watch --session /data/s1          (go on with the folder and the flags of before)

    Flags are kept with the session, but for --once, --exit-when-idle and --json, which are of one run. A flag that is
    given again wins, then FRAZIL_... variables, then --config, then what was kept; what is another value than before is
    said, with who gave it.

    What you leave out is taken from the files beside the movies (EPU XML, SerialEM mdoc) and from their headers; where
    two of these contradict each other, or none says it, frazil stops and names the value. End it with Ctrl-C: the next
    run goes on from there.
    """
    raw, session_dir = _folders(raw, session)
    kept = session_dir / SETTINGS_FILE
    settings: Settings = load_settings(
        preset=preset,
        yaml_path=config,
        kept_path=kept if kept.exists() else None,
        environ=os.environ,
        flags={
            # A reference overrules a --no-gain that the session remembers, and the other way round.
            "camera.gain": "null" if no_gain and gain is None else None if gain is None else str(gain),
            "camera.no_gain": True if no_gain else (False if gain is not None else None),
            "camera.gain_orientation": gain_orientation,
            "camera.gain_convention": gain_convention,
            "camera.defects": None if defects is None else str(defects),
            "microscope.pixel_size_angstrom": pixel_size_angstrom,
            "microscope.voltage_kv": voltage_kv,
            "microscope.cs_mm": cs_mm,
            "microscope.amplitude_contrast": amplitude_contrast,
            "microscope.dose_per_frame_e_per_a2": dose_per_frame_e_per_a2,
            "particles.diameter_angstrom": particle_diameter_angstrom,
            "particles.least_diameter_angstrom": least_particle_diameter_angstrom,
            "particles.symmetry": symmetry,
            "particles.map_classes": map_classes,
            "particles.initial_map": None if initial_map is None else str(initial_map),
            "workers.count": workers,
            "workers.device": device,
            "http.port": "null" if no_http else http,
            "http.token": None if http_token_file is None else f"file:{http_token_file.absolute()}",
        },
    )
    if http_token_file is not None and settings.http.port is None:
        raise UsageError("--http-token-file is of no use without --http", remedy="give --http PORT, too")
    if kept.exists():
        for line in (f"watches {raw}", *told_at_the_start(load_settings(kept_path=kept), settings)):
            typer.echo(line, err=True)
    options = DaemonOptions(
        raw, session_dir, settings, once=once, exit_when_idle_s=exit_when_idle, http_port=settings.http.port
    )
    report = _run(options, _print_json if json_lines else ProgressLine())
    typer.echo("" if json_lines else "\n" + report.sentence + (f". {report.remedy}" if report.remedy else ""))
    raise typer.Exit(0 if report.ok else 1)


def _run(options: DaemonOptions, show: Callable[[LiveState], None]) -> ExitReport:
    """The daemon, ended by Ctrl-C and SIGTERM. Raises what `Daemon.run` does."""
    session_dir = options.session_dir
    first = not session_dir.exists()
    log_to(session_dir)
    try:
        session_folder.prepare(session_dir, options.raw_root)
        with ray_start(options) as ray:
            from frazil.daemon.app import Daemon  # torch: not for --help, and Ray comes up meanwhile

            daemon = Daemon(options, ray=ray, on_state=show)

            def on_signal(number: int, frame: FrameType | None) -> None:
                by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
                daemon.stop(f"stopped by {by}; `frazil watch --session {session_dir}` goes on")

            signal.signal(signal.SIGINT, on_signal)
            signal.signal(signal.SIGTERM, on_signal)
            return daemon.run()
    except UsageError:
        if first:
            session_folder.take_back(session_dir)
        raise


def _folders(raw: Path | None, session: Path | None) -> tuple[Path, Path]:
    """The raw folder and the session's; each may be known by the other. Raises `UsageError`."""
    if raw is not None:
        return raw, session if session is not None else raw.parent / f"{raw.resolve().name}-frazil"
    if session is None:
        raise UsageError(
            "no folder was given", remedy="give the folder of the movies, or --session of a session that is to go on"
        )
    return raw_root_of(session), session


def log_to(session_dir: Path) -> None:
    """The daemon's log goes to the session folder; warnings also to the terminal's standard error. Raises `UsageError`
    where the folder is closed to writing."""
    folder = session_dir / "logs"
    with open_to_writing(session_dir):
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(folder / "daemon.log", maxBytes=_LOG_BYTES, backupCount=5)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("frazil")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False


class ProgressLine:
    """One line a change on a pipe, one line that is rewritten on a terminal."""

    def __init__(self) -> None:
        self._last = ""
        self._last_alert: str | None = None

    def __call__(self, state: LiveState) -> None:
        if state.newest_alert is not None and state.newest_alert != self._last_alert:
            self._last_alert = state.newest_alert
            begin = "\r\x1b[K" if sys.stderr.isatty() else ""  # an unfinished line may stand there
            self._write(f"{begin}! {state.newest_alert}\n")
            self._last = ""
        counts = counts_words(state.counts) or "no movies yet"
        lag = "" if state.lag_p50_s is None else f", lag {state.lag_p50_s:.0f} s"
        line = f"{state.status}: {counts}{lag}" + (f" | {state.message}" if state.message else "")
        if state.gate.status in ("waiting", "blocked") and state.queue_depth:
            line += f" | gain: {state.gate.evidence}"
        if line == self._last:
            return
        self._last = line
        self._write(f"\r\x1b[K{line}" if sys.stderr.isatty() else f"{line}\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _print_json(state: LiveState) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(state).decode() + "\n")
    sys.stdout.flush()
