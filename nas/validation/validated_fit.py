"""A latency table that states its own error: K and R chosen, interval and learning curve stored."""

from dataclasses import asdict

import numpy as np

from nas.latency_fit import check_samples, check_weights, count_matrix, fit
from nas.prior import SHARED
from nas.validation.conformal import LEVEL, Residuals, calibrate
from nas.validation.cross_validation import (
    AUTO,
    FOLDS,
    CrossValidator,
    choose,
    number_of_trials,
)
from nas.validation.trials import LearningPoint, flat_range
from utils.metadata import times_seen_as_text
from utils.progress import warn

INTERVAL_FOLDS = 10  # more than for the choice: tables closer to the final one, honest residuals
SHARES = (0.125, 0.25, 0.5)  # of the training folds, for the learning curve
FLAT = 0.01  # relative: errors this close to the least count as equal


def fit_validated(
    samples, space, rng, regularize=AUTO, strength=AUTO, metadata=None, tick=None, prior=SHARED
):
    """Return a LatencyTable whose metadata state how it was chosen and how far to trust it.

    samples:              list of (configuration, latency in ms per image)
    rng:                  divides the samples into folds
    regularize, strength: K and R, numbers or "auto" for cross-validation; strength 0: no prior
    prior:                one of nas.prior.PRIORS
    tick:                 called after every solved fit, number_of_fits times at most
    metadata.fit of the table states the trials of cross-validation, the conformal interval and
    its residuals, the learning curve and how many times each variable was sampled.
    Raises UserError and SolverError as `fit`; warns where there are too few samples for intervals.
    """
    tick = tick or (lambda: None)
    configurations, _ = check_samples(samples)
    check_weights(*(0 if value == AUTO else value for value in (regularize, strength)))
    different = len(set(configurations))
    validation = {}
    if AUTO in {regularize, strength} or different >= INTERVAL_FOLDS:
        validator = CrossValidator(samples, space, rng, prior=prior if strength else None)
        best, trials = choose(validator, regularize, strength, tick)
        regularize, strength = best.regularize, best.strength
        validation["cross_validation"] = _cross_validation(best, trials)
        validation["learning_curve"] = _learning_curve(validator, best, tick)

    table = fit(samples, space, regularize, strength, metadata, prior)
    tick()
    if different >= INTERVAL_FOLDS:
        validator = CrossValidator(
            samples, space, rng, INTERVAL_FOLDS, prior=prior if strength else None
        )
        validation |= _trust(validator, regularize, strength, tick)
    else:
        warn(
            f"{different} different configurations are too few for a "
            f"{LEVEL:.0%} interval, {INTERVAL_FOLDS} are needed"
        )
    seen = count_matrix(space, configurations).sum(axis=0)
    validation["coverage"] = times_seen_as_text(np.ravel(seen))
    return table.with_metadata(table.metadata.stating_of_fit(**validation))


def number_of_fits(regularize, strength):
    """Return how many problems fit_validated solves at most."""
    trials = number_of_trials(regularize, strength)
    return (trials + len(SHARES)) * FOLDS + 1 + INTERVAL_FOLDS


def _cross_validation(best, trials):
    return {
        "folds": FOLDS,
        **asdict(best),
        "trials": [asdict(trial) for trial in trials],
        "flat_within": FLAT,
        "flat_regularize": flat_range(trials, "regularize", FLAT),
        "flat_strength": flat_range(trials, "strength", FLAT),
    }


def _learning_curve(validator, best, tick):
    points = []
    for share in SHARES:
        predicted_ms, size = validator.predict_from_part(
            best.regularize, best.strength, share, tick
        )
        points.append(LearningPoint(size, *validator.error(predicted_ms)))
    size = round(len(validator.latencies_ms) * (1 - 1 / validator.folds))
    points.append(LearningPoint(size, best.nrmse, best.standard_error))
    return [asdict(point) for point in points]


def _trust(validator, regularize, strength, tick):
    """Return the interval, and the errors that it comes from, of networks left out of the fit."""
    predicted_ms = validator.predict(regularize, strength, tick=tick)
    predicted_ms, measured_ms = validator.of_networks(predicted_ms)
    interval = calibrate(predicted_ms, measured_ms)
    return {
        "interval": interval and interval.as_dict(),
        **Residuals(measured_ms / predicted_ms - 1, predicted_ms).as_dict(),
    }
