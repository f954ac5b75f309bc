"""The search as training uses it: which widths to draw, and which are best."""

from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import numpy as np

from nas import aows, mrf, ows
from nas.constraint import InfeasibleError, NoAnswerYetError, least_sum
from nas.exact.constrained_search import check_reachable
from nas.fitted_scores import DRAWS, ScorePrior
from nas.noise import DrawnScores, fastest_as_good, is_hidden, noticeable
from nas.thompson import fit_where_the_answer_lies
from nas.transitions import pack_pairwise, pad
from nas.width_scores import WidthLosses, monotone
from utils.digest import digest_of
from utils.errors import UserError
from utils.random_streams import NOISE

SCORES = ("means", "monotone", "fitted")


@dataclass(frozen=True)
class Schedule:
    """When and how AOWS draws: the arguments of nas.aows.temperature, and one of SAMPLINGS."""

    epochs: int
    warmup: int = 5
    minimum: float = 0.0005
    sampling: str = "independent"

    def temperature(self, progress):
        """Return the temperature after `progress` epochs."""
        return aows.temperature(progress, self.epochs, self.warmup, self.minimum)

    def is_warming_up(self, progress):
        """Return whether widths are still drawn uniformly after `progress` epochs."""
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
        images_per_configuration=1,
    ):
        """
        constraints: nas.constraint.Constraints, the first one on a latency
        window:      images averaged per width of a layer
        scores:      one of SCORES, which draws and answers are based on: those of the training,
                     or, once `fit` was called, those fitted to sub-networks
        method, iterations: of the searches, as for nas.ows.search
        schedule:    for AOWS a Schedule; None for OWS, which draws uniformly to the end
        images_per_configuration: successive images of those recorded that have the same widths
        Raises InfeasibleError if no configuration is feasible.
        """
        sizes = space.chain.node_sizes
        check_reachable(sizes, constraints)
        self.space, self.constraints = space, constraints
        self._transitions, self._resources = pack_pairwise([c.pairwise for c in constraints], sizes)
        self._limits = np.array([float(c.limit) for c in constraints])
        if scores not in SCORES:
            raise ValueError(f"unknown scores {scores!r}: choose from {', '.join(SCORES)}")
        self._window, self._scores, self._schedule = window, scores, schedule
        self._method = {"method": method, "iterations": iterations}
        self._losses, self._run = WidthLosses(space.sizes, window), images_per_configuration
        self.fitted = None  # FittedScores, once `fit` was called
        self._drawn = None

    def draw(self, progress, rng, images, configurations=0):
        """Return the states of each image, int64 (images, layers), and the Decision behind them.

        progress: epochs done so far. There is no Decision while widths are drawn uniformly.
        configurations: how many are drawn, a divisor of images, each for as many successive
            images; 0: one per image
        """
        states, decision = self._draw(progress, rng, configurations or images)
        return states.repeat(images // len(states), axis=0), decision

    def _draw(self, progress, rng, images):
        sizes, schedule = self.space.sizes, self._schedule
        # A width without a score would get no probability and so never a score.
        if not schedule or schedule.is_warming_up(progress) or not self._losses.all_drawn():
            return rng.integers(sizes, size=(images, len(sizes))), None
        tau = schedule.temperature(progress)
        chain, probabilities, gammas, best = self._distribution(pad(self.unary()), tau)
        states = aows.draw(*chain, probabilities, schedule.sampling, rng, images)
        if schedule.sampling == "joint":
            states = self.space.chain.choices(states)
        return states, self._decision(tau, gammas, best, probabilities)

    def _distribution(self, unary, tau):
        """Return the packed chain that AOWS draws from, the widths' marginals, and the solution."""
        transitions, resources = self._transitions, self._resources
        gammas, best = aows.solve(unary, transitions, resources, self._limits, **self._method)
        potentials, penalties = aows.potentials(unary, resources, gammas, tau)
        chain = potentials, transitions, penalties
        return chain, self.space.chain.marginals(mrf.sum_product_packed(*chain)), gammas, best

    def last_decision(self):
        """Return AOWS's Decision by the answer's scores; its configuration is the answer."""
        tau, unary = self._schedule.temperature(self._schedule.epochs), pad(self.unary())
        answer = self.best()
        if self.fitted:  # of a loss's logarithm; training's scores are a layer's share of a loss
            unary *= np.exp(-answer.score) / len(self.space.sizes)
        _, probabilities, gammas, _ = self._distribution(unary, tau)
        return self._decision(tau, gammas, answer.states, probabilities)

    def _decision(self, tau, gammas, best, probabilities):
        rows = zip(probabilities, self.space.sizes, strict=True)
        found = best is not None
        return Decision(
            temperature=tau,
            gammas=gammas.tolist(),
            configuration=self.space.configuration_at(best) if found else None,
            values=[c.value(best) for c in self.constraints] if found else None,
            probabilities=[row[:size].round(5).tolist() for row, size in rows],
        )

    def record(self, states, losses, full_losses):
        """Record the hard cross entropies of a batch: see nas.width_scores.WidthLosses.record."""
        self._losses.record(states, losses, full_losses)

    def scores(self):
        """Return the scores of the widths, one array per width; -inf for a choice never drawn."""
        if self.fitted:
            return self.fitted.scores
        return self._scores_of(self._rows(self._losses.unary()))

    def unary(self):
        """Return the scores as those of the states of the chain's nodes, one array per node."""
        return self.space.chain.unary(self.scores())

    def _scores_of(self, means):
        if self._scores == "means":
            return means
        return monotone(means, self._rows(self._losses.images()))

    def _errors(self):
        return self._rows(self._losses.errors(self._run))

    def _rows(self, padded):
        return [row[:size] for row, size in zip(padded, self.space.sizes, strict=True)]

    def drawn(self):
        """Return the nas.noise.DrawnScores of the nodes' states, which give the noise."""
        rng = np.random.default_rng(NOISE)
        if self.fitted:
            if not self._drawn:
                draws = [self.space.chain.unary(self.fitted.draw(rng)) for _ in range(DRAWS)]
                self._drawn = DrawnScores(draws)
            return self._drawn
        rows = list(zip(self._rows(self._losses.unary()), self._errors(), strict=True))

        def draw():
            return self._scores_of([rng.normal(m, e) for m, e in rows])

        return DrawnScores([self.space.chain.unary(draw()) for _ in range(DRAWS)])

    @property
    def _minds_noise(self):
        """Whether the faster of two networks is chosen if noise hides the better one."""
        return self._scores != "means" and self._method["method"] == "exact"

    def best(self):
        """Return the Answer under the constraints, by the statistics.

        Unless scores are means or the method is the reference's, it is a fast one that noise does
        not tell from the best one: see nas.noise.fastest_as_good.
        Raises NoAnswerYetError if it needs widths that were never drawn, else InfeasibleError;
        UserError if a layer has no width that was ever drawn.
        """
        best = self.best_under(self.constraints)
        if not self._minds_noise:
            return best
        first, *others = self.constraints

        def solve(limit):
            return self.best_under([replace(first, limit=limit), *others])

        least = least_sum(self.unary(), first.pairwise)
        answer, noise = fastest_as_good(best, solve, least, self.drawn())
        return replace(answer, bound=best.bound, gammas=best.gammas, noise=noise)

    def best_under(self, constraints):
        """Return the Answer of greatest score under other constraints, whatever the noise."""
        try:
            return ows.search_all(self.unary(), constraints, **self._method)
        except InfeasibleError as error:
            if self._losses.all_drawn():
                raise
            raise NoAnswerYetError(f"{error}, of the widths drawn so far: train longer") from None

    def as_good(self, answers):
        """Return the indices of those of some Answers that noise does not tell from the best.

        Only the best one's with means as scores or the reference's search, which ignore noise.
        """
        number = max(range(len(answers)), key=lambda index: answers[index].score)
        if not self._minds_noise:
            return [number]
        best, drawn = answers[number], self.drawn()
        return [
            index for index, answer in enumerate(answers)
            if is_hidden(best.score - answer.score, drawn.noise(best.states, answer.states))
        ]  # fmt: skip

    def noticeable(self, front):
        """Return the indices of a Front's configurations that noise tells apart.

        All of them with means as scores or the reference's search, which ignore noise.
        """
        if not self._minds_noise:
            return list(range(len(front.scores)))
        return noticeable(front, self.drawn())

    def fit(self, evaluated, rng, most, whole_front=False):
        """Base the scores on a fit to evaluated sub-networks; return the FittedScores.

        evaluated: nas.thompson.Evaluated, to which `most` are added at most: see there
        whole_front: whether answers under other latencies matter, too
        """
        chain, layers = self.space.chain, len(self.space.sizes)
        # What was recorded is divided by the number of layers.
        prior = ScorePrior(
            [layers * row for row in self._rows(self._losses.unary())],
            [layers * row for row in self._errors()],
        )
        first, *others = self.constraints
        least = least_sum(chain.unary(prior.means), first.pairwise)
        greatest = first.value(chain.states(self.space.sizes - 1))

        def adopt(fitted):
            """Base the scores on a fit; return the choices of the answer."""
            self.fitted, self._drawn = fitted, None
            return chain.choices(self.best().states).tolist()

        def best_by(scores, limit):
            limits = [replace(first, limit=limit), *others]
            states = ows.search_all(chain.unary(scores), limits, **self._method).states
            return chain.choices(states).tolist()

        def candidate(scores):
            if whole_front and rng.random() < 0.5:
                with suppress(InfeasibleError):  # under the other limits
                    return best_by(scores, rng.uniform(least, greatest))
            return best_by(scores, first.limit)

        return fit_where_the_answer_lies(
            prior, evaluated, adopt, candidate, rng, most, goes_on=whole_front
        )

    def to_arrays(self):
        """Return the statistics as arrays for a checkpoint."""
        kept = {"window": np.array(self._window), "run": np.array(self._run)}
        return self._losses.to_arrays() | kept

    def digest(self):
        """Return text that identifies the training by its statistics; of all processes the same."""
        return digest_of(self.to_arrays())[:16]

    def load_arrays(self, arrays):
        """Load the statistics of a checkpoint, whatever its window; "run" may be missing.

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
        self._run = max(self._run, int(arrays.get("run", 1)))
