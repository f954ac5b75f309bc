"""What training a slimmable network asks of the search: which widths to draw, which are best."""

from dataclasses import dataclass

import numpy as np

from nas import aows, mrf, ows
from nas.width_losses import WidthLosses
from utils.errors import UserError


@dataclass(frozen=True)
class Decision:
    """What AOWS decided at one training step."""

    temperature: float
    gamma: float
    configuration: tuple[int, ...]
    latency_ms: float
    probabilities: list[list[float]]  # per layer, of its widths


class SupernetSearch:
    """The statistics of the widths, and the searches that training bases on them."""

    def __init__(
        self, space, table, target_ms, *, window, gamma_iterations, method="exact", schedule=None
    ):
        """
        table:     the LatencyTable; must hold every variable of the space
        target_ms: latency target in ms per image
        window:    images averaged per width of a layer
        method:    of the reported answers, one of nas.ows.METHODS
        schedule:  for AOWS a dict of epochs, warmup and minimum: the arguments of
                   nas.aows.temperature; None for OWS, which draws uniformly to the end
        Raises InfeasibleTargetError, naming the fastest latency, and UserError for a table that
        lacks variables.
        """
        self.space, self.target_ms = space, target_ms
        self.pairwise = table.pairwise(space)
        fastest_ms = ows.fastest_latency(self.pairwise)
        if fastest_ms > target_ms * (1 + ows.ROUNDING):
            raise ows.InfeasibleTargetError(target_ms, fastest_ms)
        self._latency = mrf.pad_pairwise(self.pairwise, space.sizes)
        self._window, self._iterations, self._schedule = window, gamma_iterations, schedule
        self._method = method
        self._losses = WidthLosses(space.sizes, window)

    def draw(self, progress, rng, images):
        """Return the states of each image, int64 (images, layers), and the Decision behind them.

        progress: epochs done so far. There is no Decision while widths are drawn uniformly.
        """
        space = self.space
        # A width without a score would get no probability and so never a score.
        if not self._schedule or self._warming_up(progress) or not self._losses.all_drawn():
            return rng.integers(space.sizes, size=(images, len(space.sizes))), None
        tau = aows.temperature(progress, **self._schedule)
        gamma, best, probabilities = aows.solve(
            self._losses.unary(), self._latency, space.sizes, self.target_ms, self._iterations, tau
        )
        rows = zip(probabilities, space.sizes, strict=True)
        decision = Decision(
            temperature=tau,
            gamma=float(gamma),
            configuration=space.configuration(best),
            latency_ms=float(ows.total_latency(self._latency, best)),
            probabilities=[row[:size].round(5).tolist() for row, size in rows],
        )
        return aows.draw(probabilities, rng, images), decision

    def _warming_up(self, progress):
        return (
            progress < aows.schedule_epochs(self._schedule["epochs"], self._schedule["warmup"])[1]
        )

    def record(self, states, losses, full_losses):
        """Record the hard cross entropies of a batch: see nas.width_losses.WidthLosses.record."""
        self._losses.record(states, losses, full_losses)

    def best(self):
        """Return the SearchResult of the best configuration under the target, by the statistics.

        Raises UserError if a layer has no width that was ever drawn.
        """
        rows = zip(self._losses.unary(), self.space.sizes, strict=True)
        unary = [row[:size] for row, size in rows]
        return ows.search(unary, self.pairwise, self.target_ms, self._method, self._iterations)

    def to_arrays(self):
        """Return the statistics as arrays for a checkpoint."""
        return self._losses.to_arrays() | {"window": np.array(self._window)}

    def load_arrays(self, arrays):
        """Take over the statistics of a checkpoint, of any window.

        Raises UserError if they belong to another search space.
        """
        try:
            self._losses = WidthLosses.from_arrays(
                self.space.sizes, self._window, arrays, int(arrays["window"])
            )
        except (KeyError, ValueError) as error:
            raise UserError(f"the checkpoint's width statistics do not fit: {error}") from None
