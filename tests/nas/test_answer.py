"""Oracle: sums by hand."""

import numpy as np

from nas.answer import Answer
from nas.constraint import Constraint

UNARY = [np.array([0.0, 1.0]), np.array([2.0, 4.0, 8.0])]
CONSTRAINTS = [
    Constraint([np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])], 5.0),
    Constraint([np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])], 90.0, "memory", "MB"),
]


def test_an_answer_is_what_states_score_and_use():
    answer = Answer.of(UNARY, CONSTRAINTS, np.array([1, 2]))
    assert answer == Answer((1, 2), 9.0, (6.0, 60.0))
    assert [type(each) for each in (*answer.states, answer.score)] == [int, int, float]
    assert (answer.latency_ms, answer.gap) == (6.0, np.inf)
    assert [constraint.is_feasible(answer.states) for constraint in CONSTRAINTS] == [False, True]


def test_a_bound_is_never_below_the_score():
    answer = Answer.of(UNARY, CONSTRAINTS, (0, 1))
    loose, tight = (answer.proven(bound, np.array([0.5, 0.0])) for bound in (7.0, 4.0 - 1e-12))
    assert (loose.gap, loose.gamma, loose.gammas) == (3.0, 0.5, (0.5, 0.0))
    assert (tight.bound, tight.gap) == (4.0, 0.0)
