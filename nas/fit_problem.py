"""The convex problem behind a latency table: Eq. (7), with a linear law as a prior if wanted."""

import time
import warnings
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from scipy import sparse

from models.mobilenet_v1 import LayerType
from utils.errors import UserError

SOLVER = cp.SCS
# Latencies are divided by their mean first, so that these mean the same in any unit of time.
SOLVER_OPTIONS = {"eps_abs": 1e-6, "eps_rel": 1e-6, "max_iters": 100_000}


class SolverError(UserError):
    """The solver did not reach the optimum of the fit."""


@dataclass(frozen=True)
class Solution:
    """A solved fit: the latency of each variable, and what the solver says of it."""

    values_ms: np.ndarray
    status: str
    objective: float  # in units of the squared mean latency
    iterations: int
    seconds: float


class FitProblem:
    """minimise ‖Mθ − y‖² + K‖t‖² + R‖θ − Φβ‖²
    subject to  θ ≥ 0, t ≥ 0, β ≥ 0, θ_small − θ_large ≤ t.

    Without Φ this is Eq. (7). Built once for a set of samples; solved for one (K, R) after the
    other, each time from the last answer.
    Source: Berman et al. 2020, Eq. (7).
    """

    # Differs from the paper: the last term, which Eq. (7) does not have.

    def __init__(self, counts, latencies_ms, pairs, law=None):
        """State the problem.

        counts:       M, sparse (networks, variables), how often a variable occurs in a network
        latencies_ms: y, (networks,)
        pairs:        (pairs, 2), indices of (small, large)
        law:          Φ, sparse (variables, coefficients), or None for Eq. (7) alone
        """
        latencies_ms = np.asarray(latencies_ms, dtype=np.float64)
        self.mean_ms = float(latencies_ms.mean())
        self.regularize = cp.Parameter(nonneg=True)  # K
        self.strength = cp.Parameter(nonneg=True) if law is not None else None  # R

        self.theta = theta = cp.Variable(counts.shape[1], nonneg=True)
        t = cp.Variable(len(pairs), nonneg=True)
        small, large = pairs.T
        objective = cp.sum_squares(counts @ theta - latencies_ms / self.mean_ms)
        objective += self.regularize * cp.sum_squares(t)
        if law is not None:
            beta = cp.Variable(law.shape[1], nonneg=True)
            objective += self.strength * cp.sum_squares(theta - law @ beta)
        self.problem = cp.Problem(cp.Minimize(objective), [theta[small] - theta[large] <= t])

    def solve(self, regularize, strength=0.0):
        """Return the Solution for K and R; raises SolverError, with the status, if not optimal."""
        self.regularize.value = regularize
        if self.strength is not None:
            self.strength.value = strength
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():  # CVXPY's words on the status, which is checked below
                warnings.simplefilter("ignore", UserWarning)
                self.problem.solve(solver=SOLVER, warm_start=True, **SOLVER_OPTIONS)
        except cp.SolverError as error:
            raise SolverError(f"the fit failed: {error}") from error
        status, iterations = self.problem.status, self.problem.solver_stats.num_iters
        if status != cp.OPTIMAL:
            raise SolverError(
                f"the fit is not optimal: {SOLVER} reports {status!r} after {iterations} iterations"
            )
        # Not a clipped table: the solver meets θ ≥ 0 to its tolerance, this meets it exactly.
        values_ms = np.maximum(self.theta.value, 0) * self.mean_ms
        seconds = time.perf_counter() - start
        return Solution(values_ms, status, float(self.problem.value), iterations, seconds)


TERMS = ("1", "c_in", "c_out", "c_in·c_out")


def linear_law(variables):
    """Return Φ: the terms 1, c_in, c_out, c_in·c_out of each variable, among its type's columns.

    Returns a sparse matrix (variables, 4 · layer types); every column's greatest entry is 1, so
    that the coefficients β are comparable. With β ≥ 0 the law Φβ never falls with more channels.
    """
    types = {}
    channels = np.array([(v.in_channels, v.out_channels) for v in variables], dtype=np.float64)
    inputs, outputs = channels.T
    first = [len(TERMS) * types.setdefault(_type_of(v), len(types)) for v in variables]
    columns = np.add.outer(first, np.arange(len(TERMS)))
    values = np.stack([np.ones_like(inputs), inputs, outputs, inputs * outputs], axis=1)
    greatest = np.zeros(len(TERMS) * len(types))
    np.maximum.at(greatest, columns, values)
    rows = np.repeat(np.arange(len(variables)), len(TERMS))
    entries = (values / greatest[columns]).ravel()
    return sparse.csr_matrix((entries, (rows, columns.ravel())))


def _type_of(variable):
    return tuple(getattr(variable, name) for name in LayerType.__dataclass_fields__)
