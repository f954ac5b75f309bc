"""Cross-validation of a latency table: the choice of K and R, honest errors, the learning curve."""

from collections import defaultdict

import numpy as np

from nas.latency_fit import check_samples, count_matrix, fit_problem
from nas.prior import SHARED
from nas.validation.trials import Trial
from utils.errors import UserError

FOLDS = 5
AUTO = "auto"
START = 100.0  # of K, where the search begins: the reference's value
REGULARIZE_GRID = tuple(10.0**power for power in range(5))
STRENGTH_GRID = tuple(10.0**power for power in range(-1, 6))
NEIGHBOURS = (10**-0.5, 10**0.5)  # the best R of the grid is refined by half a decade


def split_folds(configurations, folds, rng):
    """Return the fold of each network, ints (networks,); equal configurations share a fold."""
    groups = defaultdict(list)
    for index, configuration in enumerate(configurations):
        groups[tuple(configuration)].append(index)
    if len(groups) < folds:
        raise UserError(
            f"{len(groups)} different configurations are too few for {folds} folds of "
            "cross-validation: take more samples, or give K and R as numbers"
        )
    numbers = np.empty(len(configurations), dtype=np.int64)
    for place, group in enumerate(rng.permutation(len(groups))):
        numbers[list(groups.values())[group]] = place % folds
    return numbers


class CrossValidator:
    """Fits tables to all folds but one and predicts that one, for one (K, R) after the other."""

    def __init__(self, samples, space, rng, folds=FOLDS, prior=SHARED):
        """samples: list of (configuration, latency in ms per image); prior: as for fit_problem."""
        self.space, self.rng, self.prior = space, rng, prior
        configurations, self.latencies_ms = check_samples(samples)
        self.configurations = np.array(configurations)
        self.counts = count_matrix(space, configurations)
        first = {each: index for index, each in reversed(list(enumerate(configurations)))}
        self._first = sorted(first.values())
        self.fold_of = split_folds(configurations, folds, rng)
        self.folds = folds
        self._problems = [self._problem(self.fold_of != fold) for fold in range(folds)]

    def _problem(self, chosen):
        configurations = self.configurations[chosen]
        return fit_problem(self.space, configurations, self.latencies_ms[chosen], self.prior)

    def predict(self, regularize, strength, problems=None, tick=lambda: None):
        """Return the latency of each network in ms, predicted by the table that lacks its fold."""
        predicted_ms = np.empty_like(self.latencies_ms)
        for fold, problem in enumerate(problems or self._problems):
            values_ms = problem.solve(regularize, strength).values_ms
            held_out = self.fold_of == fold
            predicted_ms[held_out] = self.counts[held_out] @ values_ms
            tick()
        return predicted_ms

    def trial(self, regularize, strength, tick=lambda: None):
        """Return the Trial of one (K, R)."""
        predicted_ms = self.predict(regularize, strength, tick=tick)
        return Trial(regularize, strength, *self.error(predicted_ms))

    def of_networks(self, predicted_ms):
        """Return (predicted, measured) latencies in ms of the different networks, (n,) each.

        predicted_ms: of all samples. A network that was timed repeatedly counts once, by its first
        timing: its errors are not independent, and the mean of several timings is closer to the
        prediction than a new one will be.
        """
        return predicted_ms[self._first], self.latencies_ms[self._first]

    def error(self, predicted_ms):
        """Return (relative error, its standard error) of cross-validated predictions in ms."""
        predicted_ms, measured_ms = self.of_networks(predicted_ms)
        squares = (predicted_ms / measured_ms - 1) ** 2
        nrmse = float(np.sqrt(squares.mean()))
        spread = float(squares.std(ddof=1) / np.sqrt(len(squares)))
        return nrmse, spread / (2 * nrmse) if nrmse else 0.0

    def predict_from_part(self, regularize, strength, share, tick=lambda: None):
        """Return (predictions in ms, mean number of samples) with a share of each training set."""
        problems, sizes = [], []
        for fold in range(self.folds):
            training = np.flatnonzero(self.fold_of != fold)
            size = max(1, round(share * len(training)))
            problems.append(self._problem(self.rng.choice(training, size, replace=False)))
            sizes.append(size)
        return self.predict(regularize, strength, problems, tick), round(np.mean(sizes))


def choose(validator, regularize=AUTO, strength=AUTO, tick=lambda: None):
    """Return (the best Trial, all Trials): K and R of least cross-validated error.

    regularize, strength: a number is kept, "auto" is searched; strength 0 means no prior.
    R is scanned at K = 100, over decades and half a decade to both sides of the best, then K at the
    best R: the error depends little on K, so that a full grid would only be slower.
    """
    trials = {}

    def best_of(pairs):
        for pair in pairs:
            if pair not in trials:
                trials[pair] = validator.trial(*pair, tick=tick)
        return min(trials.values(), key=lambda trial: trial.nrmse)

    best = best_of([(START if regularize == AUTO else regularize,
                     STRENGTH_GRID[0] if strength == AUTO else strength)])  # fmt: skip
    if strength == AUTO:
        best = best_of([(best.regularize, value) for value in STRENGTH_GRID])
        best = best_of([(best.regularize, best.strength * factor) for factor in NEIGHBOURS])
    if regularize == AUTO:
        best = best_of([(value, best.strength) for value in REGULARIZE_GRID])
    return best, list(trials.values())


def number_of_trials(regularize, strength):
    """Return how many Trials `choose` makes at most."""
    count = 1
    if strength == AUTO:
        count += len(STRENGTH_GRID) - 1 + len(NEIGHBOURS)
    if regularize == AUTO:
        count += len(REGULARIZE_GRID) - 1
    return count
