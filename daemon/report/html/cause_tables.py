"""Tables on what costs signal, for the summary's page and for the live one."""

from __future__ import annotations

from frazil.daemon.report.html.parts import table
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.report.summary.text import utc_text


def named_causes(told: SessionSummary) -> str:
    """How many movies each cause is named in; empty: none is."""
    return table(
        [(f"{count.movies:,}", count.words) for count in told.named_causes], ("movies", "what costs them most")
    )


def changes(told: SessionSummary) -> str:
    """When the session became another one; empty: it did not."""
    return table(
        [
            (f"movie {change.movie_number}", utc_text(change.acquired_utc_us), change.cause, change.sentence)
            for change in told.changes
        ],
        ("from", "UTC", "what", "what changed"),
    )
