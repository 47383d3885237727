"""Real sessions of EPU, where the shared data are at hand."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from grid_files import shared


@pytest.fixture(scope="session")
def epu37(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real session of EPU 3.7: atlas, one square with its holes, no images."""
    return _unpacked("epu37_session.tar.gz", tmp_path_factory) / "epu37"


@pytest.fixture(scope="session")
def epu26_afis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """189 real exposures of EPU 2.6 with clusters (AFIS)."""
    return _unpacked("epu26_afis_exposures.tar.gz", tmp_path_factory) / "epu26_afis"


def _unpacked(name: str, factory: pytest.TempPathFactory) -> Path:
    archive = shared(name)
    folder = factory.mktemp(name.split(".")[0])
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder
