"""The pages of a small session of which everything is known."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_session import fill_session

from frazil.config.errors import NotThereError
from frazil.daemon.http.example_session import HEIGHT_PX, SPOT_PX, add_movie
from frazil.daemon.http.file_source import FileSource
from frazil.daemon.page.all_movies import MOST_BYTES, all_movies
from frazil.daemon.page.exposure import Exposure, exposure
from frazil.daemon.page.grid_page import hole_map
from frazil.daemon.page.links import Served
from frazil.daemon.page.movie_list import list_question
from frazil.daemon.page.one_file import InOneFile, one_file, plot_data
from frazil.daemon.page.pages import Pages
from frazil.daemon.report.pictures import MAX_SIDE_PX
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.records import Hole
from frazil.daemon.status.finished import state_at_rest
from frazil.daemon.store.resting_file import RestingFile
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import Row, Rows

ASKED = {"state": "all", "sort": "ready_utc_us", "order": "desc", "search": "", "offset": 0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSource]:
    folder: Path = tmp_path_factory.mktemp("s")
    with Store.open(folder, now_utc_us=1) as store:
        fill_session(folder, store)
    with RestingFile(folder) as reader:
        yield FileSource(folder, reader, state_at_rest)


def test_the_session_s_page_has_its_parts_in_their_order(source: FileSource) -> None:
    text = Pages(source).make("overview", {})
    found = re.findall(r"data-part=(\w+)", text)
    assert found[0] == "verdict"
    assert [name for name in found if name in ("quality", "advice", "alerts")] == ["quality", "advice", "alerts"]
    assert found[-1] == "machinery"
    assert "27 of 30 finished" in text
    assert "<title>grid &lt;4&gt;</title>" in text
    assert "nearly &lt;b&gt;full&lt;/b&gt;" in text


def test_no_page_carries_style_or_script_of_its_own(source: FileSource) -> None:
    """The policy would refuse both."""
    pages = Pages(source)
    texts = [pages.make("overview", {}), pages.make("movies", ASKED), pages.make("grid", {"square_id": None})]
    texts.append(pages.make("movie", {"movie_id": "m0003", "kind": "sum", "size": "fit"}))
    for text in texts:
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script>|https?://", text)


def test_movies_are_listed_page_by_page(source: FileSource) -> None:
    pages = Pages(source)
    first = pages.make("movies", ASKED)
    assert "Movies 1 to 24 of 30." in first
    assert "offset=24" in first
    second = pages.make("movies", ASKED | {"offset": 24})
    assert "Movies 25 to 30 of 30." in second
    assert "FoilHole_0.tif" in second
    rejected = pages.make("movies", ASKED | {"state": "rejected"})
    assert "Movies 1 to 3 of 3." in rejected
    assert "motion 31" in rejected
    assert "No movie is like that" in pages.make("movies", ASKED | {"search": "nothing"})
    assert "state" not in list_question(ASKED)


def test_a_pick_is_drawn_where_pictures_have_it(source: FileSource) -> None:
    """Rows of a micrograph begin at the bottom of its picture."""
    text = Pages(source).make("movie", {"movie_id": "m0003", "kind": "sum", "size": "fit"})
    x, y = SPOT_PX
    assert f"cx={x} cy={HEIGHT_PX - 1 - y} r=10" in text  # 30 A of diameter at 1.5 A a pixel
    with pytest.raises(NotThereError):
        Pages(source).make("movie", {"movie_id": "none", "kind": "sum", "size": "fit"})


def test_full_size_is_the_size_of_the_sum() -> None:
    """Of a K3 in super-resolution, 11,520 px wide, the sum has 5,760: at most 4,096 would be every second of them."""
    movie: Row = {
        "movie_id": "m", "relative_path": "m.tif", "state": "ready", "micrograph_path": "motion/m.mrc",
        "width_px": 11520, "height_px": 8184, "pixel_size_angstrom": 0.415, "micrograph_pixel_size_angstrom": 0.83,
    }  # fmt: skip
    text = exposure(Exposure(movie), "sum", "full", Served())
    assert "/micrograph/m?kind=sum&amp;width_px=5760" in text
    assert MAX_SIDE_PX >= 11520


def test_holes_lie_as_the_stage_has_them() -> None:
    hole = {
        "name": "h", "state": "seen", "usable": None, "ctf_fit_angstrom": None, "stage_x_um": 0.0, "stage_y_um": 0.0,
    }  # fmt: skip
    drawn = hole_map([hole, hole | {"name": "up", "stage_y_um": 10.0}, hole | {"name": "right", "stage_x_um": 10.0}])
    at = {
        name: (float(x), float(y))
        for name, x, y in re.findall(r"<title>hole (\w+):[^<]*</title><circle cx=([\d.]+) cy=([\d.]+)", drawn)
    }
    assert at["up"][1] < at["h"][1]
    assert at["up"][0] == at["h"][0]
    assert at["right"][0] > at["h"][0]
    assert at["right"][0] - at["h"][0] == pytest.approx(at["h"][1] - at["up"][1])


def test_one_file_lets_only_its_own_scripts_run(source: FileSource) -> None:
    text = one_file(source)
    policy = re.search(r'Content-Security-Policy content="([^"]*)"', text)
    assert policy is not None
    allowed = set(re.findall(r"sha256-([^&' ]+)", policy[1]))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert allowed == {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert len(scripts) == 2
    assert not re.search(r"(src|href)=['\"]?(/|http)", text)


def test_one_file_lists_all_movies_and_without_a_script_the_worst(source: FileSource) -> None:
    text = one_file(source)
    packed = re.search(r"<script type='text/plain' id=movie-data>([^<]*)</script>", text)
    assert packed is not None
    columns = json.loads(zlib.decompress(base64.b64decode(packed[1])))["columns"]
    assert columns["name"] == [f"FoilHole_{number}.tif" for number in reversed(range(30))]
    assert columns["fit"] == pytest.approx([4.0 + 0.01 * number for number in reversed(range(30))])
    assert [at for at, words in enumerate(columns["state"]) if "rejected" in words] == [0, 10, 20]
    assert columns["reason"][0] == "motion 31 A is above 15 A"
    assert columns["time"][-1] == 90  # a minute and a half after 1970
    rows = re.search(r"<div class='wide all-movies'.*?</div>", text, re.DOTALL)
    assert rows is not None
    assert re.findall(r"<tr><td class=n>[^<]*</td><td>(FoilHole_\d+)", rows[0]) == [
        f"FoilHole_{number}" for number in reversed(range(30))
    ]


class ManyMovies:
    """The table of a night's session with names as EPU gives them."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(5)
        self.rows = [
            {
                "relative_path": f"GridSquare_{30_000_000 + at // 200}/Data/FoilHole_{rng.integers(1 << 24)}"
                f"_Data_{rng.integers(9) + 30_060_115}_{rng.integers(9) + 30_060_117}_20230912_{at:06d}_fractions.tiff",
                "state": "rejected" if at % 5 == 0 else "ready",
                "reason": f"motion {rng.integers(150, 900) / 10} A is above 15 A",
                "ready_utc_us": 1_700_000_000_000_000 + at * 4_000_000 + int(rng.integers(1_000_000)),
                "ctf_fit_angstrom": float(rng.gamma(4.0)) + 3,
                "defocus_um": float(rng.uniform(0.5, 2.5)),
                "motion_total_angstrom": float(rng.gamma(9.0)),
                "particle_count": int(rng.integers(400)),
            }
            for at in range(count)
        ]

    def table(self, name: str, asked: dict[str, int]) -> Rows:
        found = self.rows[asked["offset"] : asked["offset"] + asked["limit"]]
        columns = tuple(self.rows[0])
        return Rows(columns, tuple(tuple(row[one] for one in columns) for row in found), total=len(self.rows))


