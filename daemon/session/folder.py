"""The folder of one session: its layout, its settings file, the names of a movie's output files."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from pathlib import Path

from frazil.config.errors import UsageError
from frazil.config.loading import parameter_hash, settings_to_yaml
from frazil.config.settings import Settings
from frazil.models.formats.atomic import atomic_path

SUBFOLDERS = ("motion", "ctf", "restored", "particles", "classes", "maps", "thumbnails", "results", "logs", "export")
SETTINGS_FILE = "settings.yaml"
_RESERVED_ENDINGS = ("_noDW", "_EVN", "_ODD", "_ps")
"""What `frazil.actors.movie_output` adds to the stem of a movie's further pictures."""


def prepare(session_dir: Path, raw_root: Path) -> None:
    """Make the session folder; raw data is never touched.

    Raises
    ------
    UsageError
        If the raw folder does not exist, or one lies in the other in a way that would mix them.
    """
    if not raw_root.is_dir():
        raise UsageError(
            "the folder to watch does not exist", path=raw_root, remedy="give the folder the camera writes to"
        )
    session, raw = session_dir.resolve(), raw_root.resolve()
    if session == raw or session.is_relative_to(raw):
        raise UsageError(
            "the session folder lies inside the raw folder",
            path=session_dir,
            remedy="choose a session folder outside: frazil never writes among raw data",
        )
    for name in SUBFOLDERS:
        (session_dir / name).mkdir(parents=True, exist_ok=True)


def take_back(session_dir: Path) -> None:
    """Remove the folder that a refused first start has made; one in which there is anything else is left alone."""
    made = {session_dir / name for name in (*SUBFOLDERS, "session.lock", SETTINGS_FILE)}
    made |= {*session_dir.glob("session.duckdb*"), *session_dir.glob("logs/daemon.log")}
    if set(session_dir.rglob("*")) <= made:
        shutil.rmtree(session_dir)


def write_settings(session_dir: Path, settings: Settings) -> str:
    """Write the whole effective configuration beside the results; returns the text."""
    text = settings_to_yaml(settings)
    _write(session_dir, text)
    return text


def _write(session_dir: Path, text: str) -> None:
    with atomic_path(session_dir / SETTINGS_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_settings_text(session_dir: Path) -> str | None:
    """The settings that an earlier run left; None: there was none."""
    path = session_dir / SETTINGS_FILE
    return path.read_text(encoding="utf-8") if path.exists() else None


def restore_settings_text(session_dir: Path, text: str | None) -> None:
    """Put the settings of the earlier run back, or leave none where there was none."""
    if text is None:
        (session_dir / SETTINGS_FILE).unlink(missing_ok=True)
    else:
        _write(session_dir, text)


def file_digest(path: str | None) -> str:
    """Short digest of a small input file (gain, defects): a changed file changes what comes out of every movie.

    Raises
    ------
    UsageError
        If it is not there or cannot be read.
    """
    if path is None:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror or error}", path=path, remedy="correct the path of --gain or --defects"
        ) from error
    return digest.hexdigest()


def made_with(settings: Settings) -> str:
    """The parameter hash of these settings, with the files that they name as they are now. Raises `UsageError`."""
    camera = settings.camera
    return parameter_hash(settings, inputs={"gain": file_digest(camera.gain), "defects": file_digest(camera.defects)})


def output_stem(relative_path: str, taken: dict[str, str]) -> str:
    """Name of a movie's output files: the bare file name, or with its folders where another movie has that name.

    `taken` maps stems to the relative paths that have them.
    """
    folder, _, name = relative_path.rpartition("/")
    bare = name.rsplit(".", 1)[0]
    if bare.endswith(_RESERVED_ENDINGS):
        bare += "-movie"  # else its micrograph would lie where another movie's second picture lies
    flat = folder.replace("/", "__")
    numbered = (f"{flat}__{name}-{number}" for number in itertools.count(2))  # `a/b` and `a__b` look alike when flat
    for stem in itertools.chain((bare, f"{flat}__{bare}", f"{flat}__{name}"), numbered):
        if taken.get(stem, relative_path) == relative_path:
            return stem
    raise AssertionError("there are infinitely many names")
