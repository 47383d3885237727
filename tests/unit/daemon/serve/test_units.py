"""The units in packaging/systemd are those that `frazil serve --print-unit` makes, and systemd takes them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from frazil.daemon.cli.main import build
from frazil.daemon.serve.units import Installation, serve_unit, watch_unit

UNITS = Path(__file__).parents[4] / "packaging" / "systemd"
EXAMPLE = Installation(
    "/opt/frazil/bin/frazil", Path("/data/epu"), Path("/data/sessions"), Path("/etc/frazil/serve.yaml")
)
MADE = {"frazil-serve.service": serve_unit(EXAMPLE), "frazil-watch@.service": watch_unit(EXAMPLE)}


@pytest.mark.parametrize("name", MADE)
def test_the_units_of_the_package_are_the_ones_that_are_printed(name: str) -> None:
    path = UNITS / name
    if os.environ.get("FRAZIL_UPDATE_DOCS"):
        path.write_text(MADE[name], encoding="utf-8")
    assert path.read_text(encoding="utf-8") == MADE[name], "run: FRAZIL_UPDATE_DOCS=1 pytest tests/unit/daemon/serve"


@pytest.mark.parametrize(
    ("made", "name"), [(serve_unit, "frazil-serve.service"), (watch_unit, "frazil-watch@x.service")]
)
def test_systemd_takes_them(tmp_path: Path, made, name: str) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not on this machine")
    for folder in ("data", "sessions"):
        (tmp_path / folder).mkdir()
    here = Installation(
        shutil.which("true") or "/bin/true", tmp_path / "data", tmp_path / "sessions", tmp_path / "serve.yaml", "root"
    )
    template = name.replace("@x.", "@.")
    (tmp_path / template).write_text(made(here), encoding="utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)], capture_output=True, text=True
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")


def test_print_unit_names_the_places_of_this_installation(tmp_path: Path) -> None:
    words = ["serve", str(tmp_path), "--sessions", str(tmp_path / "s"), "--rules", "my.yaml", "--print-unit"]
    shown = CliRunner().invoke(build("serve"), words)
    assert shown.exit_code == 0, shown.output
    start = next(line for line in shown.output.splitlines() if line.startswith("ExecStart="))
    command, *rest = start.removeprefix("ExecStart=").split(" serve ")
    assert Path(command.split()[0]).is_file()
    assert rest == [f"{tmp_path} --sessions {tmp_path / 's'} --rules {Path.cwd() / 'my.yaml'}"]
