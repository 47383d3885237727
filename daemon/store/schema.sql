-- The session's tables. Times are UTC microseconds since 1970 (BIGINT); units are in the names; NULL is "not known".
-- Rows of a stage are keyed by movie_id (one path and generation of a file); `stages` keeps the parameter hash and
-- the code version that the present rows were made with, so that a replay replaces and never adds.
--
-- Curves and lists (frame_shifts, local_motion, spectra, causal_losses, particles) lie as arrays, one row a movie, in
-- `*_arrays`, and are read through views of one row a point. Tens of millions of rows with a key index would cost
-- gigabytes of memory, and replacing a movie's rows would grow dearer with every movie; so it is one row by its key.

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
    sequence INTEGER,                     -- order of registration in the session, from 0; decides which prior is used
    stem TEXT,                            -- name of the movie's output files, unique in the session
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
    raw_frame_count INTEGER,              -- EER only: camera frames before grouping into fractions
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

CREATE TABLE IF NOT EXISTS frame_shift_arrays (
    movie_id TEXT PRIMARY KEY,
    shift_x_angstrom DOUBLE[] NOT NULL,   -- displacement of the specimen, zero mean over the movie
    shift_y_angstrom DOUBLE[] NOT NULL,
    sd_angstrom DOUBLE[] NOT NULL,
    converged BOOLEAN NOT NULL
);
CREATE VIEW IF NOT EXISTS frame_shifts AS
SELECT movie_id, unnest(range(1, len(shift_x_angstrom) + 1))::INTEGER AS frame,  -- from 1
       unnest(shift_x_angstrom) AS shift_x_angstrom, unnest(shift_y_angstrom) AS shift_y_angstrom,
       unnest(sd_angstrom) AS sd_angstrom
FROM frame_shift_arrays;

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
    already_summed BOOLEAN,               -- a single frame: nothing was aligned
    micrograph_path TEXT, micrograph_no_dose_weighting_path TEXT, even_path TEXT, odd_path TEXT,
    motion_star_path TEXT,
    thumbnail_path TEXT, power_spectrum_path TEXT, restored_path TEXT, particles_path TEXT,
    micrograph_pixel_size_angstrom DOUBLE
);

CREATE TABLE IF NOT EXISTS local_motion_arrays (
    movie_id TEXT PRIMARY KEY,
    x_angstrom DOUBLE[] NOT NULL, y_angstrom DOUBLE[] NOT NULL,   -- 18 coefficients each, RELION's order
    patch_grid_x INTEGER NOT NULL, patch_grid_y INTEGER NOT NULL,
    rms_residual_angstrom DOUBLE,
    accepted BOOLEAN NOT NULL             -- false: no better than none; whole-frame motion alone was used
);
CREATE VIEW IF NOT EXISTS local_motion AS
SELECT movie_id, 'x' AS axis, unnest(range(len(x_angstrom)))::INTEGER AS coefficient,  -- 0..17
       unnest(x_angstrom) AS value_angstrom FROM local_motion_arrays
UNION ALL
SELECT movie_id, 'y' AS axis, unnest(range(len(y_angstrom)))::INTEGER AS coefficient,
       unnest(y_angstrom) AS value_angstrom FROM local_motion_arrays;

CREATE TABLE IF NOT EXISTS spectra_arrays (
    movie_id TEXT PRIMARY KEY,
    frequency_per_angstrom DOUBLE[] NOT NULL,
    power DOUBLE[], noise_power DOUBLE[], ring_amplitude DOUBLE[], half_frc DOUBLE[]
);
CREATE VIEW IF NOT EXISTS spectra AS
SELECT movie_id, unnest(frequency_per_angstrom) AS frequency_per_angstrom, unnest(power) AS power,
       unnest(noise_power) AS noise_power, unnest(ring_amplitude) AS ring_amplitude, unnest(half_frc) AS half_frc
FROM spectra_arrays;

CREATE TABLE IF NOT EXISTS causal_loss_arrays (
    movie_id TEXT NOT NULL,
    factor TEXT NOT NULL,
    frequency_per_angstrom DOUBLE[] NOT NULL,
    loss_ln_ssnr DOUBLE[] NOT NULL,
    loss_sd DOUBLE[] NOT NULL,
    prior_version INTEGER NOT NULL,
    PRIMARY KEY (movie_id, factor)
);
CREATE VIEW IF NOT EXISTS causal_losses AS
SELECT movie_id, factor, unnest(frequency_per_angstrom) AS frequency_per_angstrom,
       unnest(loss_ln_ssnr) AS loss_ln_ssnr, unnest(loss_sd) AS loss_sd, prior_version
FROM causal_loss_arrays;

