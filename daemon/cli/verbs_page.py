"""docs/verbs.md: what every verb says of itself: `python -m frazil.daemon.cli.verbs_page > docs/verbs.md`."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from frazil.daemon.cli.main import VERBS, build

_WIDTH = 100
_INTRODUCTION = """# Verbs

<!-- Made by `python -m frazil.daemon.cli.verbs_page > docs/verbs.md` from what the verbs say of themselves. -->

What `frazil --help` and `frazil VERB --help` say. Every verb also runs as `./run VERB ...` in the folder that you
unpacked. Exit codes: 0 done, 1 failed, 2 asked wrongly. A session is named by its folder. What the numbers mean:
[numbers.md](numbers.md).
"""


def verbs_page() -> str:
    """The help of the command line, then of each verb in the order of the list."""
    parts = [_INTRODUCTION, f"```text\n{_help(build())}```\n"]
    parts += [f"## {verb}\n\n```text\n{_help(build(verb), verb)}```\n" for verb in VERBS]
    return "\n".join(parts)


def _help(app: typer.Typer, *verb: str) -> str:
    """As on a terminal that is `_WIDTH` wide."""
    done = CliRunner().invoke(
        app, [*verb, "--help"], prog_name="frazil", env={"COLUMNS": str(_WIDTH), "TERMINAL_WIDTH": str(_WIDTH)}
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


if __name__ == "__main__":
    print(verbs_page(), end="")
