"""The reconciling scan on real folders, and the rules about names and links."""

from __future__ import annotations

import os

import pytest

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.identity import FileStat
from frazil.daemon.intake.mounts import file_system_type, is_remote, trusts_inodes
from frazil.daemon.intake.scan import PathFilter, Tree


@pytest.fixture
def raw(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    return root


def tree(root, **more):
    settings = more.pop("settings", IntakeSettings())
    return Tree(root=root, filter=PathFilter(settings), **more)


def write(path, size=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_finds_movies_and_sidecars_below_the_root_with_their_stat(raw):
    write(raw / "Images-Disc1/GridSquare_1/Data/a_Fractions.tiff", 11)
    write(raw / "Images-Disc1/GridSquare_1/Data/a.xml")
    write(raw / "b.EER")
    snapshot = tree(raw).scan()
    found = os.stat(raw / "Images-Disc1/GridSquare_1/Data/a_Fractions.tiff")
    assert snapshot.files["Images-Disc1/GridSquare_1/Data/a_Fractions.tiff"] == FileStat(
        11, found.st_mtime_ns, found.st_ino
    )
    assert sorted(snapshot.files) == ["Images-Disc1/GridSquare_1/Data/a_Fractions.tiff", "b.EER"]
    assert list(snapshot.sidecars) == [str(raw / "Images-Disc1/GridSquare_1/Data/a.xml")]
    assert not snapshot.refused
    assert not snapshot.unreadable


@pytest.mark.parametrize(
    "name",
    [
        ".a.tif", "a.tif.tmp", "gain.mrc", "K3_Gain_x.tif", "defects.tif", "a.txt", "a.tif.part", ".cache/a.tif",
        "Images-Disc1/GridSquare_4590/GridSquare_20260101_000000.mrc", "Sample1/Atlas/Tile_1.mrc",
        "Images-Disc1/GridSquare_4590/FoilHoles/FoilHole_46_20260101_000000.mrc",
    ],
)  # fmt: skip
def test_leaves_out_what_is_not_a_movie(raw, name):
    write(raw / name)
    assert not tree(raw).scan().files
    assert tree(raw).look(name) is None


def test_look_and_scan_agree(raw):
    write(raw / "square/a.tif")
    assert tree(raw).look("square/a.tif") == tree(raw).scan().files["square/a.tif"]
    assert tree(raw).look("square/b.tif") is None


def test_not_recursive(raw):
    write(raw / "a.tif")
    write(raw / "square/b.tif")
    flat = tree(raw, settings=IntakeSettings(recursive=False))
    assert list(flat.scan().files) == ["a.tif"]
    assert flat.look("square/b.tif") is None


def test_the_session_folder_below_the_root_is_not_raw_data(raw):
    write(raw / "session/restored/a.mrc")
    write(raw / "a.mrc")
    guarded = tree(raw, exclude_folders=(raw / "session",))
    assert list(guarded.scan().files) == ["a.mrc"]
    assert guarded.look("session/restored/a.mrc") is None


def test_link_that_leaves_the_root_is_refused_with_a_reason(raw, tmp_path):
    secret = write(tmp_path / "elsewhere/a.tif")
    (raw / "a.tif").symlink_to(secret)
    (raw / "b.tif").symlink_to("../elsewhere/a.tif")
    (raw / "more").symlink_to(secret.parent)
    (raw / "broken.tif").symlink_to(raw / "nothing.tif")
    snapshot = tree(raw).scan()
    assert not snapshot.files
    assert sorted(snapshot.refused) == ["a.tif", "b.tif", "broken.tif", "more"]
    assert str(secret) in snapshot.refused["a.tif"]
    assert snapshot.refused["broken.tif"] == "the link leads nowhere"
    assert tree(raw).look("a.tif") is None
    assert tree(raw).look("more/a.tif") is None


def test_a_folder_whose_name_only_begins_like_the_root_is_outside(raw, tmp_path):
    outside = write(tmp_path / "raw-other/a.tif")
    (raw / "a.tif").symlink_to(outside)
    assert "a.tif" in tree(raw).scan().refused


def test_link_that_stays_inside_is_a_movie_under_its_own_name(raw):
    write(raw / "square/a.tif", 12)
    (raw / "best.tif").symlink_to("square/a.tif")
    snapshot = tree(raw).scan()
    assert snapshot.files["best.tif"] == snapshot.files["square/a.tif"] == tree(raw).look("best.tif")


def test_linked_folders_inside_are_not_entered_so_loops_end(raw):
    write(raw / "square/a.tif")
    (raw / "square/up").symlink_to(raw)
    (raw / "latest").symlink_to("square")
    snapshot = tree(raw).scan()
    assert list(snapshot.files) == ["square/a.tif"]
    assert not snapshot.refused


def test_the_root_itself_may_be_a_link(raw, tmp_path):
    write(raw / "a.tif")
    (tmp_path / "link").symlink_to(raw)
    assert list(tree(tmp_path / "link").scan().files) == ["a.tif"]
    assert tree(tmp_path / "link").look("a.tif") is not None


def test_paths_out_of_the_root_are_never_looked_at(raw, tmp_path):
    write(tmp_path / "a.tif")
    assert tree(raw).look("../a.tif") is None


def test_named_pipe_is_refused_and_does_not_hang(raw):
    os.mkfifo(raw / "a.tif")
    assert tree(raw).scan().refused == {"a.tif": "it is not a regular file"}
    assert tree(raw).look("a.tif") is None


def test_name_that_is_no_text_is_refused(raw):
    with open(os.fsencode(raw) + b"/\xff.tif", "wb") as file:
        file.write(b"x")
    snapshot = tree(raw).scan()
    assert not snapshot.files
    assert list(snapshot.refused.values()) == ["its name is not valid UTF-8; rename it"]
    "".join(snapshot.refused).encode()  # can be stored and shown


def test_missing_root_is_said_and_an_empty_one_is_not_missing(raw, tmp_path):
    assert tree(raw).scan().root_present
    assert not tree(tmp_path / "nothing").scan().root_present
    assert not tree(write(tmp_path / "file")).scan().root_present


def test_a_replaced_root_has_another_identity(raw, tmp_path):
    before = tree(raw).scan().root_identity
    raw.rename(tmp_path / "old")
    raw.mkdir()
    assert tree(raw).scan().root_identity != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder_is_named_on_disk(raw):
    write(raw / "square/a.tif")
    (raw / "square").chmod(0)
    try:
        assert tree(raw).scan().unreadable == {"square": "Permission denied"}
    finally:
        (raw / "square").chmod(0o755)


def test_folder_that_cannot_be_listed_is_named(raw, monkeypatch):
    write(raw / "square/a.tif")
    write(raw / "b.tif")
    scandir = os.scandir

    def failing(folder):
        if str(folder).endswith("square"):
            raise OSError(116, "Stale file handle")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", failing)
    snapshot = tree(raw).scan()
    assert snapshot.unreadable == {"square": "Stale file handle"}
    assert list(snapshot.files) == ["b.tif"]


def test_sidecars_in_another_root(raw, tmp_path):
    write(tmp_path / "metadata/Images-Disc1/a.xml")
    write(tmp_path / "metadata/Images-Disc1/a.mrc")  # no movie: it lies outside the raw root
    snapshot = tree(raw, sidecar_roots=(tmp_path / "metadata",)).scan()
    assert list(snapshot.sidecars) == [str(tmp_path / "metadata/Images-Disc1/a.xml")]
    assert not snapshot.files


def test_quick_scan_lists_quiet_files_without_stat(raw):
    write(raw / "old.tif")
    write(raw / "new.tif")
    write(raw / "old.xml")
    snapshot = tree(raw).scan(quiet={"old.tif"}, quiet_sidecars={str(raw / "old.xml")})
    assert snapshot.files["old.tif"] is None
    assert snapshot.files["new.tif"] is not None
    assert snapshot.sidecars == {str(raw / "old.xml"): None}


def test_inodes_that_are_made_up_are_not_compared(raw):
    write(raw / "a.tif")
    unstable = tree(raw, use_inodes=False)
    assert unstable.scan().files["a.tif"].inode == 0 == unstable.look("a.tif").inode


TABLE = r"""rootfs / ext4 rw 0 0
proc /proc proc rw 0 0
server:/data /data nfs4 rw 0 0
//pc/frames /data/krios\0401 cifs rw 0 0
auto /auto autofs rw 0 0
user@pc: /home/me/scope fuse.sshfs rw 0 0
short
"""


@pytest.mark.parametrize(
    ("folder", "kind", "remote", "inodes"),
    [
        ("/work/raw", "ext4", False, True),
        ("/data/x/y", "nfs4", True, True),
        ("/data/krios 1/x", "cifs", True, False),
        ("/data/krios 10", "nfs4", True, True),
        ("/database", "ext4", False, True),
        ("/auto/x", "ext4", False, True),
        ("/home/me/scope", "fuse.sshfs", True, False),
    ],
)
def test_network_mounts_are_known_by_their_type(folder, kind, remote, inodes, tmp_path):
    from pathlib import Path

    assert file_system_type(Path(folder), TABLE) == kind
    assert (is_remote(kind), trusts_inodes(kind)) == (remote, inodes)


def test_unknown_file_system_is_local():
    from pathlib import Path

    assert file_system_type(Path("/x"), "") == "unknown"
    assert not is_remote("unknown")