-- Version 4: the cause to name first, when the session became another one, and how well the causes are known.
CREATE TABLE IF NOT EXISTS named_causes (
    movie_id TEXT PRIMARY KEY,
    named_cause TEXT,                     -- a factor; NULL: nothing stands out
    named_excess_ln_ssnr DOUBLE NOT NULL, -- at 5 A, beyond what is usual in the session
    prior_version INTEGER NOT NULL        -- of this and of the movie's losses
);
-- Version 7: which evidence of the session's particles they were made with; NULL: none.
ALTER TABLE named_causes ADD COLUMN IF NOT EXISTS particle_evidence TEXT;
CREATE TABLE IF NOT EXISTS change_points (
    number INTEGER PRIMARY KEY,           -- from 1
    movie_number INTEGER NOT NULL,        -- of the first movie after it, from 0 in order of acquisition
    acquired_utc_us BIGINT,               -- of that movie
    cause TEXT NOT NULL,                  -- illumination, dose rate, gain, grid or stage
    channel TEXT NOT NULL, value_before DOUBLE NOT NULL, value_after DOUBLE NOT NULL,
    likelihood_ratio DOUBLE NOT NULL,
    sentence TEXT NOT NULL,
    prior_version INTEGER NOT NULL        -- the version with which it was found
);
CREATE TABLE IF NOT EXISTS causal_shares (
    factor TEXT PRIMARY KEY,
    loss_ln_ssnr DOUBLE NOT NULL,         -- mean over the newest kept movies, at 5 A
    sd DOUBLE NOT NULL,                   -- of that mean
    converged BOOLEAN NOT NULL,           -- known from the session, to within the tolerance
    movie_count INTEGER NOT NULL, prior_version INTEGER NOT NULL
);

