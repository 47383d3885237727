"""The house itself: packaging and the one name under which everything is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "models", "actors", "daemon", "tui")


def test_every_sub_package_is_listed_for_the_wheel() -> None:
    # A forgotten one works in editable mode and is missing from the wheel.
    on_disk = {
        "frazil." + str(init.parent.relative_to(ROOT)).replace("/", ".")
        for room in ROOMS
        for init in (ROOT / room).rglob("__init__.py")
    }
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == on_disk


def test_every_folder_with_modules_is_a_package() -> None:
    lost = [
        str(module.relative_to(ROOT))
        for room in ROOMS
        for module in (ROOT / room).rglob("*.py")
        if not (module.parent / "__init__.py").exists()
    ]
    assert lost == []


def test_type_checkers_see_the_same_rooms() -> None:
    assert {link.name: link.resolve() for link in (ROOT / ".typing" / "frazil").iterdir()} == {
        room: ROOT / room for room in ROOMS
    }


def test_the_screen_stays_light() -> None:
    """`frazil tui` runs on a laptop or the scope's host: importing it must not bring torch, Ray or DuckDB."""
    code = (
        "import sys, frazil.tui.app; "
        "print([m for m in ('torch', 'ray', 'duckdb', 'scipy', 'config', 'models', 'daemon') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert shown.stdout.strip() == "[]"


def test_the_daemon_and_its_store_end_without_a_word(tmp_path: Path) -> None:
    """What duckdb finds alive at the end of a process it lists on stderr: 35 lines at the end of a person's session."""
    code = (
        "import sys; from pathlib import Path; import frazil.daemon.app; from frazil.daemon.store.store import Store; "
        "store = Store.open(Path(sys.argv[1]), now_utc_us=0); print(store.rows('SELECT 42')); store.close()"
    )
    shown = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "42" in shown.stdout
    assert shown.stderr == ""


LONGEST_LINES, MOST_PARAMETERS = 60, 10
DAEMON_MODULES = {"__init__", "app", "run", "commands", "client", "archive"}


def _functions(room: str) -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module.relative_to(ROOT), node


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    own = bool(named) and named[0].arg in ("self", "cls")
    return len(named) - own + (given.vararg is not None) + (given.kwarg is not None)


@pytest.mark.parametrize("room", [*ROOMS, "benchmarks", "tests"])
def test_functions_stay_short_and_take_few_parameters(room: str) -> None:
    """But those of the command line, whose parameters are its options."""
    lengths = {
        f"{path}:{function.name}": ((function.end_lineno or 0) - function.lineno + 1, _parameters(function))
        for path, function in _functions(room)
        if "daemon/cli" not in str(path)
    }
    over = {name: size for name, size in lengths.items() if size[0] > LONGEST_LINES or size[1] > MOST_PARAMETERS}
    assert over == {}


def test_the_daemon_has_no_module_outside_of_a_room() -> None:
    assert {module.stem for module in (ROOT / "daemon").glob("*.py")} == DAEMON_MODULES


def test_every_module_of_processing_and_analysis_has_a_unit_test() -> None:
    imported = set()
    for test in (ROOT / "tests" / "unit").rglob("*.py"):
        for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    modules = {
        "frazil." + str(module.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for room in ("processing", "analysis")
        for module in (ROOT / "daemon" / room).rglob("*.py")
        if module.stem != "__init__"
    }
    assert modules - imported == set()
