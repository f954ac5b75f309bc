"""Oracle: by hand."""

import numpy as np
import pytest

from models.arrays import parameter
from utils.errors import UserError


def test_negative_variances_are_refused_and_rounding_is_not():
    with pytest.raises(UserError, match=r"c\.npz: bn\.running_var holds a variance below 0"):
        parameter(-np.ones(2), "bn.running_var", "c.npz", np.float32)
    rounded = np.array([-8e-13, 1.0])  # as MXNet leaves them
    assert (parameter(rounded, "bn.running_var", "c.npz", np.float64) == rounded).all()