-- Version 5: the causal graph, as it was when the daemon last started (the shipped one and the session's additions).
CREATE TABLE IF NOT EXISTS causal_nodes (
    place INTEGER PRIMARY KEY,            -- causes before what they act on
    name TEXT NOT NULL,
    kind TEXT NOT NULL,                   -- setting, event, latent, mechanism, factor or outcome
    unit TEXT NOT NULL, words TEXT NOT NULL, source TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS causal_edges (cause TEXT, effect TEXT, PRIMARY KEY (cause, effect));

-- Version 5: how each micrograph was restored, and what the session taught the restoration.
CREATE TABLE IF NOT EXISTS restorations (
    movie_id TEXT PRIMARY KEY,
    method TEXT NOT NULL,                 -- low-pass, wiener, local-wiener or learned
    network_version INTEGER NOT NULL,     -- 0: the weights that ship
    held_out_gain DOUBLE,                 -- ln likelihood of the halves that were held out
    specimen_share DOUBLE,                -- of the field
    masked_share DOUBLE NOT NULL,         -- of the field: dark lumps and edges
    bad_lines INTEGER NOT NULL,
    attenuated_samples INTEGER NOT NULL   -- Fourier samples of reflections and gratings
);
CREATE TABLE IF NOT EXISTS restoration_rounds (
    round INTEGER PRIMARY KEY,            -- from 1
    created_utc_us BIGINT NOT NULL,
    network_version INTEGER NOT NULL,     -- in use from this round on
    accepted BOOLEAN NOT NULL,            -- held-out halves were predicted better
    improvement DOUBLE NOT NULL,          -- fall of the squared error per pixel, in units of the noise
    improvement_sd DOUBLE NOT NULL,
    lesson_movies INTEGER NOT NULL, check_movies INTEGER NOT NULL,
    parameter_hash TEXT NOT NULL, code_version TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS priors (
    version INTEGER PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    movie_count INTEGER NOT NULL,
    factor_names TEXT NOT NULL,           -- JSON list
    mean TEXT NOT NULL,                   -- JSON list
    sd TEXT NOT NULL,                     -- JSON list
    state_json TEXT NOT NULL,             -- all that is needed to go on from here
    parameter_hash TEXT,                  -- settings and code of the results that it was learnt from
    code_version TEXT
);
-- Sessions of schema 1.
ALTER TABLE priors ADD COLUMN IF NOT EXISTS parameter_hash TEXT;
ALTER TABLE priors ADD COLUMN IF NOT EXISTS code_version TEXT;
-- Version 4: how far the last epoch moved each strength, in the sd that it had. JSON list.
ALTER TABLE priors ADD COLUMN IF NOT EXISTS change_sd TEXT;

-- Version 5: any pattern of the camera that is left after gain correction, relative to the counts.
ALTER TABLE quality ADD COLUMN IF NOT EXISTS fixed_pattern_rms DOUBLE;

-- Version 3: the tilt of the specimen, from the defocus of parts of the image. NULL: not known.
ALTER TABLE ctf ADD COLUMN IF NOT EXISTS tilt_angle_deg DOUBLE;
ALTER TABLE ctf ADD COLUMN IF NOT EXISTS tilt_sd_deg DOUBLE;
ALTER TABLE ctf ADD COLUMN IF NOT EXISTS tilt_axis_deg DOUBLE;

CREATE TABLE IF NOT EXISTS interventions (
    intervention_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,       -- of what a person did: when it was done
    factor TEXT NOT NULL,
    scope TEXT NOT NULL,                  -- movie id, square or 'session'
    gain_ln_ssnr DOUBLE, gain_sd DOUBLE,
    ctf_resolution_from_angstrom DOUBLE, ctf_resolution_to_angstrom DOUBLE,
    sentence TEXT NOT NULL,
    who TEXT NOT NULL                     -- 'frazil' for advice, else the person who did it
);
-- Version 4: all that an advice says, with 95 % credible intervals (best and worst: their ends).
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS place INTEGER;   -- among frazil's advice, from 1; NULL: a person's
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS action TEXT;     -- settle+10s, dose-rate*0.5, thin-ice, ...
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS gain_low_ln_ssnr DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS gain_high_ln_ssnr DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS ctf_resolution_best_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS ctf_resolution_worst_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS map_resolution_from_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS map_resolution_to_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS map_resolution_best_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS map_resolution_worst_angstrom DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS movies_saved_share DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS movies_per_hour_change DOUBLE;
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS prior_version INTEGER;

CREATE TABLE IF NOT EXISTS particle_arrays (
    movie_id TEXT PRIMARY KEY,
    diameter_angstrom DOUBLE,
    x_px DOUBLE[] NOT NULL, y_px DOUBLE[] NOT NULL,   -- of the corrected micrograph
    score DOUBLE[],
    half_set INTEGER[] NOT NULL,          -- 1 or 2, fixed at extraction
    class_id INTEGER[],
    rot_deg DOUBLE[], tilt_deg DOUBLE[], psi_deg DOUBLE[],
    origin_x_angstrom DOUBLE[], origin_y_angstrom DOUBLE[]
);
-- Version 7: the probability that there is a particle at all, by which it counts in the map.
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS certainty DOUBLE[];
-- Version 8: of several maps, the one that a particle belongs to (from 1).
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS map_class INTEGER[];
-- Version 20: of segments of fibres, the number of their fibre in the micrograph, how far along it, and its direction.
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS fibre INTEGER[];
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS along_angstrom DOUBLE[];
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS axis_deg DOUBLE[];
-- Version 20: of particles of a tilted specimen, their defocus over the movie's.
ALTER TABLE particle_arrays ADD COLUMN IF NOT EXISTS defocus_offset_angstrom DOUBLE[];
CREATE OR REPLACE VIEW particles AS
SELECT movie_id, unnest(range(1, len(x_px) + 1))::INTEGER AS particle,  -- from 1, within the movie
       unnest(x_px) AS x_px, unnest(y_px) AS y_px, unnest(score) AS score, unnest(half_set) AS half_set,
       unnest(class_id) AS class_id, unnest(rot_deg) AS rot_deg, unnest(tilt_deg) AS tilt_deg,
       unnest(psi_deg) AS psi_deg, unnest(origin_x_angstrom) AS origin_x_angstrom,
       unnest(origin_y_angstrom) AS origin_y_angstrom, unnest(certainty) AS certainty,
       unnest(map_class) AS map_class, unnest(fibre) AS fibre, unnest(along_angstrom) AS along_angstrom,
       unnest(axis_deg) AS axis_deg, unnest(defocus_offset_angstrom) AS defocus_offset_angstrom
FROM particle_arrays;

-- Version 7: what a movie's particles say against the map of the half-set that they are not in. NULL: not known.
CREATE TABLE IF NOT EXISTS particle_evidence_arrays (
    movie_id TEXT PRIMARY KEY,
    particle_count DOUBLE NOT NULL,       -- sum of the certainties
    reference_renewal INTEGER NOT NULL,   -- how often the map's references had been renewed
    beam_tilt_x_mrad DOUBLE, beam_tilt_y_mrad DOUBLE,
    beam_tilt_xx_mrad2 DOUBLE, beam_tilt_xy_mrad2 DOUBLE, beam_tilt_yy_mrad2 DOUBLE,   -- their covariance
    frequency_per_angstrom DOUBLE[] NOT NULL, frc DOUBLE[] NOT NULL,
    band_per_angstrom DOUBLE[] NOT NULL,  -- of the causal model
    log_ssnr DOUBLE[] NOT NULL, log_ssnr_sd DOUBLE[] NOT NULL  -- relative to the map, coma taken out
);
CREATE VIEW IF NOT EXISTS particle_evidence AS
SELECT movie_id, particle_count, reference_renewal, beam_tilt_x_mrad, sqrt(beam_tilt_xx_mrad2) AS beam_tilt_x_sd_mrad,
       beam_tilt_y_mrad, sqrt(beam_tilt_yy_mrad2) AS beam_tilt_y_sd_mrad
FROM particle_evidence_arrays;
CREATE VIEW IF NOT EXISTS particle_frc AS
SELECT movie_id, unnest(frequency_per_angstrom) AS frequency_per_angstrom, unnest(frc) AS frc
FROM particle_evidence_arrays;
CREATE VIEW IF NOT EXISTS particle_ssnr AS
SELECT movie_id, unnest(band_per_angstrom) AS frequency_per_angstrom, unnest(log_ssnr) AS log_ssnr,
       unnest(log_ssnr_sd) AS log_ssnr_sd
FROM particle_evidence_arrays;

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

-- Version 5: the FSC with and without its mask, evenness, and what more movies would bring. NULL: not known.
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS mask TEXT;                   -- map (its own outline) or sphere
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS randomised_from_per_angstrom DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS sphericity DOUBLE;           -- of the conical FSC's surface
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS best_direction_angstrom DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS worst_direction_angstrom DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS orientation_efficiency DOUBLE; -- sampling compensation factor
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS preferred_orientation BOOLEAN;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS orientation_sentence TEXT;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS b_factor_a2 DOUBLE;          -- with its 80 % interval
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS b_factor_low_a2 DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS b_factor_high_a2 DOUBLE;
ALTER TABLE fsc ADD COLUMN IF NOT EXISTS fsc_unmasked DOUBLE;                     -- `fsc` is the corrected one
ALTER TABLE fsc ADD COLUMN IF NOT EXISTS fsc_masked DOUBLE;
ALTER TABLE fsc ADD COLUMN IF NOT EXISTS fsc_randomised DOUBLE;
ALTER TABLE fsc ADD COLUMN IF NOT EXISTS fsc_uniform DOUBLE;                      -- corrected, all particles alike
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS uniform_resolution_0143_angstrom DOUBLE; -- without causal weights
CREATE TABLE IF NOT EXISTS forecasts (
    round INTEGER NOT NULL, place INTEGER NOT NULL,
    kind TEXT NOT NULL,                   -- end (of the session) or step (to a resolution)
    movies BIGINT, movies_low BIGINT, movies_high BIGINT,         -- in all; 80 % interval
    hours DOUBLE,                         -- from then on, at the pace of that hour
    resolution_angstrom DOUBLE NOT NULL,
    resolution_low_angstrom DOUBLE, resolution_high_angstrom DOUBLE,
    reachable BOOLEAN NOT NULL, limited_by TEXT, sentence TEXT NOT NULL,
    PRIMARY KEY (round, place)
);

-- Version 8: particles that hardly count, and several maps beside the common one.
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS discarded_share DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS map_class_sentence TEXT;     -- is there more than one kind?
CREATE TABLE IF NOT EXISTS map_classes (
    round INTEGER NOT NULL, map_class INTEGER NOT NULL,
    particle_count DOUBLE NOT NULL,       -- sum of probabilities
    resolution_0143_angstrom DOUBLE, map_path TEXT NOT NULL,
    PRIMARY KEY (round, map_class)
);

CREATE TABLE IF NOT EXISTS scores (
    round INTEGER NOT NULL, evaluator TEXT NOT NULL,
    created_utc_us BIGINT NOT NULL,
    verdict DOUBLE, uncertainty DOUBLE, reliability DOUBLE, unit TEXT, evidence_json TEXT NOT NULL,
    seconds DOUBLE,
    PRIMARY KEY (round, evaluator)
);
-- Version 9: the weights that each round's V was made with, and what operators said that moved them; NULL: nothing did.
CREATE OR REPLACE VIEW value_weights AS
SELECT round, created_utc_us, version, steps, logic, novelty, impact, reproducibility, meta,
       CASE WHEN stepped = round THEN reason END AS moved_by
FROM (
    SELECT round, created_utc_us,
           json_extract_string(evidence_json, '$.weights_in_use.version') AS version,
           json_extract(evidence_json, '$.weights_in_use.steps')::INTEGER AS steps,
           json_extract(evidence_json, '$.weights_in_use.weights.logic')::DOUBLE AS logic,
           json_extract(evidence_json, '$.weights_in_use.weights.novelty')::DOUBLE AS novelty,
           json_extract(evidence_json, '$.weights_in_use.weights.impact')::DOUBLE AS impact,
           json_extract(evidence_json, '$.weights_in_use.weights.reproducibility')::DOUBLE AS reproducibility,
           json_extract(evidence_json, '$.weights_in_use.weights.meta')::DOUBLE AS meta,
           json_extract(evidence_json, '$.weights_in_use.last_step.round')::INTEGER AS stepped,
           json_extract_string(evidence_json, '$.weights_in_use.last_step.reason') AS reason
    FROM scores WHERE evaluator = 'value'
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
-- Version 9: the map with so many times its particles, for thresholds that are only looked at. 80 % intervals.
CREATE TABLE IF NOT EXISTS map_gains (
    round INTEGER NOT NULL, gain DOUBLE NOT NULL,
    best_angstrom DOUBLE NOT NULL, median_angstrom DOUBLE NOT NULL, worst_angstrom DOUBLE NOT NULL,
    PRIMARY KEY (round, gain)
);
-- Version 9: exposures that share beam and image shift, from 1; NULL: not known (yet). A number never changes.
ALTER TABLE movies ADD COLUMN IF NOT EXISTS optics_group INTEGER;
-- Version 9: since when it is open (it may be over, and come again), when it was over, and who was told of it where.
ALTER TABLE alerts ADD COLUMN IF NOT EXISTS opened_utc_us BIGINT;
ALTER TABLE alerts ADD COLUMN IF NOT EXISTS cleared_utc_us BIGINT;
UPDATE alerts SET opened_utc_us = created_utc_us WHERE opened_utc_us IS NULL;
CREATE TABLE IF NOT EXISTS alert_deliveries (
    alert_id TEXT NOT NULL,
    opened_utc_us BIGINT NOT NULL,        -- which of its openings
    channel TEXT NOT NULL,                -- smtp, or a webhook's shape with a digest of its address
    state TEXT NOT NULL,                  -- sending, sent, failed (tried again), refused (not tried again)
    attempts INTEGER NOT NULL,
    last_error TEXT,
    message_id TEXT NOT NULL,             -- of the message that it went with
    sent_utc_us BIGINT,
    PRIMARY KEY (alert_id, opened_utc_us, channel)
);

CREATE TABLE IF NOT EXISTS feedback (
    feedback_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    movie_id TEXT,
    verdict TEXT NOT NULL,                -- accept, reject, note
    note TEXT,
    who TEXT NOT NULL
);

-- Version 10: what the session has told of a cause beyond version 0, and what an advice gains less its cost.
ALTER TABLE causal_shares ADD COLUMN IF NOT EXISTS first_sd DOUBLE;      -- of the same mean by version 0
ALTER TABLE causal_shares ADD COLUMN IF NOT EXISTS told_nats DOUBLE;     -- beyond version 0 (Kullback-Leibler)
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS net_ln_ssnr DOUBLE;   -- ln of the signal per hour at 5 A
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS pays_probability DOUBLE;  -- that the net gain is above 0

-- Version 11: how an advice is known. NULL: an earlier frazil, or what a person did.
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS known_by TEXT;        -- measured, adjusted or physics
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS known_how TEXT;       -- in a sentence
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS adjusted_for TEXT;    -- nodes of causal_nodes held fixed, by commas
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS refuters TEXT;        -- what was tried to refute it, one a line
ALTER TABLE interventions ADD COLUMN IF NOT EXISTS robustness_value DOUBLE;  -- share that a hidden cause has to explain

-- Version 12: randomised experiments that people planned, and what they say as of now. ln are natural logarithms; all
-- differences are A less B; intervals are 95 % confidence sequences (NULL: nothing is known yet).
CREATE TABLE IF NOT EXISTS experiments (
    experiment_id TEXT PRIMARY KEY,
    created_utc_us BIGINT NOT NULL,
    who TEXT NOT NULL,
    quantity TEXT NOT NULL,               -- settle_time_s, dose_rate_e_per_px_per_s, image_shift_um, defocus_um
    node TEXT NOT NULL,                   -- of the causal graph
    arm_a DOUBLE NOT NULL, arm_b DOUBLE NOT NULL,   -- in the quantity's unit
    outcome TEXT NOT NULL,                -- ln_ssnr, fit_resolution, particles, motion, drift
    seed BIGINT NOT NULL,
    first_sequence INTEGER NOT NULL,      -- movies from this number on belong to it
    holes INTEGER NOT NULL, left_out INTEGER NOT NULL,
    words TEXT NOT NULL,                  -- both arms, for a person
    stopped_utc_us BIGINT, stopped_by TEXT,
    stopped_sequence INTEGER,             -- movies from this number on do not belong to it any more
    state TEXT NOT NULL,                  -- not started, running, decided, undecided
    better TEXT,                          -- A or B; NULL: neither, or not decided
    pairs INTEGER NOT NULL, most_pairs INTEGER NOT NULL,
    gain_ln DOUBLE, gain_low_ln DOUBLE, gain_high_ln DOUBLE,
    rate_ln DOUBLE, rate_low_ln DOUBLE, rate_high_ln DOUBLE,      -- ratio of movies per hour
    net_ln DOUBLE, net_low_ln DOUBLE, net_high_ln DOUBLE,
    movies_a INTEGER NOT NULL, movies_b INTEGER NOT NULL, failed_a INTEGER NOT NULL, failed_b INTEGER NOT NULL,
    seconds_a DOUBLE, seconds_b DOUBLE,   -- of the microscope's time per movie
    fit_a_angstrom DOUBLE, fit_b_angstrom DOUBLE,   -- median resolution of the CTF fit
    fit_from_angstrom DOUBLE, fit_to_angstrom DOUBLE,
    complied_share DOUBLE,
    movies_more INTEGER, hours_more DOUBLE,
    strangers INTEGER NOT NULL,           -- movies that fit no hole of the plan
    sentence TEXT NOT NULL, compliance TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS experiment_assignments (
    experiment_id TEXT NOT NULL,
    place INTEGER NOT NULL,               -- from 1, in the order of acquisition
    block INTEGER NOT NULL,
    arm TEXT NOT NULL, setting DOUBLE NOT NULL,
    target TEXT NOT NULL, grid_square TEXT NOT NULL, stage_group TEXT NOT NULL,   -- empty: not known
    ice DOUBLE, defocus_um DOUBLE,        -- as the list of holes said beforehand
    movies INTEGER NOT NULL,              -- taken of it; 0: not yet
    failed BOOLEAN,                       -- counts as worse than all others
    outcome_ln DOUBLE,                    -- NULL: failed, or not known (yet)
    measured DOUBLE,                      -- the quantity, by sidecar or clock
    complied BOOLEAN, seconds DOUBLE,
    PRIMARY KEY (experiment_id, place)
);

-- Version 13: how much of the causal weights a map takes (0 all particles alike, 1 all of them), and what that brings.
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS causal_weight_share DOUBLE;
ALTER TABLE reconstructions ADD COLUMN IF NOT EXISTS weights_sentence TEXT;

-- Version 14: how well versions of the prior foretold movies that they had not seen, since the last change of a session.
CREATE TABLE IF NOT EXISTS predictions (
    prior_version INTEGER NOT NULL,       -- made with the newest of these movies; those before it foretold them
    quantity TEXT NOT NULL,               -- counted_electrons, steady_drift, ring_level or ring_fall
    movies INTEGER NOT NULL,
    inside_68 INTEGER NOT NULL, inside_95 INTEGER NOT NULL,   -- of these, within the middle 68 and 95 % of the forecast
    crps DOUBLE NOT NULL,                 -- continuous ranked probability score, mean, in ln units; smaller is better
    first_crps DOUBLE NOT NULL,           -- the same by version 0
    plain_crps DOUBLE NOT NULL,           -- the same of a forecast "like the session's movies so far"
    e_value DOUBLE NOT NULL,              -- evidence that the intervals do not hold; 20 is enough
    held TEXT NOT NULL,                   -- holds, fails, no better or not asked
    words TEXT NOT NULL,
    pit DOUBLE[] NOT NULL,                -- where the newest epoch's movies lay in their forecasts, 0 to 1, ascending
    PRIMARY KEY (prior_version, quantity)
);
ALTER TABLE causal_shares ADD COLUMN IF NOT EXISTS held TEXT;    -- of the forecasts that show it; NULL: earlier frazil
ALTER TABLE causal_shares ADD COLUMN IF NOT EXISTS unseen TEXT;  -- the same in words

-- Version 15: how far each epoch's evidence was allowed to move the prior (g), and what each evaluator had to do with it.
CREATE TABLE IF NOT EXISTS evidence_weights (
    prior_version INTEGER NOT NULL,       -- that the epoch made
    term TEXT NOT NULL,                   -- logic, novelty, impact, reproducibility or meta
    reliability DOUBLE,                   -- in (0, 1]; NULL: nobody could say, left out of the geometric mean
    verdict_round INTEGER,                -- whose verdict was heard (scores.round); NULL: none
    words TEXT NOT NULL,
    g DOUBLE NOT NULL,                    -- of all terms together
    PRIMARY KEY (prior_version, term)
);

-- Version 16: nodes of the causal graph that a person gave an equation, and what is to be said of them in each movie.
ALTER TABLE causal_nodes ADD COLUMN IF NOT EXISTS equation TEXT;   -- NULL: computed by what ships, given or only seen
ALTER TABLE named_causes ADD COLUMN IF NOT EXISTS notes TEXT;      -- one a line: not known, beyond what a loss can be

-- Version 17: the grid as files of the acquisition program tell it, which movie is of which place, and where to shoot next.
CREATE TABLE IF NOT EXISTS grid_targets (
    target_id TEXT PRIMARY KEY,
    level TEXT NOT NULL,                  -- grid, area, square, patch, hole, exposure
    program TEXT NOT NULL,                -- epu, serialem, leginon, list
    name TEXT NOT NULL,                   -- what the program and its movies call it
    parent_id TEXT,
    square_id TEXT,                       -- the square that it lies in, itself for a square; NULL: not known
    state TEXT NOT NULL,                  -- the program's: seen, chosen, exposed, processed, avoided
    gone BOOLEAN NOT NULL,                -- no file names it any more
    acquisition_order INTEGER,            -- in which the program means to take it, from 0
    stage_group TEXT,                     -- holes that are reached from one position of the stage
    x_in_parent_px DOUBLE, y_in_parent_px DOUBLE,   -- in the parent's whole image, from its top left corner
    stage_x_um DOUBLE, stage_y_um DOUBLE, stage_z_um DOUBLE,
    diameter_um DOUBLE,
    features_json TEXT NOT NULL,          -- JSON: value by name, the unit in the name
    image_path TEXT,                      -- below the root under which its file was found
    image_width_px INTEGER, image_height_px INTEGER,   -- of that image at full size
    acquired_utc_us BIGINT,               -- when it was exposed, or its image was taken
    said_by TEXT NOT NULL,                -- the file that told it last
    first_seen_utc_us BIGINT NOT NULL, last_seen_utc_us BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS target_words (
    target_id TEXT PRIMARY KEY,           -- empty: of the session as a whole
    word TEXT NOT NULL,                   -- picked, avoided, hours_left, or forgotten (what was said before is over)
    hours DOUBLE,                         -- hours_left: at the microscope, from that moment on
    who TEXT NOT NULL,
    created_utc_us BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS movie_targets (
    movie_id TEXT PRIMARY KEY,
    target_id TEXT NOT NULL,              -- exposure or hole
    hole_id TEXT NOT NULL,
    square_id TEXT,
    linked_by TEXT NOT NULL               -- name, label or stage
);
CREATE TABLE IF NOT EXISTS target_rounds (
    round INTEGER PRIMARY KEY,            -- from 1
    created_utc_us BIGINT NOT NULL,
    words_utc_us BIGINT NOT NULL,         -- of the newest word of a person that it has heard; 0: none
    counted TEXT NOT NULL,                -- usable or effective_signal
    usable_angstrom DOUBLE NOT NULL,
    hours_left DOUBLE,                    -- NULL: not known
    holes INTEGER NOT NULL, exposed INTEGER NOT NULL, outcomes INTEGER NOT NULL,
    line TEXT NOT NULL,                   -- for a glance
    verdict TEXT NOT NULL,                -- in a sentence
    square_id TEXT,                       -- of the first target; NULL: nothing is worth a shot
    expected_more DOUBLE NOT NULL,        -- of what is counted, in the hours left
    price_per_minute DOUBLE NOT NULL,
    taken_share DOUBLE NOT NULL,          -- of all that the grid can give
    slopes_json TEXT NOT NULL,            -- JSON: [name, slope, low, high] of each feature
    move_hole_minutes DOUBLE NOT NULL, move_patch_minutes DOUBLE NOT NULL,
    move_square_minutes DOUBLE NOT NULL, move_area_minutes DOUBLE NOT NULL
);
CREATE TABLE IF NOT EXISTS target_predictions (
    round INTEGER NOT NULL,               -- the newest rounds only
    rank INTEGER NOT NULL,                -- from 1
    target_id TEXT NOT NULL,
    square_id TEXT, patch_id TEXT,
    usable DOUBLE NOT NULL, usable_low DOUBLE NOT NULL, usable_high DOUBLE NOT NULL,   -- 80 % interval
    signal DOUBLE, signal_low DOUBLE, signal_high DOUBLE,                              -- 80 % interval
    minutes DOUBLE NOT NULL,              -- from the one before in this list
    picked BOOLEAN NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (round, rank)
);
CREATE TABLE IF NOT EXISTS square_outlooks (
    round INTEGER NOT NULL,               -- the newest rounds only
    place INTEGER NOT NULL,               -- from 1, the most promising first
    square_id TEXT NOT NULL,
    holes INTEGER NOT NULL, exposed INTEGER NOT NULL, holes_left INTEGER NOT NULL,
    usable_so_far INTEGER NOT NULL,
    usable DOUBLE NOT NULL, usable_low DOUBLE NOT NULL, usable_high DOUBLE NOT NULL,   -- share of what is left
    worth_taking INTEGER NOT NULL,        -- leave it after so many
    words TEXT NOT NULL,
    PRIMARY KEY (round, place)
);

-- Version 18: what EPU's decision service was told, the newest of each area and kind; how far EPU's beam shift goes.
CREATE TABLE IF NOT EXISTS athena_decisions (
    service_session_id TEXT NOT NULL,     -- of the service's own
    area_id BIGINT NOT NULL,              -- EPU's number of the square or hole
    area_type TEXT NOT NULL,              -- gridsquare, foilhole
    decision_type TEXT NOT NULL,          -- include, acquisitionOrder, foilHoleSelection
    decision_value TEXT NOT NULL,
    details TEXT NOT NULL,                -- why, for a person
    round BIGINT NOT NULL,                -- that decided it
    posted_utc_us BIGINT NOT NULL,
    PRIMARY KEY (service_session_id, area_id, decision_type)
);
CREATE TABLE IF NOT EXISTS beam_shift_calibrations (
    exposures INTEGER PRIMARY KEY,        -- that the session had then; it rests on the newest 512 of them
    created_utc_us BIGINT NOT NULL,
    um_per_unit DOUBLE, um_per_unit_sd DOUBLE,         -- length of a beam shift of 1 over all directions; NULL: not found
    um_xx DOUBLE, um_xy DOUBLE, um_yx DOUBLE, um_yy DOUBLE,   -- stage (um) = matrix * shift
    sd_xx DOUBLE, sd_xy DOUBLE, sd_yx DOUBLE, sd_yy DOUBLE,
    mirrored BOOLEAN, rotation_deg DOUBLE,             -- of the shift's axes against the stage's
    residual_um DOUBLE,                   -- root mean square distance of the exposed places from the holes
    clusters INTEGER, holes INTEGER,      -- that it rests on
    coherence DOUBLE,                     -- of the phases on the lattice; NULL: the holes' positions were known
    words TEXT NOT NULL,                  -- what was to be believed with it
    reason TEXT                           -- why it was not found
);

-- Version 19: how thick a movie's ice is, by its counts and what the session's other movies tell of them; with the losses.
ALTER TABLE named_causes ADD COLUMN IF NOT EXISTS ice_nm DOUBLE;     -- NULL: counts do not tell it
ALTER TABLE named_causes ADD COLUMN IF NOT EXISTS ice_sd_nm DOUBLE;  -- half of what the middle 68 % of the draws span
-- The error of the resolution to which the CTF fits, and what pixel size and Cs leave uncertain of the defocus. NULL: not known.
ALTER TABLE ctf ADD COLUMN IF NOT EXISTS fit_resolution_sd_angstrom DOUBLE;
ALTER TABLE ctf ADD COLUMN IF NOT EXISTS defocus_systematic_sd_angstrom DOUBLE;
-- Version 19: what frazil has seen of squares and holes in images at low magnification, and how thick ice is by that.
CREATE TABLE IF NOT EXISTS square_images (
    square_id TEXT PRIMARY KEY,           -- target_id of what was imaged
    path TEXT NOT NULL, mtime_ns BIGINT NOT NULL, size_bytes BIGINT NOT NULL,
    places_hash TEXT NOT NULL,            -- of the holes' places that it was measured with
    kind TEXT NOT NULL,                   -- images of one kind share one calibration
    ln_exposure_s DOUBLE NOT NULL,        -- taken off ln intensities; 0: not known
    width_px INTEGER NOT NULL, height_px INTEGER NOT NULL,
    upside_down BOOLEAN NOT NULL,         -- its rows run the other way than the holes' places
    rows_surely BOOLEAN NOT NULL,         -- beyond doubt; else as in other images of the program
    shift_x_px DOUBLE NOT NULL, shift_y_px DOUBLE NOT NULL,   -- from stated places to where holes are
    seen_holes INTEGER NOT NULL,
    ln_intensity DOUBLE, gradient_ln DOUBLE, gradient_ln_sd DOUBLE,
    dark_share DOUBLE, torn_share DOUBLE, saturated_share DOUBLE,
    empty_ln_intensity DOUBLE, empty_ln_intensity_sd DOUBLE, empty_u DOUBLE, empty_v DOUBLE,   -- NULL: no vacuum seen
    empty_torn BOOLEAN,
    measured_utc_us BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS hole_images (
    hole_id TEXT PRIMARY KEY,
    square_id TEXT NOT NULL,
    u DOUBLE NOT NULL, v DOUBLE NOT NULL, -- place in the image, -1 to 1 over its holes
    ln_intensity DOUBLE, ln_intensity_sd DOUBLE,   -- of camera counts
    film_ln_contrast DOUBLE,              -- ln intensity of the film less that of the hole
    texture_fine DOUBLE, texture_coarse DOUBLE, texture_coarse_sd DOUBLE,   -- SD / mean at 1/24 and 1/4 of a diameter
    ring_share DOUBLE, ring_share_sd DOUBLE,       -- of the edge, as the image's holes usually look
    off_centre_px DOUBLE,
    dark_share DOUBLE, dark_share_sd DOUBLE, bright_share DOUBLE   -- of the hole's area
);
CREATE TABLE IF NOT EXISTS hole_ice (
    hole_id TEXT PRIMARY KEY,
    ice_nm DOUBLE, ice_sd_nm DOUBLE       -- NULL: nothing is said any more
);
CREATE TABLE IF NOT EXISTS ice_calibrations (
    kind TEXT PRIMARY KEY,                -- of images
    holes INTEGER NOT NULL, exposures INTEGER NOT NULL, vacuums INTEGER NOT NULL,
    length_nm DOUBLE, length_sd_nm DOUBLE,         -- of ice that takes 1 - 1/e of the intensity in these images
    correlation DOUBLE,                   -- of the exposures' ice and ln intensity
    zero_sd_nm DOUBLE,                    -- of all exposures' ice together
    refused TEXT NOT NULL,                -- why nothing is said; empty: it is
    made_utc_us BIGINT NOT NULL
);

-- Version 20: several grids, each with its own rounds; what is expected of every hole, newest round only.
ALTER TABLE grid_targets ADD COLUMN IF NOT EXISTS grid_id TEXT;      -- the grid that it lies on, itself for a grid
ALTER TABLE grid_targets ADD COLUMN IF NOT EXISTS at_bar BOOLEAN;    -- a hole at a bar of the grid: left out unless chosen or picked
UPDATE grid_targets SET
    grid_id = CASE program WHEN 'leginon' THEN regexp_replace(target_id, '_[0-9]{5}[A-Za-z].*$', '') ELSE program || ':grid' END,
    at_bar = contains(features_json, '"near_grid_bar": 1')
WHERE grid_id IS NULL;
ALTER TABLE movie_targets DROP COLUMN IF EXISTS square_id;
ALTER TABLE target_rounds ADD COLUMN IF NOT EXISTS grid_id TEXT;     -- the newest round is of the grid in the microscope
ALTER TABLE target_rounds ADD COLUMN IF NOT EXISTS other_grid TEXT;  -- a sentence where another grid is better; else empty
UPDATE target_rounds SET grid_id = coalesce((SELECT min(grid_id) FROM grid_targets), ''), other_grid = '' WHERE grid_id IS NULL;
CREATE OR REPLACE VIEW grid_names AS
SELECT grid_id, CASE WHEN count(*) OVER (PARTITION BY said) > 1 THEN said || ' (' || grid_id || ')' ELSE said END AS name
FROM (SELECT grid_id, coalesce(max(name) FILTER (level = 'grid' AND target_id = grid_id AND name <> ''), grid_id) AS said
      FROM grid_targets GROUP BY grid_id);
-- Text, one value for each hole of a square that may still be taken: of lists the log would hold all earlier ones again.
CREATE TABLE IF NOT EXISTS hole_predictions (
    grid_id TEXT NOT NULL,
    square_id TEXT NOT NULL,              -- empty: holes in no square that is known
    id_start TEXT NOT NULL,               -- what the ids of all its holes begin with
    id_ends TEXT NOT NULL,                -- with chr(31) between them
    usable_percent TEXT NOT NULL, usable_low_percent TEXT NOT NULL, usable_high_percent TEXT NOT NULL,   -- comma separated
    signal TEXT                           -- particles, two digits, comma separated; NULL: no exposure has told one
);
CREATE OR REPLACE VIEW expected_holes AS
SELECT grid_id, square_id, id_start || unnest(string_split(id_ends, chr(31))) AS target_id,
       unnest(string_split(usable_percent, ','))::DOUBLE / 100 AS usable,
       unnest(string_split(usable_low_percent, ','))::DOUBLE / 100 AS usable_low,
       unnest(string_split(usable_high_percent, ','))::DOUBLE / 100 AS usable_high,
       unnest(string_split(signal, ','))::DOUBLE AS signal
FROM hole_predictions;
CREATE TABLE IF NOT EXISTS grid_outlooks (
    grid_id TEXT PRIMARY KEY,             -- grids that are not in the microscope, against the one that is
    counted TEXT NOT NULL,                -- usable or effective_signal
    times DOUBLE NOT NULL, times_low DOUBLE NOT NULL, times_high DOUBLE NOT NULL,   -- as much an hour; 80 % interval
    exchange_minutes DOUBLE NOT NULL      -- that it takes to go there, counted
);

-- Version 21: what the judge and people say of 2-D classes, and which particles are therefore in the map.
ALTER TABLE classes ADD COLUMN IF NOT EXISTS score DOUBLE;           -- share of its members that are particles, by the judge
CREATE TABLE IF NOT EXISTS class_choices (
    class_id INTEGER PRIMARY KEY,         -- every class that lives or that a particle has, as of the newest round
    today_id INTEGER NOT NULL,            -- what it has become: itself, or the class that showed the same
    parent_id INTEGER,                    -- that it was split from; NULL: of the first
    score DOUBLE,                         -- when it was last judged; NULL: never
    spoken_for_by INTEGER,                -- the class whose verdict by a person holds for it; NULL: the judge decides
    chosen BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS class_verdicts (
    order_id TEXT NOT NULL,               -- of what was said together
    class_id INTEGER NOT NULL,
    verdict TEXT NOT NULL,                -- keep, reject, undecided (the judge decides); a class's newest row holds
    who TEXT NOT NULL,
    said_utc_us BIGINT NOT NULL,
    PRIMARY KEY (order_id, class_id)
);
CREATE OR REPLACE VIEW class_verdicts_now AS
SELECT class_id, verdict, who, said_utc_us FROM class_verdicts
QUALIFY row_number() OVER (PARTITION BY class_id ORDER BY said_utc_us DESC, order_id DESC) = 1;
CREATE OR REPLACE VIEW chosen_particles AS
SELECT p.*, coalesce(c.chosen, true) AS chosen FROM particles p LEFT JOIN class_choices c USING (class_id);
