"""What is said of the whole session: causes of loss, and the verdicts on the running map."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from frazil.config.sections.base import NonNegative, Positive, Section
from frazil.config.sections.touches import Stage, Touches


class CausalSettings(Section):
    """What the causal model starts from."""

    learn_from: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Session folders of the same instrument (the last part may be a pattern, `/data/2026*`): what they taught of its
    camera, beam and stage is where this session starts. Read once, when the session is made."""
    forgetting: Annotated[float, Field(gt=0, le=1), Touches(Stage.NOTHING)] = 1.0
    """Share of what earlier movies taught that is kept from one epoch of five movies to the next, for an instrument
    that drifts slowly: with 0.98 it is half after 170 movies. 1: nothing is forgotten; sudden changes are found
    anyhow."""
    hear_verdicts: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Let the evaluators' verdicts weigh what movies teach: what they doubt moves the causal prior less. Which round
    has been judged when five movies are learnt from depends on the machine's pace (it is stored with each version).
    false: only what those movies show of themselves counts, and the same movies teach the same to the last bit."""
    graph: Annotated[str | None, Touches(Stage.CAUSES)] = None
    """YAML with further nodes and edges of the causal graph, drawn and told with the others (`frazil why --tree`). A
    mechanism or a factor may have an `equation` over the nodes from which arrows come, such as `dose_e_per_a2 *
    exp(-settle_time / 30 s)`; with `replaces: true` it takes the place of a shipped one (docs/science.md). null: the
    graph that ships."""


class EvaluationSettings(Section):
    """How the running reconstruction is judged."""

    provers: Annotated[tuple[Literal["exact", "z3", "coq", "lean"], ...], Touches(Stage.NOTHING)] = ("z3", "exact")
    """What settles the session's claims. Exact integers always do, and others are held against them; `coq` and `lean`
    are used where they are installed (`frazil doctor` says so)."""
    prover_seconds: Annotated[float, Field(ge=1, le=3600), Touches(Stage.NOTHING)] = 60.0
    """Each prover's time for a round of five movies; what it has not settled then is unknown. No movie waits for it."""
    model: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Crystal or helix that the specimen is said to be: YAML or JSON (cell, space group or operations, molecules per
    cell, mass, coarse spheres, rise and twist), mmCIF or PDB. null: no claims about one."""
    citation_graph: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Citation graph for the forecast of impact: a Parquet or CSV file of works with OpenAlex's columns (`id`,
    `publication_date`, `type`, `field`, `referenced_works`), or a folder with `works` and `citations` in either
    format. null: no forecast."""
    work_id: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """The work of that graph whose citations are forecast. null: a new article that cites `reference_work_ids`."""
    reference_work_ids: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Works of that graph that an article about the structure will cite; for a structure that is not published yet."""
    references_dir: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Folder of known structures (`.pdb`, `.cif`, `.mrc`, `.map`, also `.gz`; sub-folders too) that the running map's
    shape is compared with. Each is described once and kept in the user's cache; files may come and go while the session
    runs. `frazil fetch 5A1A --out FOLDER` adds one by its accession. null: novelty says nothing."""
    sandbox: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Run parts of the pipeline again, walled off, with every instrument parameter off by its error, to tell which
    results are robust and which hang on a calibration. It gives way to movies."""
    sandbox_every_rounds: Annotated[int, Field(ge=1, le=1000), Touches(Stage.NOTHING)] = 10
    """One movie is run again in each so many rounds of five movies; rounds between keep the last verdict. A rerun takes
    half a minute to two minutes of one core that nobody else wants."""
    sandbox_cpu_s: Annotated[int, Field(ge=1, le=36000), Touches(Stage.NOTHING)] = 300
    """CPU time of one rerun; what it has not found then stays unknown."""
    sandbox_wall_s: Annotated[float, Field(ge=1, le=36000), Touches(Stage.NOTHING)] = 3600.0
    """Time of one rerun, waiting for a core included."""
    sandbox_memory_mib: Annotated[int, Field(ge=1024), Touches(Stage.NOTHING)] = 8192
    """Address space of one rerun."""
    pixel_size_error: Annotated[NonNegative, Touches(Stage.NOTHING)] = 0.005
    """One sigma of the pixel size, relative: what a calibration by a known lattice or an atomic model reaches (0.2 to
    1 %). 0: not varied, as for the others below."""
    voltage_error: Annotated[NonNegative, Touches(Stage.NOTHING)] = 0.001
    """One sigma of the voltage, relative: the offset between the set and the true voltage (0.3 kV at 300 kV)."""
    cs_error: Annotated[NonNegative, Touches(Stage.NOTHING)] = 0.01
    """One sigma of the spherical aberration, relative: makers state two digits after the point."""
    dose_error: Annotated[NonNegative, Touches(Stage.NOTHING)] = 0.05
    """One sigma of the dose, relative: two measurements of it are taken to agree so far (`intake`)."""
    gain_error: Annotated[float, Field(ge=0, le=1), Touches(Stage.NOTHING)] = 0.01
    """Relative rms of what the gain reference gets wrong from pixel to pixel."""
    formulas: Annotated[dict[str, str], Touches(Stage.NOTHING)] = {}
    """A person's own quantities by name: arithmetic on stored ones, such as `astigmatism: defocus_u_angstrom -
    defocus_v_angstrom`. Each is told for every movie of a round with its error, and with what it owes to each
    parameter of the instrument. docs/science.md lists functions and quantities."""
    refit_ctf: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Fit the CTF of one micrograph of every twenty again, on other tiles of it and on the evaluators' CPU, and hold
    the two against each other. Costs some seconds of what others leave of the cores."""
    goal_resolution_angstrom: Annotated[Positive | None, Touches(Stage.NOTHING)] = None
    """What the session is for. Whether microscope time, disk and computing suffice for it is told with the scores
    (`feasibility`). null: no goal, and nothing is told."""
    microscope_hours_left: Annotated[Positive | None, Touches(Stage.NOTHING)] = None
    """Hours that the session has at the microscope, counted from its first movie. null: not known; then disk alone is
    held against the goal."""
