"""Fetching public entries: EMPIAR movies, EMDB maps, PDB models, over plain HTTP.

EMPIAR serves each entry as a folder tree with index pages; this walks it within limits, chooses movies and what
belongs to them (gain, defects, sidecars), and downloads each file under a temporary name, resuming where an earlier
run stopped.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from frazil.config.errors import NotThereError, RetryLaterError, UsageError

EMPIAR_URL = "https://ftp.ebi.ac.uk/empiar/world_availability"
EMDB_URL = "https://ftp.ebi.ac.uk/pub/databases/emdb/structures"
PDB_URL = "https://files.rcsb.org/download"

_MOVIE_SUFFIXES = (".tif", ".tiff", ".mrc", ".mrcs", ".eer")
_BESIDE_SUFFIXES = (".xml", ".mdoc", ".gain", ".dm4", ".dm")
_GAIN_WORDS = ("gain", "defect", "_ref")
_MAX_PAGES = 400
"""Index pages looked at in one entry."""
_MAX_PAGE_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to fetch and where it goes, relative to the output folder."""

    url: str
    relative_path: str


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.extend(value for name, value in attrs if name == "href" and value)


def plan(accession: str, *, limit: int, base_url: str | None = None) -> list[Remote]:
    """What to fetch for an accession (`EMPIAR-10204`, `EMD-3001`, a PDB code).

    Raises
    ------
    UsageError
        If the accession is none of these.
    NotThereError
        If the archive has no such entry, or no movies in it.
    RetryLaterError
        If the archive cannot be reached.
    """
    text = accession.strip().upper()
    if match := re.fullmatch(r"EMPIAR-(\d{5,})", text):
        root = f"{base_url or EMPIAR_URL}/{match[1]}/data/"
        return _choose(list(_walk(root)), root, limit, accession)
    if match := re.fullmatch(r"EMD-(\d{4,5})", text):
        name = f"emd_{match[1]}.map.gz"
        return [Remote(f"{base_url or EMDB_URL}/EMD-{match[1]}/map/{name}", name)]
    if re.fullmatch(r"[1-9][A-Z0-9]{3}", text):
        name = f"{text.lower()}.cif.gz"
        return [Remote(f"{base_url or PDB_URL}/{name}", name)]
    raise UsageError(
        f"{accession!r} is not an accession", remedy="give EMPIAR-12345, EMD-1234 or a PDB code of four characters"
    )


def _walk(root: str) -> Iterator[str]:
    """URLs of all files below an index page, breadth first, never leaving the root."""
    pages, seen = [root], {root}
    for _ in range(_MAX_PAGES):
        if not pages:
            return
        page = pages.pop(0)
        parser = _Links()
        parser.feed(_read(page).decode("utf-8", errors="replace"))
        for link in parser.found:
            url = urllib.parse.urljoin(page, link.split("?")[0].split("#")[0])
            if url in seen or not url.startswith(page):
                continue  # parents, sort links and other hosts
            seen.add(url)
            if url.endswith("/"):
                pages.append(url)
            else:
                yield url


def _choose(urls: list[str], root: str, limit: int, accession: str) -> list[Remote]:
    def relative(url: str) -> str:
        return urllib.parse.unquote(url[len(root) :])

    def is_reference(url: str) -> bool:
        return any(word in PurePosixPath(relative(url)).name.lower() for word in _GAIN_WORDS)

    movies = [url for url in urls if url.lower().endswith(_MOVIE_SUFFIXES) and not is_reference(url)]
    if not movies:
        raise NotThereError(
            f"{accession} has no movies among {len(urls)} files",
            path=root,
            remedy="give an entry that holds raw movies",
        )
    # An entry may hold aligned sums beside its movies: the folder with most of them, sums last.
    by_folder: dict[str, list[str]] = {}
    for url in movies:
        by_folder.setdefault(url.rpartition("/")[0], []).append(url)
    summed = re.compile("align|sum|avg|corrected")
    folder = max(by_folder, key=lambda name: (summed.search(name.lower()) is None, len(by_folder[name])))
    chosen = sorted(by_folder[folder])[:limit]
    stems = {PurePosixPath(relative(url)).name.split(".")[0] for url in chosen}
    beside = [
        url
        for url in urls
        if (url.lower().endswith(_BESIDE_SUFFIXES) and PurePosixPath(relative(url)).name.split(".")[0] in stems)
        or (is_reference(url) and url.lower().endswith((*_MOVIE_SUFFIXES, ".gain", ".dm4", ".txt")))
    ]
    return [_remote(url, relative(url)) for url in [*sorted(set(beside) - set(chosen)), *chosen]]


def _remote(url: str, relative_path: str) -> Remote:
    path = PurePosixPath(relative_path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise NotThereError(f"the archive names a file outside its entry: {relative_path!r}")
    return Remote(url, str(path))


def fetch(remote: Remote, out: Path, *, on_bytes: Callable[[int, int | None], None]) -> Path:
    """Download one file; resumes a partial one, leaves a finished one alone.

    `on_bytes(done, total)` is called as bytes come in; total is None while the server does not say.

    Raises
    ------
    NotThereError, RetryLaterError
        If the server does not have it, or broke off (call again to go on).
    """
    path = out / remote.relative_path
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part.tmp")
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            if have and response.status != 206:
                have = 0  # the server starts again from the beginning
            length = response.headers.get("Content-Length")
            total = None if length is None else have + int(length)
            with partial.open("ab" if have else "wb") as file:
                while block := response.read(_BLOCK_BYTES):
                    file.write(block)
                    have += len(block)
                    on_bytes(have, total)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            partial.unlink()  # it had come in whole, or changed on the server: from the beginning
            return fetch(remote, out, on_bytes=on_bytes)
        raise _http_error(error, remote.url) from error
    except (urllib.error.URLError, OSError) as error:
        raise RetryLaterError(
            f"the download broke off: {error}", path=remote.url, remedy="call again: it goes on where it stopped"
        ) from error
    if total is not None and have < total:
        raise RetryLaterError(
            f"only {have} of {total} bytes came", path=remote.url, remedy="call again: it goes on where it stopped"
        )
    partial.replace(path)
    return path


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            page: bytes = response.read(_MAX_PAGE_BYTES)
            return page
    except urllib.error.HTTPError as error:
        raise _http_error(error, url) from error
    except (urllib.error.URLError, OSError) as error:
        raise RetryLaterError(
            f"the archive cannot be reached: {error}", path=url, remedy="check the network of this machine"
        ) from error


def _http_error(error: urllib.error.HTTPError, url: str) -> NotThereError | RetryLaterError:
    if error.code in (404, 410):
        return NotThereError("the archive does not have this", path=url, remedy="check the accession")
    return RetryLaterError(f"the archive answered {error.code} {error.reason}", path=url, remedy="try again later")
