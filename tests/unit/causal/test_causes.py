"""The fixed numbers that all joint draws of causes are made of."""

from __future__ import annotations

import numpy as np

from frazil.models.causal.causes import DRAWS, STRENGTH_NORMALS, normals_of, standard_normals

LATER = ("ring_fall", "beam_motion", "ice_motion", "ice_particles", "counted", "height_of_hole", "defocus")


def test_columns_that_were_added_later_go_with_no_other():
    z = standard_normals()
    together = np.abs(z.T @ z / DRAWS) - np.eye(z.shape[1])
    assert together[-len(LATER) :].max() < 0.2
    assert together.max() < 0.4


def test_every_column_is_of_mean_0_and_variance_1_and_has_its_name():
    z = standard_normals()
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1.0)
    named = [normals_of(name) for name in ("focal_spread", *LATER)]
    np.testing.assert_array_equal(named[0], z[:, STRENGTH_NORMALS.stop])
    np.testing.assert_array_equal(np.column_stack(named[1:]), z[:, -len(LATER) :])
