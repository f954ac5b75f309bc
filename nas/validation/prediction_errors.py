"""How far predicted latencies are from measured ones."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanrho

from utils.errors import UserError


@dataclass(frozen=True)
class PredictionErrors:
    """Errors of predicted latencies over a set of measured networks."""

    networks: int
    nrmse: float  # root mean square error / mean measured latency
    rmse_ms: float
    largest_ms: float  # the greatest absolute error
    rank_correlation: float  # Spearman's rho; NaN if all values of a side are equal


def prediction_errors(predicted_ms, measured_ms):
    """Return the PredictionErrors of two arrays of latencies in ms per image, shape (networks,).

    Raises UserError if there is no network.
    """
    predicted_ms = np.asarray(predicted_ms, dtype=np.float64)
    measured_ms = np.asarray(measured_ms, dtype=np.float64)
    if predicted_ms.shape != measured_ms.shape:
        raise ValueError(f"{predicted_ms.shape} predictions of {measured_ms.shape} measurements")
    if not len(measured_ms):
        raise UserError("there is no network to validate on")
    errors_ms = predicted_ms - measured_ms
    rmse_ms = float(np.sqrt(np.mean(errors_ms**2)))
    return PredictionErrors(
        networks=len(measured_ms),
        nrmse=rmse_ms / float(measured_ms.mean()),
        rmse_ms=rmse_ms,
        largest_ms=float(np.abs(errors_ms).max()),
        rank_correlation=float(spearman(predicted_ms, measured_ms)),
    )


def worst_networks(predicted_ms, measured_ms, count=5):
    """Return the indices of the networks of greatest absolute error, the greatest first."""
    errors_ms = np.abs(np.asarray(predicted_ms) - np.asarray(measured_ms))
    return np.argsort(-errors_ms, kind="stable")[:count].tolist()


def spearman(first, second):
    """Return the rank correlation of two arrays (..., n) along their last axis, shape (...).

    NaN where all values of one are equal, as those of a single one are.
    """
    first, second = np.broadcast_arrays(first, second)
    if first.shape[-1] < 2:
        return np.full(first.shape[:-1], np.nan)[()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a rank correlation is not defined
        return spearmanrho(first, second, axis=-1).statistic


def spearman_interval(first, second, rng, level=0.9, draws=1000):
    """Return (low, high) of the rank correlation of two arrays (n,), by the percentile bootstrap.

    Pairs are drawn with replacement; draws without a correlation are left out. NaN, NaN if all
    values of one array are equal.
    """
    first, second = np.asarray(first), np.asarray(second)
    if np.isnan(spearman(first, second)):
        return float("nan"), float("nan")
    picked = rng.integers(len(first), size=(draws, len(first)))
    found = spearman(first[picked], second[picked])
    low, high = np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
