"""The micrograph on the whole screen, its marks, and pictures in the terminal's own pixels, used by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import msgspec
import numpy as np
import pytest

from frazil.config.errors import NotThereError
from frazil.daemon.report.pictures import load_bits, load_picture
from frazil.daemon.status.movie_pictures import movie_picture
from frazil.daemon.transport.messages import REGION_BITS, WHOLE, NamedQuery, PictureReply
from frazil.daemon.transport.messages import Picture as Request
from frazil.models.formats.mrc_write import write_mrc
from frazil.tui.app import FrazilApp
from frazil.tui.graphics.canvas import LEVELS, PICK
from frazil.tui.graphics.terminal import BLOCKS, Graphics
from frazil.tui.live.micrograph_screen import MicrographScreen
from frazil.tui.live.view_port import ViewPort, steps
from frazil.tui.widgets.drawn import Marks, Place, drawn
from frazil.tui.widgets.picture import Picture

RNG = np.random.default_rng(3)


# ---- what the daemon sends


def test_a_part_of_a_picture_is_that_part(tmp_path: Path) -> None:
    image = RNG.normal(0, 1, (60, 80)).astype(np.float32)
    write_mrc(tmp_path / "a.mrc", image, pixel_size_angstrom=1.5)
    part = (0.25, 0.5, 0.5, 0.5)
    reply = load_picture(tmp_path / "a.mrc", max_width_px=40, max_height_px=99, pixel_size=1.5, part=part)
    expected = image[::-1][30:60, 20:60]
    assert (reply.width_px, reply.height_px, reply.part) == (40, 30, part)
    gray = np.frombuffer(reply.gray, np.uint8).reshape(30, 40)
    low, high = np.percentile(expected, (1, 99))
    inside = (expected > low) & (expected < high)
    np.testing.assert_allclose(gray[inside], (expected[inside] - low) / (high - low) * 255, atol=1.01)
    half = load_picture(tmp_path / "a.mrc", max_width_px=20, max_height_px=99, pixel_size=1.5, part=part)
    assert (half.width_px, half.height_px) == (20, 15)


def test_bits_are_not_mixed(tmp_path: Path) -> None:
    bits = RNG.integers(0, 8, (40, 60), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(bits))
    reply = load_bits(tmp_path / "a.png", max_width_px=20, max_height_px=20)
    np.testing.assert_array_equal(np.frombuffer(reply.gray, np.uint8).reshape(13, 20), bits[1:40:3, 1::3])


def session_files(folder: Path) -> dict[str, Any]:
    """A movie whose micrograph is 2048 px wide and whose reduced one has 512 px."""
    for name in ("motion", "thumbnails"):
        (folder / name).mkdir()
    image = RNG.normal(0, 1, (1536, 2048)).astype(np.float32)
    write_mrc(folder / "motion/m.mrc", image, pixel_size_angstrom=1.2)
    small = image.reshape(384, 4, 512, 4).mean(axis=(1, 3))[::-1]
    gray = np.clip(128 + 200 * small, 0, 255).astype(np.uint8)
    (folder / "thumbnails/m.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(gray)))
    return {"micrograph_path": "motion/m.mrc", "thumbnail_path": "thumbnails/m.png",
            "micrograph_pixel_size_angstrom": 1.2}  # fmt: skip


def test_the_file_with_enough_pixels_is_read(tmp_path: Path) -> None:
    movie = session_files(tmp_path)

    def source_width(side: int, part: tuple[float, float, float, float] = WHOLE) -> int:
        reply = movie_picture(tmp_path, movie, Request("m", "thumbnail", side, side, part))
        assert reply.field_px == (2048, 1536)
        assert reply.field_pixel_angstrom == 1.2
        return reply.source_width_px

    assert source_width(60) == 512
    assert source_width(512) == 512
    assert source_width(1000) == 2048
    assert source_width(60, (0.4, 0.4, 0.02, 0.02)) == 2048, "the reduced one has ten pixels of it"
    (tmp_path / "motion/m.mrc").unlink()
    reply = movie_picture(tmp_path, movie, Request("m", "thumbnail", 1000, 1000))
    assert (reply.source_width_px, reply.field_px) == (512, (0, 0)), "an archive without micrographs"
    with pytest.raises(NotThereError):
        movie_picture(tmp_path, movie, Request("m", "regions", 100, 100))


def test_a_part_that_is_none_is_refused(session: Any) -> None:
    from frazil.daemon.transport.answering import Answerer

    answerer = Answerer(session.service)
    movie_id = str(session.service.rows[0]["movie_id"])
    for part in ((0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.1, 0.1), (0.0, float("nan"), 1.0, 1.0), (-0.1, 0.0, 1.0, 1.0)):
        failure = answerer.answer(Request(movie_id, "thumbnail", 10, 10, part))
        assert getattr(failure, "kind", "") == "usage", part
    whole = msgspec.msgpack.decode(msgspec.msgpack.encode(answerer.answer(Request(movie_id, "thumbnail", 9, 9))))
    assert whole["part"] == list(WHOLE)


# ---- what is drawn of it


REPLY = PictureReply(
    100, 50, bytes(5000), field_px=(1000, 500), field_pixel_angstrom=2.0, part=(0.5, 0.0, 0.5, 0.5)
)  # the upper right quarter: 500 x 250 px of the micrograph, 5 of them to one of the picture


@pytest.mark.parametrize("graphics", [BLOCKS, Graphics("kitty", (10, 20)), Graphics("sixel", (5, 10))], ids=str)
def test_rings_lie_around_the_picks(graphics: Graphics) -> None:
    width, height = graphics.cell_px
    place = Place(300 // width, -(-150 // height), graphics)
    pick = {"x_px": 749.5, "y_px": 374.5, "diameter_angstrom": 200.0}  # the middle of the part, row 0 at the bottom
    away = {"x_px": 100.0, "y_px": 100.0, "diameter_angstrom": 200.0}
    made = drawn(REPLY, Marks(picks=[pick, away]), place)
    indices = np.frombuffer(bytes(made.canvas.pixels), np.uint8).reshape(made.canvas.height_px, -1)
    assert indices.shape[1] == 300, "three times as large"
    y, x = np.nonzero(indices == PICK)
    radius = np.hypot(x - 149.5, y - 74.5)
    assert abs(radius.max() - 30) < 1.5, "100 A are 50 px of the micrograph, 10 of the reply, 30 here"
    assert radius.min() > 27
    assert (made.columns, made.rows) == (300 // width, -(-150 // height))
    assert len(made.strips) == made.rows
    assert made.scale == "20 nm", "1000 A over 300 px"


def test_what_was_left_out_is_tinted() -> None:
    bits = np.zeros((5, 10), np.uint8)
    bits[0, :5], bits[4, 9] = 1, 4
    regions = PictureReply(10, 5, bits.tobytes())
    reply = msgspec.structs.replace(REPLY, field_pixel_angstrom=0.0)  # without a bar
    made = drawn(reply, Marks(regions=regions), Place(100, 25, BLOCKS))
    indices = np.frombuffer(bytes(made.canvas.pixels), np.uint8).reshape(50, 100)
    np.testing.assert_array_equal(indices // LEVELS, np.kron([[0, 1, 0, 0, 3][b] for b in bits.ravel()], np.ones(1))
                                  .reshape(5, 10).repeat(10, 0).repeat(10, 1))  # fmt: skip


def test_a_damaged_reply_is_said() -> None:
    with pytest.raises(ValueError, match="are no picture"):
        drawn(PictureReply(3, 3, b"12"), Marks(), Place(10, 10, BLOCKS))


# ---- closer and aside


def test_steps_are_whole_and_begin_with_all_of_it() -> None:
    ladder = steps((4092, 5760), (1200, 740))
    assert ladder[0] == 8
    assert ladder == sorted(ladder, reverse=True)
    assert all(step == round(step) for step in ladder if step >= 1)
    assert {1.0, 0.5} <= set(ladder)
    assert steps((300, 200), (1200, 740))[0] == 1


def test_the_place_under_the_mouse_stays_and_the_edge_holds() -> None:
    view = ViewPort((4096, 4096), (512, 512))
    assert view.part() == WHOLE
    closer = view.zoomed(2, (0.75, 0.25))
    left, top, across, down = closer.part()
    assert left + 0.75 * across == pytest.approx(0.75)
    assert top + 0.25 * down == pytest.approx(0.25)
    assert across * 4096 == pytest.approx(512 * closer.own_per_screen_px)
    far = closer
    for _ in range(100):
        far = far.stepped(1, -1)
    left, top, across, down = far.part()
    assert (left + across, top) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))
    assert far.zoomed(-99).part() == WHOLE
    assert far.zoomed(99).own_per_screen_px == min(steps((4096, 4096), (512, 512)))
    assert closer.in_box((256, 256)).own_per_screen_px == pytest.approx(closer.own_per_screen_px, rel=0.5)


# ---- the screen


async def opened(app: FrazilApp, pilot: Any, tools: Any) -> Picture:
    await tools.settle(pilot)
    await pilot.press("w")
    await tools.until(pilot, lambda: isinstance(app.screen, MicrographScreen))
    await tools.settle(pilot)
    return app.screen.query_one(Picture)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_the_micrograph_on_the_whole_screen(session: Any, tools: Any, size: tuple[int, int]) -> None:
    asked: list[Request] = []
    answer = session.service.picture

    def kept(request: Request) -> PictureReply:
        asked.append(request)
        return answer(request)

    session.service.picture = kept
    app = session.app()
    async with app.run_test(size=size) as pilot:
        picture = await opened(app, pilot, tools)
        assert picture.size.width == size[0]
        assert picture.size.height >= size[1] - 5
        text = tools.screen_text(app)
        assert "FoilHole_14380105_Data_14371000_15_20260921_005745" in text
        assert "━ 100 nm" in text or "━ 50 nm" in text
        whole = picture.strips
        await pilot.press("plus", "plus", "right")
        await tools.settle(pilot)
        assert asked[-1].part[3] < 0.6
        assert asked[-1].part[0] > (1 - asked[-1].part[2]) / 2, "to the right of the middle"
        assert asked[-1].max_width_px <= 2 * size[0], "no more than is seen"
        assert picture.strips != whole
        await pilot.press("0")
        await tools.settle(pilot)
        assert asked[-1].part == WHOLE
        assert picture.strips == whole
        await pilot.press("escape")
        await tools.settle(pilot)
        assert not isinstance(app.screen, MicrographScreen)


async def test_marks_are_toggled_everywhere_at_once(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        picture = await opened(app, pilot, tools)
        plain = picture.strips
        await pilot.press("o")
        await tools.settle(pilot)
        ringed = picture.strips
        assert ringed != plain
        await pilot.press("l")
        await tools.settle(pilot)
        assert picture.strips != ringed
        for name in REGION_BITS:
            assert name in tools.screen_text(app)
        await pilot.press("o", "l")
        await tools.settle(pilot)
        assert picture.strips == plain
        await pilot.press("l", "escape", "o")
        await tools.settle(pilot)
        assert app.marks.regions
        assert app.marks.picks


async def test_another_movie_and_what_arrives_meanwhile(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        picture = await opened(app, pilot, tools)
        first = picture.movie_id
        session.add(tools.make_rows(330, seed=1, waiting=0)[320:])
        await tools.settle(pilot)
        assert picture.movie_id == first, "it stays, however many come"
        await pilot.press("pagedown")
        await tools.until(pilot, lambda: picture.movie_id != first, "another movie")
        await tools.settle(pilot)
        row = session.service.named(NamedQuery("movie", {"movie_id": picture.movie_id})).as_dicts()[0]
        assert str(row["relative_path"])[-30:-15] in tools.screen_text(app)


async def test_help_and_back(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, tools)
        await pilot.press("question_mark")
        await tools.settle(pilot)
        assert "Keys in micrograph" in tools.screen_text(app)
        await pilot.press("escape", "q")
        await tools.settle(pilot)
        assert app.is_running
        assert not isinstance(app.screen, MicrographScreen)


@pytest.mark.parametrize("kind", ["sixel", "kitty"])
async def test_pixels_of_the_terminal(session: Any, tools: Any, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(FrazilApp, "write_to_terminal", lambda self, text: written.append(text))
    app = FrazilApp(session.directory, silence_s=0.3, graphics=Graphics(kind, (10, 20)))
    start = "\x1bP" if kind == "sixel" else "\x1b_Ga=T"
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await tools.until(pilot, lambda: sum(start in text for text in written) >= 2, "micrograph and spectrum")
        assert app.marks.picks
        picture = app.screen.query_one("#thumbnail", Picture)
        text = tools.screen_text(app)
        if kind == "kitty":
            assert "\U0010eeee" in text
            assert f"i={picture._image_id}," in "".join(written)
        else:
            region = picture.content_region
            row, column = (int(n) for n in written[0].removeprefix("\x1b7\x1b[").split("H")[0].split(";"))
            assert region.contains(column - 1, row - 1) or app.screen.query_one("#spectrum").content_region.contains(
                column - 1, row - 1
            )
        # Under a dialog, whose shade would be another picture's name, half blocks.
        await pilot.press("question_mark")
        await tools.settle(pilot)
        assert "\U0010eeee" not in tools.screen_text(app)
        await pilot.press("escape", "m")
        await tools.settle(pilot)
        await tools.until(pilot, lambda: app.screen.query_one("#map-sections", Picture).drawn)
        before = len(written)
        await pilot.press("m")
        await tools.settle(pilot)
        await tools.until(pilot, lambda: kind == "kitty" or len(written) > before, "drawn again")
    if kind == "kitty":
        assert app.images, "what the terminal still holds is known"
