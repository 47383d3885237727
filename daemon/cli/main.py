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
    *("page", "sessions", "serve", "retain", "what-if", "set", "changed", "next", "requeue", "experiment", "doctor"),
)

_HELP = """Live processing of cryo-EM movies while the microscope is still running.

Start with `frazil demo`. At the scope:

  frazil watch /data/raw --session /data/session1 --preset krios-k3 --gain gain.mrc --pixel-size-angstrom 0.83

and, from anywhere, `frazil tui --session /data/session1`.
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


def build(asked: str | None = None) -> typer.Typer:
    """The command line of one verb; of none that there is: the list of all."""
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

    for name in (asked,) if asked in VERBS else VERBS:
        verb = load_verb(name) if name == asked else _listed(name)
        app.command(name, context_settings={"help_option_names": ["-h", "--help"]})(verb)
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
    command = typer.main.get_command(build(asked))
    command.help = _HELP
    try:
        # Typer prints what is wrong with the words itself and ends with 2. (It brings its own copy of click, whose
        # errors are not those of the package `click`: they cannot be caught here by name.)
        command(args=words or ["--help"], prog_name="frazil")
    except FrazilError as error:
        typer.echo(f"frazil: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
