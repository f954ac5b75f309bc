"""Fitting a latency table to whole-network timings: counts, ordered pairs, the convex problem."""

import itertools
from collections import defaultdict
from dataclasses import asdict, fields

import numpy as np
from scipy import sparse

from nas.fit_problem import FitProblem
from nas.latency_table import LatencyTable
from nas.prior import SHARED, Prior
from nas.variables import Variable
from utils.errors import UserError
from utils.metadata import Metadata
from utils.progress import warn

EXACT = 1e-6  # an objective below this is 0 to the solver's tolerance: no term is active


def fit(samples, space, regularize, strength=0.0, metadata=None, prior=SHARED):
    """Return the LatencyTable that Eq. (7) fits to the timings of whole networks.

    samples:    list of (configuration, latency in ms per image)
    regularize: K >= 0, the weight of the monotonicity term; without unit
    strength:   R >= 0, how strongly the table is pulled towards the prior; 0: Eq. (7) alone
    metadata:   Metadata of the samples; copied into the table's
    prior:      one of nas.prior.PRIORS
    Raises UserError for impossible timings, SolverError if the optimum is not reached.
    Warns on standard error if the table is not unique.
    Source: Berman et al. 2020, Eq. (7).
    """
    configurations, latencies_ms = check_samples(samples)
    check_weights(regularize, strength)
    problem = fit_problem(space, configurations, latencies_ms, prior if strength > 0 else None)
    solution = problem.solve(regularize, strength)
    if regularize == 0 and strength == 0:
        _warn_not_unique("K = 0 and no prior")
    elif strength == 0 and solution.objective < EXACT:
        _warn_not_unique(f"{len(samples)} samples are too few for Eq. (7), all are met exactly")

    solved = asdict(solution)
    values_ms = solved.pop("values_ms")
    report = {
        "prior": prior if strength else "none",
        "regularize": regularize,
        "strength": strength,
        "samples": len(samples),
        **solved,
    }
    metadata = (metadata or Metadata()).stating(search_space=space.as_dict(), fit=report)
    entries = zip(space.variables, values_ms.tolist(), strict=True)
    return LatencyTable(entries, metadata, "the fitted table")


def fit_problem(space, configurations, latencies_ms, prior=None):
    """Return the FitProblem of networks of a search space and their latencies in ms.

    prior: one of nas.prior.PRIORS, or None for Eq. (7) alone
    """
    variables = space.variables
    counts = count_matrix(space, configurations)
    law = prior and Prior.of(prior, variables)
    return FitProblem(counts, latencies_ms, ordered_pairs(variables), law)


def check_samples(samples):
    """Return (configurations, latencies in ms) of samples; raises UserError for impossible ones."""
    if not samples:
        raise UserError("there is no sample to fit a latency table to")
    configurations = [tuple(sample[0]) for sample in samples]
    latencies_ms = np.array([sample[1] for sample in samples], dtype=np.float64)
    for number, latency_ms in enumerate(latencies_ms, start=1):
        if not (np.isfinite(latency_ms) and latency_ms > 0):
            raise UserError(f"the latency of sample {number} is {latency_ms} ms")
    return configurations, latencies_ms


def check_weights(regularize, strength):
    """Raise UserError unless K and R are numbers that are at least 0."""
    for name, value in (("regularisation K", regularize), ("strength R", strength)):
        if not 0 <= value < np.inf:
            raise UserError(f"the {name} = {value} must be a number that is at least 0")


def _warn_not_unique(reason):
    warn(
        f"{reason}: the table is not unique, other tables fit these samples equally "
        "well and predict other networks differently"
    )


def count_matrix(space, configurations):
    """Return M, how many times a variable occurs in a network, sparse (networks, variables)."""
    states = np.array([space.states(configuration) for configuration in configurations])
    paths = space.paths(states)
    rows = np.repeat(np.arange(len(paths)), paths.shape[1])
    shape = (len(paths), len(space.variables))
    return sparse.csr_matrix((np.ones(paths.size), (rows, paths.ravel())), shape=shape)


def ordered_pairs(variables):
    """Return the pairs (small, large) that Eq. (7) orders, as int64 indices of shape (pairs, 2).

    The two are neighbours in exactly one of in_channels, out_channels and in_size, with every
    other field equal: among the variables that share all the other fields, sorted by this one, they
    are adjacent.
    """
    names = [field.name for field in fields(Variable)]
    pairs = []
    for along in ("in_channels", "out_channels", "in_size"):
        groups = defaultdict(list)
        for index, variable in enumerate(variables):
            rest = tuple(getattr(variable, name) for name in names if name != along)
            groups[rest].append((getattr(variable, along), index))
        for group in groups.values():
            indices = [index for _, index in sorted(group)]
            pairs.extend(itertools.pairwise(indices))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
