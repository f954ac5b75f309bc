"""What a training step of a slimmable network returns, whatever the framework."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SandwichLosses:
    """The losses of one training step over a batch of B images; arrays of shape (B,)."""

    full: np.ndarray  # hard cross entropies of the full-width pass
    random: np.ndarray  # hard cross entropies of the pass with random widths
    soft_smallest: np.ndarray  # soft cross entropies against the full-width pass: least widths
    soft_random: np.ndarray  # … and random widths
