"""What every page of a session has around it: head, navigation, the line that says whether it is live, the foot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from frazil.daemon.page.links import Links
from frazil.daemon.page.typography import typeset

PAGES: tuple[tuple[str, str], ...] = (("", "Session"), ("movies", "Movies"), ("grid", "Grid"))
"""Name in the address, word."""


AT_REST = "nobody runs this session now"


@dataclass(frozen=True, slots=True)
class Head:
    """What goes into `<head>`, and what the scripts are told."""

    markup: str
    live: bool
    """The page follows a session that is running."""
    words: str = ""
    """What the line beside the navigation says; empty: by `live`."""
    scripts: str = ""
    """At the end of the body."""


SERVED_MARKUP = (
    "<link rel=icon href=/assets/icon.svg type='image/svg+xml'><link rel=stylesheet href=/assets/plots.css>"
    "<link rel=stylesheet href=/assets/uplot.css><link rel=stylesheet href=/assets/page.css>"
    "<script src=/assets/uplot.js defer></script><script src=/assets/page.js type=module></script>"
)


def document(title: str, session: str, here: str, body: str, head: Head, links: Links) -> str:
    """A whole page of a session. `here`: its name in `PAGES`."""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title>{head.markup}</head>"
        f"<body data-live={'yes' if head.live else 'no'}>"
        "<a class=skip href=#content>To the content</a>"
        f"<header class=topbar><p class=name>{escape(session)}</p>"
        f"{_navigation(here, links)}{_connection(head)}</header>"
        f"<main id=content tabindex=-1>{typeset(body)}</main>{head.scripts}</body></html>\n"
    )


def _navigation(here: str, links: Links) -> str:
    items = []
    for name, word in PAGES:
        address = links.page(name)
        if address is not None:
            current = " aria-current=page" if name == here else ""
            items.append(f"<li><a href='{address}'{current}>{word}</a></li>")
    return f"<nav aria-label='Pages of this session'><ul>{''.join(items)}</ul></nav>" if len(items) > 1 else ""


def _connection(head: Head) -> str:
    """Filled by the page's script: what is written here holds without one."""
    words = head.words or ("as it was when this page was loaded" if head.live else AT_REST)
    return f"<p id=connection class=connection role=status>{words}</p>"


def failure_document(status: int, what: str, remedy: str | None, links: Links) -> str:
    """A sentence for a person who opened a page that is not to be had."""
    again = "<p>Load the page again in a moment.</p>" if status in (429, 503) else ""
    todo = f"<p>What to do: {escape(remedy)}.</p>" if remedy else ""
    body = f"<h1>Not to be shown</h1><p class=lead>{escape(what[:1].upper() + what[1:])}.</p>{todo}{again}"
    return document("frazil", "frazil", "-", body, Head(SERVED_MARKUP, live=False), links)


def part(name: str, title: str, *bodies: str, note: str = "", kind: str = "") -> str:
    """A headed part of a page that is exchanged when it has something new; nothing where there is nothing to show."""
    body = "".join(bodies)
    if not body:
        return ""
    said = f"<p class=dim>{escape(note)}</p>" if note else ""
    return (
        f"<section id={name} data-part={name} class='part {kind}' aria-labelledby={name}-title>"
        f"<h2 id={name}-title>{escape(title)}</h2>{said}{body}</section>"
    )


def word(name: str, text: str, tag: str = "span") -> str:
    """A place whose text follows the state (`frazil.daemon.page.live_words`)."""
    return f"<{tag} data-word={name}>{escape(text)}</{tag}>"


def tiles(cells: Iterable[tuple[str, str, str]]) -> str:
    """(words, big figure, small words), the last two ready to stand in the page."""
    body = "".join(
        f"<div><dt>{escape(words)}</dt><dd><b>{value}</b><small>{small}</small></dd></div>"
        for words, value, small in cells
    )
    return f"<dl class=tiles>{body}</dl>"
