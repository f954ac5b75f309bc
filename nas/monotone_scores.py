"""Scores that never fall as a layer gets wider, from noisy means of its widths.

With few images per width the means differ by chance about as much as widths do, and the best of
many configurations is the luckiest. That a wider layer is no worse is known beforehand.
"""

import numpy as np
from scipy.optimize import isotonic_regression

# Between widths whose scores are equal: what a width more counts, far below any difference of
# scores that means something (nats), so that the widest that the limits allow is chosen.
RISE = 1e-7


def monotone(unary, images):
    """Return scores, one array (S,) per layer, that rise with the width.

    unary:  mean scores of each layer's widths (S,), narrow to wide; -inf for a width never drawn,
            which stays so
    images: how many images each mean is of, (S,) per layer: the weights
    Nearest to the means in weighted squares (isotonic regression), but for RISE per width.
    Source: Barlow, Bartholomew, Bremner, Brunk: Statistical Inference under Order Restrictions,
    1972.
    """
    return [
        _rising(np.asarray(u, float), np.asarray(n)) for u, n in zip(unary, images, strict=True)
    ]


def _rising(scores, images):
    seen = images > 0
    rising = np.full(len(scores), -np.inf)
    if seen.any():
        rising[seen] = isotonic_regression(scores[seen], weights=images[seen]).x
    return rising + RISE * np.arange(len(scores))
