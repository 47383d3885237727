"""What an advice says to do, without what it would gain."""

from __future__ import annotations

_PLACE = "on grid square "
"""An advice about one square begins with it (`daemon/analysis/advice_rows.py`)."""


def action_of(sentence: str) -> str:
    """
    >>> action_of("wait 10 s longer after moving the stage: map 3.9 -> 3.5 A; costs 70 movies/h")
    'wait 10 s longer after moving the stage'
    >>> action_of("on grid square 7: skip holes with ice above 145 nm: signal at 5 A x1.06")
    'skip holes with ice above 145 nm on grid square 7'
    """
    action, _, rest = sentence.partition(": ")
    return f"{rest.partition(': ')[0]} {action}" if action.startswith(_PLACE) else action
