"""The answer to a search: a configuration, its score, its constraint values, the proven bound."""

from dataclasses import dataclass, replace

import numpy as np

from nas import mrf


@dataclass(frozen=True)
class Answer:
    """A configuration, its score, the value of each constraint, and a proven bound on the score."""

    states: tuple[int, ...]
    score: float
    values: tuple[float, ...]  # of each constraint, in its unit
    bound: float = np.inf  # no feasible configuration has a greater score; inf: nothing is proven
    gammas: tuple[float, ...] = ()  # multiplier of each constraint, score per unit
    noise: float = 0.0  # of its difference to the greatest score, if it was preferred as faster

    @classmethod
    def of(cls, unary, constraints, states):
        """Return the Answer for one sequence of states, with nothing proven.

        unary: N arrays; unary[i] has shape (S_i,), the score of each state of node i
        """
        states = tuple(int(state) for state in states)
        score = float(mrf.unary_sum(unary, states))
        return cls(states, score, tuple(constraint.value(states) for constraint in constraints))

    def proven(self, bound, gammas):
        """Return this answer with its bound, which is at least its score, and its multipliers."""
        gammas = tuple(float(gamma) for gamma in gammas)
        return replace(self, bound=max(float(bound), self.score), gammas=gammas)

    def configuration(self, space):
        """Return the widths in a SearchSpace."""
        return space.configuration_at(self.states)

    @property
    def gap(self):
        """The most by which another configuration could score higher; 0 if proven optimal."""
        return max(0.0, self.bound - self.score)

    @property
    def latency_ms(self):
        """The value of the first constraint."""
        return self.values[0]

    @property
    def gamma(self):
        """The multiplier of the first constraint, score per ms."""
        return self.gammas[0]
