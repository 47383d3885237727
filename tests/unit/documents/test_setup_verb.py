"""`frazil setup` past documents that cannot be read and files that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.actors.document_reader import ReadDocument
from frazil.config.errors import SettingsError, UsageError
from frazil.daemon.cli import setup as verb
from frazil.models.documents.tree import Kind, Node


@pytest.fixture(autouse=True)
def _one_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> ReadDocument:
        if path.name != "a.txt":
            raise UsageError("cannot be read (No such file or directory)", path=path)
        tree = Node(Kind.DOCUMENT, name="text", children=[Node(Kind.PARAGRAPH, "Recorded at 300 kV.")])
        return ReadDocument(tree, 0.1, 1.0)

    monkeypatch.setattr(verb, "read_behind_walls", read)


def test_a_missing_file_does_not_lose_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    verb.setup([Path("gone.pdf"), Path("a.txt")])
    told = capsys.readouterr()
    assert "microscope.voltage_kv" in told.out
    assert "not read: gone.pdf: cannot be read" in told.out
    assert "gone.pdf: cannot be read" in told.err


def test_nothing_but_missing_files_is_a_wrong_request() -> None:
    with pytest.raises(UsageError, match=r"gone\.pdf: cannot be read"):
        verb.setup([Path("gone.pdf")])


def test_the_report_is_told_before_the_file_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        verb.setup([Path("a.txt")], write=tmp_path / "no" / "such" / "folder.yaml")
    assert "microscope.voltage_kv" in capsys.readouterr().out
