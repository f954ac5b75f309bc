"""Scores of widths smoothed along the widths: less noise where few images were averaged."""

import numpy as np


def smoothed(scores, widths, counts, degree=2):
    """Return the scores of a layer's widths, as a polynomial in the logarithm of the width.

    scores: (S,) mean values, of `counts` (S,) images each, which weigh them; widths: (S,)
    A width without images keeps its score. Layers with no more than degree + 1 other widths, too.
    """
    scores, counts = np.asarray(scores, dtype=np.float64), np.asarray(counts)
    seen = counts > 0
    if seen.sum() <= degree + 1:
        return scores
    # The variance of a mean is that of a value / its count.
    logarithms, weights = np.log(np.asarray(widths)[seen]), np.sqrt(counts[seen])
    fitted = scores.copy()
    curve = np.polynomial.Polynomial.fit(logarithms, scores[seen], degree, w=weights)
    fitted[seen] = curve(logarithms)
    return fitted