def test_fifty_thousand_movies_fit_and_what_does_not_is_said() -> None:
    source: Any = ManyMovies(50_000)
    listed = all_movies(source)
    assert len(listed.data) <= MOST_BYTES
    assert len(listed.part) < 100_000
    columns = json.loads(zlib.decompress(base64.b64decode(listed.data)))["columns"]
    assert len(columns["name"]) == 50_000
    assert "those that fit worst" not in listed.part
    cut = all_movies(source, most_bytes=100_000)
    assert len(cut.data) <= 100_000
    left = len(json.loads(zlib.decompress(base64.b64decode(cut.data)))["columns"]["name"])
    assert f"Of 50,000 movies the file holds {left:,}, those that fit worst." in cut.part


def test_one_file_keeps_within_its_budget(source: FileSource) -> None:
    roomy, tight = InOneFile(source), InOneFile(source, budget_bytes=100)
    assert (roomy.picture("m0003", "sum", 320) or "").startswith("data:image/jpeg;base64,")
    assert tight.picture("m0003", "sum", 320) is None
    assert roomy.picture("none", "sum", 320) is None


def test_plots_in_one_file_have_kept_and_rejected_movies_apart(source: FileSource) -> None:
    times, kept, rejected = plot_data(source.told())["ctf_fit_angstrom"]
    assert len(times) == len(kept) == len(rejected) == 30
    assert [at for at, value in enumerate(rejected) if value is not None] == [9, 19, 29]
    assert kept[9] is None
    assert kept[0] == pytest.approx(4.0)


def test_of_very_many_squares_the_page_draws_squares(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        fill_session(tmp_path, store, movies=2)
        for number in range(10, 10 * 24, 10):  # one movie in each further square
            add_movie(tmp_path, store, number)

        def holes(*, each_hole: bool) -> tuple[Hole, ...]:
            return summarise(store, tmp_path, now_utc_us=1, live=False, each_hole=each_hole).holes

        assert len(holes(each_hole=False)) == len(holes(each_hole=True)) == 25  # so few squares: hole by hole
        add_movie(tmp_path, store, 240)
        every, drawn = holes(each_hole=True), holes(each_hole=False)
    assert len(every) == 26
    assert len(drawn) == 25
    first = next(one for one in drawn if one.square == "GridSquare_0")
    assert (first.stage_x_um, first.kept, first.ctf_fit_angstrom) == (pytest.approx(2.0), 2, pytest.approx(4.005))
