-- The session's tables. Times are UTC microseconds since 1970 (BIGINT); units are in the names; NULL is "not known".
-- Rows of a stage are keyed by movie_id (one path and generation of a file); `stages` keeps the parameter hash and
-- the code version that the present rows were made with, so that a replay replaces and never adds.

CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_utc_us BIGINT NOT NULL);

CREATE TABLE IF NOT EXISTS session (
    session_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    raw_root TEXT NOT NULL,
    created_utc_us BIGINT NOT NULL,
    finished_utc_us BIGINT,
    preset TEXT,
    microscope TEXT,
    camera TEXT,
    voltage_kv DOUBLE,
    cs_mm DOUBLE,
    amplitude_contrast DOUBLE,
    pixel_size_angstrom DOUBLE,
    dose_per_frame_e_per_a2 DOUBLE,
    gain_path TEXT,
    gain_verdict TEXT,      -- JSON: orientation, convention, evidence
    settings_yaml TEXT NOT NULL,
    code_version TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS movies (
    movie_id TEXT PRIMARY KEY,            -- hash of relative path and generation
    relative_path TEXT NOT NULL,          -- below the raw root, '/' separated
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    failure_stage TEXT,
    failure_reason TEXT,                  -- a sentence for a person
    failure_evidence TEXT,                -- JSON: error class, traceback, header, versions
    rejection_reason TEXT,
    file_format TEXT,
    size_bytes BIGINT,
    mtime_ns BIGINT,
    inode BIGINT,
    frame_count INTEGER,
    height_px INTEGER,
    width_px INTEGER,
    pixel_size_angstrom DOUBLE,
    voltage_kv DOUBLE,
    dose_per_frame_e_per_a2 DOUBLE,
    sidecar_path TEXT,
    grid_square TEXT,
    hole TEXT,
    stage_x_um DOUBLE, stage_y_um DOUBLE, stage_z_um DOUBLE, stage_tilt_deg DOUBLE,
    image_shift_x_um DOUBLE, image_shift_y_um DOUBLE,
    beam_tilt_x_mrad DOUBLE, beam_tilt_y_mrad DOUBLE,
    target_defocus_um DOUBLE,
    acquired_utc_us BIGINT,
    metadata_json TEXT,                   -- the whole AcquisitionMetadata
    found_utc_us BIGINT NOT NULL,
    complete_utc_us BIGINT,               -- settled and structurally complete
    ready_utc_us BIGINT,
    lag_s DOUBLE,                         -- found -> ready, by the daemon's monotonic clock
    flags TEXT,                           -- comma separated short words
    UNIQUE (relative_path, generation)
);

CREATE TABLE IF NOT EXISTS stages (
    movie_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    seconds DOUBLE NOT NULL,
    parameter_hash TEXT NOT NULL,
    code_version TEXT NOT NULL,
    worker TEXT, node TEXT, device TEXT, device_name TEXT, device_uuid TEXT,
    finished_utc_us BIGINT NOT NULL,
    PRIMARY KEY (movie_id, stage)
);

CREATE TABLE IF NOT EXISTS frame_shifts (
    movie_id TEXT NOT NULL,
    frame INTEGER NOT NULL,               -- from 1
    shift_x_angstrom DOUBLE NOT NULL,     -- displacement of the specimen, zero mean over the movie
    shift_y_angstrom DOUBLE NOT NULL,
    sd_angstrom DOUBLE NOT NULL,
    PRIMARY KEY (movie_id, frame)
);

CREATE TABLE IF NOT EXISTS ctf (
    movie_id TEXT PRIMARY KEY,
    defocus_u_angstrom DOUBLE NOT NULL,
    defocus_v_angstrom DOUBLE NOT NULL,
    astigmatism_angstrom DOUBLE NOT NULL,
    astigmatism_angle_deg DOUBLE NOT NULL,
    phase_shift_deg DOUBLE NOT NULL,
    defocus_sd_angstrom DOUBLE,
    astigmatism_sd_angstrom DOUBLE,
    fit_resolution_angstrom DOUBLE,
    score DOUBLE,
    ice_ring_density DOUBLE,
    reliable BOOLEAN NOT NULL,
    flag TEXT
);

CREATE TABLE IF NOT EXISTS quality (
    movie_id TEXT PRIMARY KEY,
    motion_total_angstrom DOUBLE,
    motion_early_angstrom DOUBLE,
    motion_late_angstrom DOUBLE,
    local_motion_rms_angstrom DOUBLE,
    mean_counts_per_px DOUBLE,
    dose_per_frame_e_per_px DOUBLE,
    hot_pixel_count INTEGER,
    relative_ice_thickness DOUBLE,
    fixed_pattern DOUBLE,
    half_frc_0143_angstrom DOUBLE,
    particle_count INTEGER,
    micrograph_path TEXT, micrograph_no_dose_weighting_path TEXT, motion_star_path TEXT,
    thumbnail_path TEXT, power_spectrum_path TEXT, restored_path TEXT, particles_path TEXT,
    micrograph_pixel_size_angstrom DOUBLE
);

CREATE TABLE IF NOT EXISTS local_motion (
    movie_id TEXT NOT NULL,
    axis TEXT NOT NULL,                   -- x or y
    coefficient INTEGER NOT NULL,         -- 0..17, RELION's order
    value_angstrom DOUBLE NOT NULL,
    PRIMARY KEY (movie_id, axis, coefficient)
);

CREATE TABLE IF NOT EXISTS spectra (
    movie_id TEXT NOT NULL,
    frequency_per_angstrom DOUBLE NOT NULL,
    power DOUBLE, noise_power DOUBLE, ring_amplitude DOUBLE, half_frc DOUBLE,
    PRIMARY KEY (movie_id, frequency_per_angstrom)
);

CREATE TABLE IF NOT EXISTS causal_losses (
    movie_id TEXT NOT NULL,
    factor TEXT NOT NULL,
    frequency_per_angstrom DOUBLE NOT NULL,
    loss_ln_ssnr DOUBLE NOT NULL,
    loss_sd DOUBLE NOT NULL,
    prior_version INTEGER NOT NULL,
    PRIMARY KEY (movie_id, factor, frequency_per_angstrom)
);

CREATE TABLE IF NOT EXISTS priors (
    version INTEGER PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    movie_count INTEGER NOT NULL,
    factor_names TEXT NOT NULL,           -- JSON list
    mean TEXT NOT NULL,                   -- JSON list
    sd TEXT NOT NULL,                     -- JSON list
    state_json TEXT NOT NULL              -- all that is needed to go on from here
);

CREATE TABLE IF NOT EXISTS interventions (
    intervention_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    factor TEXT NOT NULL,
    scope TEXT NOT NULL,                  -- movie id, square or 'session'
    gain_ln_ssnr DOUBLE, gain_sd DOUBLE,
    ctf_resolution_from_angstrom DOUBLE, ctf_resolution_to_angstrom DOUBLE,
    sentence TEXT NOT NULL,
    who TEXT NOT NULL                     -- 'frazil' for advice, else the person who did it
);

CREATE TABLE IF NOT EXISTS particles (
    movie_id TEXT NOT NULL,
    particle INTEGER NOT NULL,            -- from 1, within the movie
    x_px DOUBLE NOT NULL, y_px DOUBLE NOT NULL,   -- of the corrected micrograph
    score DOUBLE,
    half_set INTEGER NOT NULL,            -- 1 or 2, fixed at extraction
    class_id INTEGER,
    rot_deg DOUBLE, tilt_deg DOUBLE, psi_deg DOUBLE,
    origin_x_angstrom DOUBLE, origin_y_angstrom DOUBLE,
    PRIMARY KEY (movie_id, particle)
);

CREATE TABLE IF NOT EXISTS classes (
    round INTEGER NOT NULL, class_id INTEGER NOT NULL,
    particle_count INTEGER NOT NULL, resolution_angstrom DOUBLE, average_path TEXT,
    PRIMARY KEY (round, class_id)
);

CREATE TABLE IF NOT EXISTS reconstructions (
    round INTEGER PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    movie_count INTEGER NOT NULL, particle_count INTEGER NOT NULL,
    prior_version INTEGER,
    resolution_0143_angstrom DOUBLE, resolution_05_angstrom DOUBLE,
    map_path TEXT, half1_path TEXT, half2_path TEXT,
    symmetry TEXT
);

CREATE TABLE IF NOT EXISTS fsc (
    round INTEGER NOT NULL, frequency_per_angstrom DOUBLE NOT NULL, fsc DOUBLE NOT NULL,
    PRIMARY KEY (round, frequency_per_angstrom)
);

CREATE TABLE IF NOT EXISTS scores (
    round INTEGER NOT NULL, evaluator TEXT NOT NULL,
    created_utc_us BIGINT NOT NULL,
    verdict DOUBLE, uncertainty DOUBLE, reliability DOUBLE, unit TEXT, evidence_json TEXT NOT NULL,
    seconds DOUBLE,
    PRIMARY KEY (round, evaluator)
);

CREATE TABLE IF NOT EXISTS alerts (
    alert_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    severity TEXT NOT NULL,               -- info, warning, error
    subject TEXT NOT NULL,                -- gain, disk, worker, intake, ...
    text TEXT NOT NULL,
    remedy TEXT,
    acknowledged_utc_us BIGINT, acknowledged_by TEXT
);

CREATE TABLE IF NOT EXISTS feedback (
    feedback_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    movie_id TEXT,
    verdict TEXT NOT NULL,                -- accept, reject, note
    note TEXT,
    who TEXT NOT NULL
);
