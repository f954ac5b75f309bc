"""The convex problem behind a latency table: Eq. (7), alone or with a prior."""

import time
import warnings
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from scipy import sparse

from nas.prior import usual_sizes
from utils.errors import UserError

SOLVER, RESCUE = cp.SCS, cp.CLARABEL  # the second takes several times as long
PATIENCE = 20_000  # iterations of the first before the second is tried
# Latencies are divided by their mean first, so that these mean the same in any unit of time.
SOLVER_OPTIONS = {"eps_abs": 1e-6, "eps_rel": 1e-6, "max_iters": 100_000}
OWN = 0.03  # of R: the penalty of the layer types' own terms; from 0.01 to 0.3 is as good


class SolverError(UserError):
    """The solver did not reach the optimum of the fit."""


@dataclass(frozen=True)
class Solution:
    """A solved fit: the latency of each variable, and what the solver reports."""

    values_ms: np.ndarray
    solver: str
    status: str
    objective: float  # in units of the squared mean latency
    iterations: int
    seconds: float


class FitProblem:
    """minimise ‖Mθ − y‖² + K‖t‖²
    subject to  θ ≥ 0, t ≥ 0, θ_small − θ_large ≤ t,

    which is Eq. (7); or, with a Prior, whose law is Φβ in absolute or Φβ + Ψγ in relative errors,

    minimise ‖Mθ − y‖² + K‖t‖² + R‖θ − Φβ‖²                 subject to  the same and β, γ ≥ 0, or
    minimise ‖(Mθ − y) / y‖² + K‖t‖² + R(‖(θ − Φβ − Ψγ) / s‖² + OWN‖β / b‖²)

    where s is the entries' usual size, by Φβ + Ψγ alone, and b the greatest of each type, by Ψγ.

    Built once for a set of samples, then solved for one (K, R) after another, each time starting
    from the last solution.
    Source: Berman et al. 2020, Eq. (7).
    """

    # Differs from the paper: all but the first problem. Searches for fast networks need small
    # latencies to be right, and absolute errors are dominated by the large ones.

    def __init__(self, counts, latencies_ms, pairs, prior=None):
        """State the problem.

        counts:       M, sparse (networks, variables), how many times a variable occurs in a network
        latencies_ms: y, (networks,)
        pairs:        (pairs, 2), indices of (small, large)
        prior:        a Prior, or None for Eq. (7) alone
        """
        latencies_ms = np.asarray(latencies_ms, dtype=np.float64)
        self.mean_ms = float(latencies_ms.mean())
        self.regularize = cp.Parameter(nonneg=True)  # K
        self.strength = cp.Parameter(nonneg=True) if prior else None  # R

        y = latencies_ms / self.mean_ms
        self.theta = theta = cp.Variable(counts.shape[1], nonneg=True)
        relative = prior and prior.relative
        per_y = sparse.diags(1 / y if relative else np.ones(len(y)))
        objective = cp.sum_squares((per_y @ counts) @ theta - per_y @ y)
        constraints = []
        if len(pairs):
            t = cp.Variable(len(pairs), nonneg=True)
            small, large = pairs.T
            objective += self.regularize * cp.sum_squares(t)
            constraints = [theta[small] - theta[large] <= t]
        if relative:
            objective += self.strength * _shared_pull(theta, prior, counts, y)
        elif prior:
            beta = cp.Variable(prior.own.shape[1], nonneg=True)
            objective += self.strength * cp.sum_squares(theta - prior.own @ beta)
        self.problem = cp.Problem(cp.Minimize(objective), constraints)

    def solve(self, regularize, strength=0.0):
        """Return the Solution for K and R; raises SolverError, with the status, if not optimal.

        With a prior, RESCUE solves what SOLVER does not solve accurately enough.
        """
        self.regularize.value = regularize
        if self.strength is not None:
            self.strength.value = strength
        start = time.perf_counter()
        solver, options = SOLVER, dict(SOLVER_OPTIONS)
        if self.strength is not None and "max_iters" in options:
            options["max_iters"] = min(PATIENCE, options["max_iters"])
        self._solve_by(solver, warm_start=True, **options)
        if self.problem.status != cp.OPTIMAL and self.strength is not None:
            solver = RESCUE
            self._solve_by(solver)
        status, iterations = self.problem.status, self.problem.solver_stats.num_iters
        if status != cp.OPTIMAL:
            raise SolverError(
                f"the fit is not optimal: {solver} reports {status!r} after {iterations} iterations"
            )
        # The solver satisfies θ ≥ 0 only to its tolerance; this satisfies it exactly.
        values_ms = np.maximum(self.theta.value, 0) * self.mean_ms
        seconds = time.perf_counter() - start
        return Solution(values_ms, solver, status, float(self.problem.value), iterations, seconds)

    def _solve_by(self, solver, **options):
        try:
            with warnings.catch_warnings():  # CVXPY warns of the status, which is checked
                warnings.simplefilter("ignore", UserWarning)
                self.problem.solve(solver=solver, **options)
        except cp.SolverError as error:
            raise SolverError(f"the fit failed: {error}") from error


def _shared_pull(theta, prior, counts, y):
    """Return ‖(θ − Φβ − Ψγ) / s‖² + OWN‖β / b‖² as an expression."""
    sizes = usual_sizes(counts, y, sparse.hstack([prior.own, prior.shared]))  # s
    typical = usual_sizes(counts, y, prior.shared)  # the types' own coefficients cannot shrink b
    greatest = (prior.own != 0).multiply(typical[:, None]).max(axis=0).toarray().ravel()  # b
    beta = cp.Variable(prior.own.shape[1], nonneg=True)  # in units of b
    gamma = cp.Variable(prior.shared.shape[1], nonneg=True)
    per_size = sparse.diags(1 / sizes)
    own = per_size @ prior.own @ sparse.diags(greatest)
    law = own @ beta + (per_size @ prior.shared) @ gamma
    return cp.sum_squares(per_size @ theta - law) + OWN * cp.sum_squares(beta)
