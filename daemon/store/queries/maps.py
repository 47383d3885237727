"""Questions about particles and the running map: rounds, FSC, forecast, classes, orientations."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import kept
from frazil.daemon.store.queries.named_query import MOVIE_PARAM, NamedQuery, Param, rows_param

RECONSTRUCTIONS = "SELECT * FROM reconstructions ORDER BY round"
# Whether the map ends where its pixels do: no finer one can be told then, whatever is added.
NEWEST_MAP = (
    "WITH newest AS MATERIALIZED (SELECT round, movie_count, particle_count, map_path, resolution_0143_angstrom "
    "FROM reconstructions ORDER BY round DESC LIMIT 1) SELECT *, resolution_0143_angstrom <= 1.001 / "
    "(SELECT max(frequency_per_angstrom) FROM fsc WHERE round = (SELECT round FROM newest)) AS at_pixel_limit "
    "FROM newest"
)
FSC = (
    "SELECT round, frequency_per_angstrom, fsc, fsc_unmasked, fsc_masked, fsc_randomised, fsc_uniform FROM fsc "
    "WHERE round = coalesce($round, (SELECT max(round) FROM reconstructions)) ORDER BY frequency_per_angstrom"
)
FORECAST = (
    "SELECT f.*, r.movie_count, r.particle_count, r.resolution_0143_angstrom, r.b_factor_a2, r.b_factor_low_a2, "
    "r.b_factor_high_a2 FROM forecasts f JOIN reconstructions r USING (round) "
    "WHERE f.round = coalesce($round, (SELECT max(round) FROM reconstructions)) ORDER BY f.place"
)
# Bins of equal area: rot is an angle, and the cosine of the tilt is a height on the sphere.
ORIENTATIONS = (
    "SELECT -180 + (rot_bin + 0.5) * 360 / $rot_bins AS rot_deg, "
    "degrees(acos(1 - 2 * (tilt_bin + 0.5) / $tilt_bins)) AS tilt_deg, count(*) AS particles FROM ("
    "SELECT CAST(floor((rot_deg + 180) / 360 * $rot_bins) AS INTEGER) % $rot_bins AS rot_bin, "
    "least(CAST(floor((1 - cos(radians(tilt_deg))) / 2 * $tilt_bins) AS INTEGER), $tilt_bins - 1) AS tilt_bin "
    "FROM chosen_particles JOIN movies USING (movie_id) "
    f"WHERE {kept()} AND chosen AND rot_deg IS NOT NULL AND tilt_deg IS NOT NULL"
    ") GROUP BY rot_bin, tilt_bin ORDER BY tilt_bin, rot_bin"
)
MAP_CLASSES = (
    "SELECT * FROM map_classes WHERE round = coalesce($round, (SELECT max(round) FROM reconstructions)) "
    "ORDER BY map_class"
)
CLASSES = (
    "SELECT k.*, h.chosen, h.parent_id, h.spoken_for_by, v.verdict, v.who, v.said_utc_us FROM classes k "
    "LEFT JOIN class_choices h USING (class_id) LEFT JOIN class_verdicts_now v USING (class_id) "
    "WHERE k.round = coalesce($round, (SELECT max(round) FROM reconstructions)) "
    "ORDER BY k.particle_count DESC, k.class_id"
)
CLASS_VERDICTS = "SELECT * FROM class_verdicts ORDER BY said_utc_us DESC, order_id DESC, class_id LIMIT $limit"
CHOSEN = (
    "SELECT count(*) AS particles, count(*) FILTER (chosen) AS chosen FROM chosen_particles "
    f"JOIN movies USING (movie_id) WHERE {kept()}"
)
# The view `particles` has no diameter: it is the movie's.
PICKS = (
    "SELECT unnest(x_px) AS x_px, unnest(y_px) AS y_px, diameter_angstrom FROM particle_arrays "
    "WHERE movie_id = $movie_id"
)
PARTICLES = "SELECT * EXCLUDE (movie_id) FROM particles WHERE movie_id = $movie_id ORDER BY particle"
PARTICLES_TOTAL = (
    "SELECT coalesce(sum(q.particle_count), 0) AS particles, count(*) AS movies FROM movies m "
    f"JOIN quality q USING (movie_id) WHERE {kept('m')}"
)
MAP_GAINS = (
    "SELECT g.*, r.resolution_0143_angstrom FROM map_gains g JOIN reconstructions r USING (round) "
    "WHERE round = (SELECT max(round) FROM reconstructions) ORDER BY gain"
)
PARTICLE_EVIDENCE = (
    f"SELECT m.relative_path, e.* FROM particle_evidence e JOIN movies m USING (movie_id) WHERE {kept('m')} "
    "ORDER BY m.sequence DESC LIMIT $limit"
)
PARTICLE_FRC = (
    "SELECT * EXCLUDE (movie_id) FROM particle_frc WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
)
PARTICLE_SSNR = (
    "SELECT * EXCLUDE (movie_id) FROM particle_ssnr WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
)
PARTICLE_COLUMNS = (
    "SELECT coalesce(sum(len(x_px)), 0) AS particles, max(diameter_angstrom) AS diameter_angstrom, "
    + ", ".join(
        f"coalesce(sum(list_count({name})), 0) AS {name}"
        for name in [
            "score",
            "class_id",
            "rot_deg",
            "tilt_deg",
            "psi_deg",
            "origin_x_angstrom",
            "origin_y_angstrom",
            "certainty",
            "map_class",
            "fibre",
            "along_angstrom",
            "axis_deg",
        ]
    )
    + f" FROM particle_arrays JOIN movies USING (movie_id) WHERE {kept()}"
)

QUERIES: Mapping[str, NamedQuery] = {
    "newest_map": NamedQuery("The newest round of the running map, and whether its pixels limit it.", NEWEST_MAP, {}),
    "reconstructions": NamedQuery("Rounds of the running map.", RECONSTRUCTIONS, {}),
    "fsc": NamedQuery(
        "FSC of a round (corrected, unmasked, masked, with random phases); without one, of the last.",
        FSC,
        {"round": Param(int)},
    ),
    "forecast": NamedQuery(
        "What a round foretells: the end of the session, then the next steps; without a round, the last.",
        FORECAST,
        {"round": Param(int)},
    ),
    "orientations": NamedQuery(
        "How many particles of kept movies are seen from where: bins of equal area by rot and tilt.",
        ORIENTATIONS,
        {"rot_bins": Param(int, 24, least=1, most=360), "tilt_bins": Param(int, 12, least=1, most=180)},
    ),
    "classes": NamedQuery(
        "2D classes of a round with their scores; without one, the last. Whether they are chosen, and what people "
        "said, is of now.",
        CLASSES,
        {"round": Param(int)},
    ),
    "class_verdicts": NamedQuery(
        "What people said of 2D classes, the newest first.", CLASS_VERDICTS, {"limit": rows_param(100)}
    ),
    "chosen_particles": NamedQuery("Particles of kept movies, and how many of them are chosen.", CHOSEN, {}),
    "map_classes": NamedQuery(
        "The maps of a round that its particles are sorted into; without one, the last.",
        MAP_CLASSES,
        {"round": Param(int)},
    ),
    "particles": NamedQuery("Particles of one movie.", PARTICLES, MOVIE_PARAM),
    "picks": NamedQuery(
        "Where the particles of one movie lie, in pixels of its micrograph (row 0 at the bottom), and their diameter.",
        PICKS,
        MOVIE_PARAM,
    ),
    "particle_evidence": NamedQuery(
        "What the particles of kept movies say: their number and the beam tilt, newest first.",
        PARTICLE_EVIDENCE,
        {"limit": rows_param(100)},
    ),
    "particle_frc": NamedQuery("FRC of a movie's particles with the other half's map.", PARTICLE_FRC, MOVIE_PARAM),
    "particle_ssnr": NamedQuery(
        "ln SSNR of a movie's particles relative to the map, coma taken out.", PARTICLE_SSNR, MOVIE_PARAM
    ),
    "particles_total": NamedQuery("Particles of all kept movies.", PARTICLES_TOTAL, {}),
    "map_gains": NamedQuery("The newest map with fewer and with more particles.", MAP_GAINS, {}),
    "particle_columns": NamedQuery("Of how many particles of kept movies each value is known.", PARTICLE_COLUMNS, {}),
}
