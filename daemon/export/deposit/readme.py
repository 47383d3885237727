"""The page that goes with a deposit: what lies where, how it is sent, and what a person has to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frazil.daemon.export.deposit.empiar import ImageSet

_TEXT = """# {name}: a deposit written by frazil {version}

`data/` is what is sent: {copies} but the small STAR files are links to the session and to its raw data.

| file | what it is |
|---|---|
| `manifest.tsv` | every file of `data/`: its size, its SHA-256 and where it really lies |
| `SHA256SUMS` | the same sums for `sha256sum -c SHA256SUMS`, at the sender's and at the receiver's |
| `deposition.json` | EMPIAR's deposition as `empiar-depositor` takes it; what you add stays when you export again |
| `left_out.tsv` | movies that are not in it, and why |
| `ispyb/TABLE.json` | the rows of the session in ISPyB's tables |
| `oscem.json` | the acquisition in OSC-EM's words |
| `data/movies` | the movies under their own names, with their metadata files |
| `data/gain` | gain reference and defects |
| `data/processed` | a RELION folder: aligned sums, particles, motion, CTF (run RELION in it) |

EMPIAR's form has no field for checksums: they are for you, and for whoever takes the data from you.

## Image sets

{sets}

## What is still to be said

{missing}
{notes}
## Sending it

Fill in `deposition.json`, then send `data` with EMPIAR's own program; Aspera (`ascp`) follows links by its default:

    empiar-depositor -a ASCP EMPIAR_TOKEN deposition.json data

Globus does not follow links. For it, and for other ways, `rsync -aL data/ PLACE/` copies what the links lead to.
"""


def readme_text(
    session: Mapping[str, object],
    sets: Sequence[ImageSet],
    *,
    copied: bool,
    missing: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The page as Markdown; `missing` and `notes` are sentences, `copied`: aligned sums are no links."""
    rows = "\n".join(
        f"- `{one.directory}`: {one.name}, {one.image_count:,} images, {one.category}, {one.file_format}"
        for one in sets
    )
    return _TEXT.format(
        name=session["name"],
        version=session["code_version"],
        copies="the aligned sums are copies, all else" if copied else "all of it",
        sets=rows or "None yet: no movie is processed.",
        missing="\n".join(f"- {sentence}" for sentence in missing) or "Nothing.",
        notes="\n## To look at\n\n" + "\n".join(f"- {note}" for note in notes) + "\n" if notes else "",
    )
