"""The machinery: lag, queue, disk, workers, what was set aside. Who only wants to know about the data need not look."""

from __future__ import annotations

from html import escape

from frazil.daemon.page.frame import part, tiles, word
from frazil.daemon.page.live_words import live_words
from frazil.daemon.report.html.parts import folded, paragraphs, table, wide
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.report.summary.text import lag_sentences, raw_text, seconds_text, state_counts
from frazil.daemon.transport.messages import LiveState


def machinery(state: LiveState, told: SessionSummary) -> str:
    """The last part of the session's page."""
    words = live_words(state)
    places = f"{raw_text(told)}; results in {told.session_dir}; frazil {told.code_version}"
    cells = [
        ("From movie to result", word("lag", words["lag"]), word("lag_of", words["lag_of"])),
        ("Movies waiting", word("waiting", words["waiting"]), "found and not finished"),
        ("Last movie found", word("last_found", words["last_found"]), ""),
        ("Disk", word("disk", words["disk"]), word("disk_of", words["disk_of"])),
    ]
    return part(
        "machinery",
        "The machinery",
        tiles(cells) if told.live else "",
        paragraphs([*lag_sentences(told), *told.removed]),
        table([(f"{count:,}", what) for count, what in state_counts(told)], ("movies", "state")),
        folded("Why movies were not kept", wide(_reasons(told), "Reasons")),
        folded("Workers", wide(_workers(state), "Workers")),
        folded("Time by stage", wide(_stages(told), "Time by stage")),
        f"<p class=dim><bdi>{escape(places)}</bdi></p>",
    )


def _reasons(told: SessionSummary) -> str:
    rows = [
        (f"{reason.movies:,}", reason.state + (f" ({reason.stage})" if reason.stage else ""), reason.example)
        for reason in told.reasons
    ]
    return table(rows, ("movies", "state", "for example"))


def _workers(state: LiveState) -> str:
    rows = [
        (one.name, one.device_name or one.device, one.state, one.movie or "", f"{one.done:,}", f"{one.failed:,}")
        for one in state.workers
    ]
    return table(rows, ("worker", "runs on", "state", "movie in hand", "done", "failed"))


def _stages(told: SessionSummary) -> str:
    rows = [(one.stage, seconds_text(one.median_s), seconds_text(one.total_s)) for one in told.stages]
    return table(rows, ("stage", "median a movie", "in all"))
