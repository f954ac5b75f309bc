"""How far predicted latencies are from measured ones."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanrho

from utils.errors import UserError
from utils.json_types import LEAST_MS

BOOTSTRAPS = 1000


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


@dataclass(frozen=True)
class RelativeErrors:
    """Relative errors, predicted / measured - 1, of the networks of one range of latencies."""

    low_ms: float  # of predicted latency, as high_ms
    high_ms: float
    networks: int
    rms: float  # NaN if there is no network, as all below
    mean: float  # greater than 0: predicted too slow
    largest: float  # of the greatest absolute value, with its sign
    inside: float  # the share within a table's interval; NaN without one


def errors_by_thirds(predicted_ms, measured_ms, interval=None):
    """Return the RelativeErrors of the fastest, middle and slowest third of a latency range.

    predicted_ms, measured_ms: (networks,) in ms per image
    interval: the table's Interval, whose coverage is `inside`
    The thirds of the predictions' range are equal on a logarithmic scale, so that the fast networks
    are more than a corner of the first one.
    Raises UserError if there is no network.
    """
    predicted_ms = np.asarray(predicted_ms, dtype=np.float64)
    measured_ms = np.asarray(measured_ms, dtype=np.float64)
    if not len(measured_ms):
        raise UserError("there is no network to validate on")
    ends_ms = np.maximum([predicted_ms.min(), predicted_ms.max()], LEAST_MS)  # a table may say 0
    edges = np.geomspace(*ends_ms, 4)
    third = np.searchsorted(edges[1:3], predicted_ms, side="right")
    return [
        relative_errors(
            *edges[i : i + 2], predicted_ms[third == i], measured_ms[third == i], interval
        )
        for i in range(3)
    ]


def relative_errors(low_ms, high_ms, predicted_ms, measured_ms, interval=None):
    """Return the RelativeErrors of networks that are predicted to take low_ms to high_ms."""
    low_ms, high_ms = float(low_ms), float(high_ms)
    nothing = float("nan")
    if not len(measured_ms):
        return RelativeErrors(low_ms, high_ms, 0, nothing, nothing, nothing, nothing)
    errors = predicted_ms / measured_ms - 1
    return RelativeErrors(
        low_ms,
        high_ms,
        len(errors),
        rms=relative_rms(predicted_ms, measured_ms),
        mean=float(errors.mean()),
        largest=float(errors[np.abs(errors).argmax()]),
        inside=interval.coverage(predicted_ms, measured_ms) if interval else nothing,
    )


def relative_rms(predicted_ms, measured_ms):
    """Return the root mean square of predicted / measured - 1."""
    errors = np.asarray(predicted_ms) / np.asarray(measured_ms) - 1
    return float(np.sqrt(np.mean(errors**2)))


def worst_networks(predicted_ms, measured_ms, count=5):
    """Return the indices of the networks of greatest absolute error, the greatest first."""
    errors_ms = np.abs(np.asarray(predicted_ms) - np.asarray(measured_ms))
    return np.argsort(-errors_ms, kind="stable")[:count].tolist()


def spearman(first, second):
    """Return the rank correlation of two arrays (..., n) along their last axis, shape (...).

    NaN if all values of one are equal, as a single one always is.
    """
    first, second = np.broadcast_arrays(first, second)
    if first.shape[-1] < 2:
        return np.full(first.shape[:-1], np.nan)[()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undefined rank correlations
        return spearmanrho(first, second, axis=-1).statistic


def partial_spearman(first, second, given):
    """Return the rank correlation of two arrays (n,) with a third taken out of both.

    NaN if one of them ranks as the third does.
    """
    between, a, b = spearman(first, second), spearman(first, given), spearman(second, given)
    rest = (1 - a**2) * (1 - b**2)
    return (between - a * b) / rest**0.5 if rest > 1e-12 else float("nan")


def spearman_interval(first, second, rng, level=0.9):
    """Return (low, high) of the rank correlation of two arrays (n,), by the percentile bootstrap.

    Pairs are drawn with replacement; draws without a correlation are left out. NaN, NaN if all
    values of one array are equal.
    """
    first, second = np.asarray(first), np.asarray(second)
    if np.isnan(spearman(first, second)):
        return float("nan"), float("nan")
    picked = rng.integers(len(first), size=(BOOTSTRAPS, len(first)))
    found = spearman(first[picked], second[picked])
    low, high = np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
