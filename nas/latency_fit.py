"""Fitting a latency table to whole-network timings: counts, ordered pairs, the convex problem."""

import itertools
from collections import defaultdict
from dataclasses import fields

import numpy as np
from scipy import sparse

from models.mobilenet_v1 import Variable


def count_matrix(space, configurations):
    """Return M: how often each variable occurs in each network, sparse (networks, variables)."""
    states = np.array([space.states(configuration) for configuration in configurations])
    paths = space.paths(states)
    rows = np.repeat(np.arange(len(paths)), paths.shape[1])
    shape = (len(paths), len(space.variables))
    return sparse.csr_matrix((np.ones(paths.size), (rows, paths.ravel())), shape=shape)


def ordered_pairs(variables):
    """Return the pairs (small, large) that Eq. (7) orders, as int64 indices of shape (pairs, 2).

    The two are neighbours in exactly one of in_channels, out_channels and in_size, with every
    other field equal: in the group of variables that share all the other fields, sorted by this
    one, they follow each other.
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
