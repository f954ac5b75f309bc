"""What training a slimmable network asks of the search: which widths to draw, which are best."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from nas import aows, baselines, mrf, ows
from nas.exact.constrained_search import check_reachable
from nas.width_scores import WidthLosses, monotone
from utils.errors import UserError

SCORES = ("means", "monotone")
DRAWS = 10  # of scores, per candidate


@dataclass(frozen=True)
class Schedule:
    """When and how AOWS draws: the arguments of nas.aows.temperature, and one of SAMPLINGS."""

    epochs: int
    warmup: int = 5
    minimum: float = 0.0005
    sampling: str = "independent"

    def temperature(self, progress):
        """Return the temperature when so many epochs are done."""
        return aows.temperature(progress, self.epochs, self.warmup, self.minimum)

    def is_warming_up(self, progress):
        """Return whether widths are still drawn uniformly when so many epochs are done."""
        return progress < aows.schedule_epochs(self.epochs, self.warmup)[1]


@dataclass(frozen=True)
class Decision:
    """What AOWS decided at one training step."""

    temperature: float
    gammas: list[float]  # multiplier of each constraint
    configuration: tuple[int, ...] | None  # None if several constraints have no answer on the hull
    values: list[float] | None  # of each constraint, of the configuration
    probabilities: list[list[float]]  # per layer, of its widths

    def as_dict(self):
        """Return the fields."""
        return asdict(self)


class SupernetSearch:
    """The statistics of the widths, and the searches that training bases on them."""

    def __init__(
        self,
        space,
        constraints,
        *,
        window,
        scores="means",
        method="exact",
        iterations=12,
        schedule=None,
    ):
        """
        constraints: nas.exact.constrained_search.Constraints, the first one on a latency
        window:      images averaged per width of a layer
        scores:      one of SCORES, which answers are based on
        method, iterations: of the searches, as for nas.ows.search
        schedule:    for AOWS a Schedule; None for OWS, which draws uniformly to the end
        Raises InfeasibleError if a constraint, or all of them together, cannot be kept.
        """
        check_reachable(space.sizes, constraints)
        self.space, self.constraints = space, constraints
        self._resources = np.array([mrf.pad_pairwise(c.pairwise, space.sizes) for c in constraints])
        self._limits = np.array([float(c.limit) for c in constraints])
        if scores not in SCORES:
            raise ValueError(f"unknown scores {scores!r}: choose from {', '.join(SCORES)}")
        self._window, self._scores, self._schedule = window, scores, schedule
        self._method = {"method": method, "iterations": iterations}
        self._losses = WidthLosses(space.sizes, window)

    def draw(self, progress, rng, images, configurations=0):
        """Return the states of each image, int64 (images, layers), and the Decision behind them.

        progress: epochs done so far. There is no Decision while widths are drawn uniformly.
        configurations: 0 for every image its own, or how many are drawn, each for as many
            successive images; a divisor of images
        """
        states, decision = self._draw(progress, rng, configurations or images)
        return states.repeat(images // len(states), axis=0), decision

    def _draw(self, progress, rng, images):
        sizes, schedule = self.space.sizes, self._schedule
        # A width without a score would get no probability and so never a score.
        if not schedule or schedule.is_warming_up(progress) or not self._losses.all_drawn():
            return rng.integers(sizes, size=(images, len(sizes))), None
        tau, unary = schedule.temperature(progress), self._losses.unary()
        gammas, best = aows.solve(unary, self._resources, sizes, self._limits, **self._method)
        chain = (*aows.potentials(unary, self._resources, gammas, tau), sizes)
        probabilities = mrf.sum_product_dense(*chain)
        states = aows.draw(*chain, probabilities, schedule.sampling, rng, images)
        return states, self._decision(tau, gammas, best, probabilities)

    def _decision(self, tau, gammas, best, probabilities):
        rows = zip(probabilities, self.space.sizes, strict=True)
        found = best is not None
        return Decision(
            temperature=tau,
            gammas=gammas.tolist(),
            configuration=self.space.configuration(best) if found else None,
            values=[c.value(best) for c in self.constraints] if found else None,
            probabilities=[row[:size].round(5).tolist() for row, size in rows],
        )

    def record(self, states, losses, full_losses):
        """Record the hard cross entropies of a batch: see nas.width_scores.WidthLosses.record."""
        self._losses.record(states, losses, full_losses)

    def unary(self):
        """Return the scores of the widths, one array per layer; -inf for a width never drawn."""
        return self._scores_of(self._rows(self._losses.unary()))

    def _scores_of(self, means):
        if self._scores == "means":
            return means
        return monotone(means, self._rows(self._losses.images()))

    def _rows(self, padded):
        return [row[:size] for row, size in zip(padded, self.space.sizes, strict=True)]

    def best(self, constraints=None):
        """Return the SearchResult of the best configuration, by the statistics.

        constraints: instead of those that training keeps to
        Raises InfeasibleError, and UserError if a layer has no width that was ever drawn.
        """
        return ows.search_all(self.unary(), constraints or self.constraints, **self._method)

    def candidates(self, rng, count, progress=iter):
        """Return different SearchResults: the best one, then others that may be better.

        The others are best by means redrawn from the normal distributions that their standard
        errors tell, so that they are plausible, keep the constraints, and use what these allow.
        Fewer than count if 10 draws each find no more: the scores then leave little doubt.
        progress: shows the draws as they are made, as tqdm does
        Scores, values and gaps are by the scores of `best`.
        Source: Thompson, On the likelihood that one unknown probability exceeds another, 1933.
        """
        best, unary = self.best(), self.unary()
        means, errors = self._rows(self._losses.unary()), self._rows(self._losses.errors())
        found = {best.states: best}
        for _ in progress(range(DRAWS * count)):
            if len(found) >= count:
                break
            redrawn = [rng.normal(m, e) for m, e in zip(means, errors, strict=True)]
            result = ows.search_all(self._scores_of(redrawn), self.constraints, **self._method)
            if result.states not in found:
                answer = baselines.answer(unary, self.constraints, result.states)
                found[result.states] = replace(best, **vars(answer))
        return list(found.values())

    def to_arrays(self):
        """Return the statistics as arrays for a checkpoint."""
        return self._losses.to_arrays() | {"window": np.array(self._window)}

    def load_arrays(self, arrays):
        """Take over the statistics of a checkpoint, of any window.

        Raises UserError if they do not belong together, or to another search space.
        """
        try:
            losses = WidthLosses.from_arrays(
                self.space.sizes, self._window, arrays, int(arrays["window"])
            )
        except UserError:
            raise
        except (KeyError, ValueError) as error:
            raise UserError(f"the width statistics do not fit: {error}") from None
        self._losses = losses
