"""`frazil VERB`: registers one verb a file and turns typed errors into sentences and exit codes.

Exit codes: 0 done, 1 failed, 2 asked wrongly.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from frazil.config.errors import FrazilError, UsageError

VERBS = (
    *("demo", "watch", "simulate", "tui", "status", "alerts", "summary", "why", "scores", "query", "export", "fetch"),
    *("page", "sessions", "serve", "retain", "what-if", "set", "changed", "next", "classes", "requeue"),
    *("experiment", "calibrate", "setup", "doctor"),
)

IN_SHORT = {
    "demo": "Watch frazil work for a few minutes, without a microscope",
    "watch": "Process movies as they arrive; go on after a stop",
    "simulate": "Write a folder of simulated movies, all of them known",
    "tui": "The live screen; also of a finished session",
    "status": "How a session is doing: go on, change, or stop",
    "alerts": "What you should know, and who was told",
    "summary": "The session on one page: text, JSON or HTML",
    "why": "What costs signal, and what changing it would bring",
    "scores": "How far the results can be believed",
    "query": "Ask a session: questions by name, or SQL",
    "export": "Hand over to RELION; tables as CSV, Parquet, JSON",
    "fetch": "Download movies from EMPIAR, maps, models",
    "page": "A finished session as a web page",
    "sessions": "List the sessions below a folder",
    "what-if": "What other thresholds would keep, and the map then",
    "set": "Change settings; only what depends on them is made again",
    "changed": "Say what you changed at the microscope",
    "next": "Which holes to take next, when to leave a square",
    "classes": "2-D classes: which of them go into the map",
    "requeue": "Process movies again that were set aside",
    "experiment": "Compare two settings at the microscope by a coin",
    "calibrate": "Pixel size and hand, from a structure that is known",
    "serve": "A session for each new acquisition, by rules",
    "setup": "Settings proposed from papers, forms, headers, screens",
    "retain": "What finished sessions can do without",
    "doctor": "What works on this machine, and what to mend",
}
"""For the list of verbs, where there is room for so much; one that is not here is told by its own first words."""
_HELP = """Live processing of cryo-EM movies while the microscope is still running.

Start with `frazil demo`, or with docs/tutorial.md. At the scope:

  frazil watch /data/raw --session /data/session1 --preset krios-k3 --gain gain.mrc --pixel-size-angstrom 0.83

and in any terminal on that machine `frazil tui /data/session1`.

Whether to go on says `frazil status /data/session1`.
"""


def load_verb(name: str) -> Callable[..., Any]:
    """The function of one verb; importing only this one keeps `frazil tui` free of torch and Ray."""
    place = name.replace("-", "_")
    function: Callable[..., Any] = getattr(import_module(f"frazil.daemon.cli.{place}"), place)
    return function


def _listed(name: str) -> Callable[[], None]:
    """Stands for a verb in the list of all: its docstring is read without importing its file, since all of them
    together would import PyTorch. The list runs none of them."""
    place = name.replace("-", "_")
    tree = ast.parse(Path(__file__).with_name(f"{place}.py").read_text(encoding="utf-8"))
    (said,) = (
        ast.get_docstring(part) for part in tree.body if isinstance(part, ast.FunctionDef) and part.name == place
    )

    def verb() -> None:
        raise NotImplementedError(name)

    verb.__doc__ = said
    return verb


def build(*verbs: str) -> typer.Typer:
    """The command line of these verbs; of none: the list of all."""
    app = typer.Typer(
        help=_HELP,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        show_version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end")
        ] = False,
    ) -> None:
        """The help of the command line itself is `_HELP`."""

    for name in verbs or VERBS:
        verb = load_verb(name) if verbs else _listed(name)
        app.command(name, short_help=IN_SHORT.get(name), context_settings={"help_option_names": ["-h", "--help"]})(verb)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"frazil {version('frazil')}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `frazil` script."""
    words = sys.argv[1:]
    asked = next((word for word in words if not word.startswith("-")), None)
    command = typer.main.get_command(build(asked) if asked in VERBS else build())
    command.help = _HELP
    try:
        # Typer prints what is wrong with the words itself and ends with 2. (It brings its own copy of click, whose
        # errors are not those of the package `click`: they cannot be caught here by name.)
        command(args=words or ["--help"], prog_name="frazil")
    except FrazilError as error:
        typer.echo(f"frazil: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
