"""The transitions of a chain that are allowed, as flat arrays.

Most are forbidden where neighbouring nodes share a width: of the 14² × 14² between two pairs of
widths with 14 choices, 14³ are left. So the kernels go through those that are allowed.
"""

import functools
from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """Which states may follow which, in a chain of N nodes of up to S states: T transitions.

    sizes:  (N,), the number of states of each node
    starts: (N-1, S+1); those from state s of node i have the numbers starts[i, s] to
            starts[i, s + 1] - 1
    ends:   (T,), the state that each leads to, increasing among those from one state
    """

    sizes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, sizes, allowed):
        """Return the Transitions of N-1 Boolean arrays; allowed[i] has shape (S_i, S_{i+1})."""
        starts = np.zeros((len(allowed), max(sizes) + 1), dtype=np.int64)
        total = 0
        for row, block in zip(starts, allowed, strict=True):
            counts = row[: len(block) + 1]
            counts[0] = total
            np.add.reduce(block, axis=1, out=counts[1:])
            total = np.cumsum(counts, out=counts)[-1]
        ends = [block.nonzero()[1] for block in allowed]
        return cls(np.asarray(sizes), starts, np.concatenate([np.empty(0, np.int64), *ends]))


def pack(unary, pairwises, forbidden=-np.inf):
    """Return a ragged chain as arrays: unary, padded to (N, S), Transitions, and values (m, T).

    unary:     N arrays; unary[i] has shape (S_i,)
    pairwises: m lists of N-1 arrays; each list's i-th array has shape (S_i, S_{i+1})
    forbidden: the infinity that forbids a transition: -inf of potentials, +inf of costs
    Raises ValueError as `check` does.
    """
    for pairwise in pairwises:
        check(unary, pairwise, forbidden)
    sizes = np.array([len(potential) for potential in unary], dtype=np.int64)
    return pad(unary), *pack_pairwise(pairwises, sizes)


def pad(unary):
    """Return N ragged unary potentials as one array (N, S), with 0 beyond each node's size."""
    padded = np.zeros((len(unary), max(map(len, unary))))
    for row, potential in zip(padded, unary, strict=True):
        row[: len(potential)] = potential
    return padded


def pack_pairwise(pairwises, sizes):
    """Return the Transitions that are finite in all of m lists of arrays, and their values (m, T).

    sizes: (N,), the number of states of each node
    """
    lists = [[np.asarray(block, np.float64) for block in pairwise] for pairwise in pairwises]
    finite = ([np.isfinite(block) for block in blocks] for blocks in lists)
    allowed = [functools.reduce(np.logical_and, blocks) for blocks in zip(*finite, strict=True)]
    transitions = Transitions.of(sizes, allowed)
    values = np.zeros((len(lists), len(transitions.ends)))
    for row, blocks in zip(values, lists, strict=True):
        if blocks:
            np.concatenate([b[a] for b, a in zip(blocks, allowed, strict=True)], out=row)
    return transitions, values


def check(unary, pairwise, forbidden=-np.inf):
    """Raise ValueError, naming the node, unless a ragged chain's potentials fit together.

    Their shapes must agree, and none may be NaN or the infinity that does not forbid. Costs, whose
    forbidding infinity is +inf, must be at least 0.
    """
    if not len(unary):
        raise ValueError("the chain has no nodes")
    if len(pairwise) != len(unary) - 1:
        raise ValueError(
            f"{len(unary)} nodes need {len(unary) - 1} pairwise potentials, got {len(pairwise)}"
        )
    sizes = [len(potential) for potential in unary]
    for node, (potential, size) in enumerate(zip(unary, sizes, strict=True)):
        _check(potential, (size,), "unary", node, -np.inf)
    for node, potential in enumerate(pairwise):
        _check(potential, (sizes[node], sizes[node + 1]), "pairwise", node, forbidden)
        if forbidden > 0 and (np.asarray(potential) < 0).any():
            raise ValueError("latencies and other resources must be numbers of at least 0")


def _check(potential, shape, kind, node, forbidden):
    potential = np.asarray(potential, dtype=np.float64)
    if potential.shape != shape:
        raise ValueError(
            f"{kind} potential of node {node} has shape {potential.shape}, expected {shape}"
        )
    if potential.size == 0:
        raise ValueError(f"node {node} has no states")
    if not (np.isfinite(potential) | (potential == forbidden)).all():
        raise ValueError(f"{kind} potential of node {node} holds NaN or {-forbidden:+}")
