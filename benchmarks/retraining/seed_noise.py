"""Can retraining tell widths apart: seeds of one network against networks of equal latency."""

from dataclasses import dataclass

import numpy as np

from benchmarks.retraining.paired import ENDS, RESAMPLES, WITHIN
from nas import baselines
from nas.constraint import Constraint
from utils.errors import UserError

CONFIGURATIONS, SEEDS = 12, (0, 1)
EQUAL = 0.03  # predicted latencies are below the target by this share at most
AIM = 1 / 3  # of the ratio


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviations of a result of retraining, such as its accuracy."""

    seeds: float  # of one configuration, pooled over the configurations
    configurations: float  # of configurations of equal predicted latency, each trained once
    interval: tuple[float, float]  # of the ratio, by resampled configurations

    @classmethod
    def of(cls, results):
        """results: (configurations, seeds), two of each at least"""
        results = np.asarray(results, dtype=float)
        if min(results.shape) < 2:
            raise UserError("the noise between seeds needs two seeds of two configurations")
        seeds, configurations = _deviations(results)
        rng = np.random.default_rng(0)
        resampled = results[rng.integers(len(results), size=(RESAMPLES, len(results)))]
        ratios = _ratio(*_deviations(resampled))
        known = ratios[~np.isnan(ratios)]  # not of resamples of equal results
        ends = np.quantile(known, ENDS, method="nearest") if len(known) else np.full(2, np.nan)
        return cls(
            seeds=float(seeds),
            configurations=float(configurations),
            interval=tuple(ends.tolist()),
        )

    @property
    def ratio(self):
        """The noise between seeds, relative to that between configurations; NaN without that."""
        return float(_ratio(self.seeds, self.configurations))

    def ratio_of_means(self, count):
        """Return the ratio that means over some seeds have; 1 where nothing but noise is seen."""
        of_one = self.seeds**2
        apart = max(self.configurations**2 - of_one, 0)  # of the configurations without the noise
        return float(_ratio(np.sqrt(of_one / count), np.sqrt(apart + of_one / count)))

    def __str__(self):
        low, high = self.interval
        return (
            f"{self.seeds:.3g} between seeds, {self.configurations:.3g} between configurations: "
            f"ratio {self.ratio:.2f} ({WITHIN:.0%} interval {low:.2f} to {high:.2f}; "
            f"aim: at most {AIM:.2f})"
        )


def _deviations(results):
    """Return the standard deviations between seeds and between configurations.

    results: (…, configurations, seeds); pooled over the other of the two
    """
    between_seeds = results.var(axis=-1, ddof=1).mean(axis=-1)
    between_configurations = results.var(axis=-2, ddof=1).mean(axis=-1)
    return np.sqrt(between_seeds), np.sqrt(between_configurations)


def _ratio(seeds, configurations):
    with np.errstate(divide="ignore", invalid="ignore"):  # of networks that do not differ
        return np.divide(seeds, configurations)


def equal_configurations(table, space, target_ms, rng, count=CONFIGURATIONS):
    """Return random configurations of a SearchSpace whose predicted latency is about a target.

    Drawn uniformly from those between (1 - EQUAL) of the target and the target.
    """
    pairwise = table.pairwise(space)
    no_scores = [np.zeros(size) for size in space.chain.node_sizes]
    found = {}
    for _ in range(100):
        drawn = baselines.random_feasible(no_scores, [Constraint(pairwise, target_ms)], rng, 100)
        for answer in drawn:
            if answer.latency_ms >= (1 - EQUAL) * target_ms:
                found[space.configuration_at(answer.states)] = answer.latency_ms
        if len(found) >= count:
            return list(found)[:count]
    raise UserError(f"fewer than {count} random configurations take about {target_ms:.4g} ms")


def noise_as_text(results, compared_seeds):
    """Return sentences on the noise, as far as the finished jobs, {name: result}, show it.

    compared_seeds: how many seeds the compared means are of
    """
    trained = {name: r for name, r in results.items() if name.startswith("noise/")}
    numbers = sorted({int(name.split("/")[1]) for name in trained})
    rows = [[trained.get(f"noise/{number}/{seed}") for seed in SEEDS] for number in numbers]
    rows = [row for row in rows if all(row)]
    if len(rows) < 2:
        return "The noise between seeds was not measured: --noise does."
    accuracy, loss = (
        SeedNoise.of([[each[name] for each in row] for row in rows])
        for name in ("accuracy", "loss")
    )
    return (
        f"Standard deviations over {len(rows)} random networks of equal predicted latency, "
        f"trained by {len(SEEDS)} seeds each: accuracy {accuracy}; loss {loss}. "
        f"Means of {compared_seeds} seeds, as compared here, would have a ratio of "
        f"{accuracy.ratio_of_means(compared_seeds):.2f} and "
        f"{loss.ratio_of_means(compared_seeds):.2f}."
    )
