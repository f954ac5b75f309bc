"""Rank correlations of the score's benchmark, with intervals over configurations and supernets."""

import numpy as np

from benchmarks.retraining.recorded_scores import MONOTONE
from nas.validation.prediction_errors import partial_spearman, spearman

RESAMPLES = 2000  # of the bootstrap
WITHIN = 0.9  # share of the resamples inside the intervals


def correlate(predictors, truth, seed=0):
    """Return {key: rank correlations with the truth (supernets, 1 + RESAMPLES)}.

    predictors: {(variant, what): values (supernets, n)}; truth: accuracies (n,)
    The first column is over all configurations, the others over resamples of them, the same for
    every key.
    """
    n = len(truth)
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    samples = np.array([np.arange(n), *drawn])
    return {
        key: np.array([spearman(v[samples], truth[samples]) for v in values])
        for key, values in predictors.items()
    }


def compare(correlations, predictors, truth, latency_ms, baseline, seed=0):
    """Return a dictionary per predictor: its rank correlations with the truth, and intervals.

    correlations: of correlate; predictors, truth: as for it; latency_ms: (n,)
    baseline:     the key that differences are taken from, on the same resamples

    A resample draws the configurations and, of each variant, the supernets.
    """
    rng = np.random.default_rng((seed, 1))
    supernets = {variant: len(values) for (variant, _), values in predictors.items()}
    drawn = {v: rng.integers(n, size=(n, RESAMPLES)) for v, n in supernets.items()}

    def means(key):
        return _mean_of_drawn(correlations[key], drawn[key[0]])

    rows, of_baseline = [], means(baseline)
    for key, values in predictors.items():
        of_it = means(key)
        row = {
            "variant": key[0],
            "what": key[1],
            "rank_correlation": float(of_it[0]),
            "of_seeds": correlations[key][:, 0].tolist(),
            "interval": _interval(of_it[1:]),
            "difference": float(of_it[0] - of_baseline[0]),
            "difference_interval": _interval((of_it - of_baseline)[1:]),
            "at_equal_latency": float(
                np.mean([partial_spearman(v, truth, latency_ms) for v in values])
            ),
        }
        rows.append(row)
    return rows


def gain_of_monotone(correlations, windows, seed=0):
    """Return a dictionary per window: what monotone scores gain, over all supernets.

    correlations: of correlate. A resample draws the configurations and the supernets.
    """
    rows, rng = [], np.random.default_rng((seed, 2))
    for window in windows:
        variants = [variant for variant, what in correlations if what == window]
        before = np.concatenate([correlations[v, window] for v in variants])
        after = np.concatenate([correlations[v, f"{window}, {MONOTONE}"] for v in variants])
        gains = after - before
        drawn = rng.integers(len(gains), size=(len(gains), RESAMPLES))
        row = {
            "window": window,
            "supernets": len(gains),
            "means": float(before[:, 0].mean()),
            "gain": float(gains[:, 0].mean()),
            "gain_interval": _interval(_mean_of_drawn(gains, drawn)[1:]),
            "better": int((gains[:, 0] > 0).sum()),
        }
        rows.append(row)
    return rows


def _mean_of_drawn(values, drawn):
    """Return the means (1 + RESAMPLES,) of values (supernets, 1 + RESAMPLES).

    The first is over all supernets, each other one over those that its column of `drawn` names.
    """
    resampled = np.take_along_axis(values[:, 1:], drawn, axis=0)
    return np.concatenate([values[:, :1].mean(axis=0), resampled.mean(axis=0)])


def _interval(values):
    tails = np.array([1 - WITHIN, 1 + WITHIN]) / 2
    return np.nanquantile(values, tails).tolist()


def repeatability(accuracies):
    """Return (n, rank correlation, mean difference) of the first two trainings of n networks.

    accuracies: lists of a network's accuracies; those of fewer than two do not count
    """
    pairs = np.array([of_it[:2] for of_it in accuracies if len(of_it) > 1])
    if len(pairs) < 2:
        return len(pairs), float("nan"), float("nan")
    return len(pairs), spearman(*pairs.T), np.abs(pairs[:, 0] - pairs[:, 1]).mean()
