"""Can retraining tell widths apart: seeds of one network against networks of equal latency."""

from dataclasses import dataclass

import numpy as np

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
    trainings: int

    @classmethod
    def of(cls, results):
        """results: (configurations, seeds), two of each at least"""
        results = np.asarray(results, dtype=float)
        if min(results.shape) < 2:
            raise UserError("the noise between seeds needs two seeds of two configurations")
        return cls(
            seeds=float(np.sqrt(results.var(axis=1, ddof=1).mean())),
            configurations=float(np.sqrt(results.var(axis=0, ddof=1).mean())),
            trainings=results.size,
        )

    @property
    def ratio(self):
        """The noise between seeds, relative to that between configurations; NaN without that."""
        return self.seeds / self.configurations if self.configurations else np.nan

    def __str__(self):
        return (
            f"{self.seeds:.3g} between seeds, {self.configurations:.3g} between configurations: "
            f"ratio {self.ratio:.2f} (aim: at most {AIM:.2f}), {self.trainings} trainings"
        )


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


def noise_as_text(results):
    """Return sentences on the noise, as far as the finished jobs, {name: result}, show it."""
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
        f"Standard deviations over {len(rows)} random networks of equal predicted latency: "
        f"accuracy {accuracy}; loss {loss}."
    )
