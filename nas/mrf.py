"""Chain Markov random fields: score, max-sum (Viterbi), sum-product (forward–backward), sampling.

A chain of N nodes: unary[i] has shape (S_i,), pairwise[i] has shape (S_i, S_{i+1}). The score of
states s is sum_i unary[i][s_i] + sum_i pairwise[i][s_i, s_{i+1}]; the Gibbs distribution is
p(s) ∝ exp(score(s)). A temperature is applied by dividing the potentials by it. -inf marks a state
or a transition that is forbidden.

The public functions take ragged lists. What runs at every training step takes the same chain as
dense arrays (`pad`): unary (N, S), pairwise (N-1, S, S) and sizes (N,), S the largest size; only
the first sizes[i] entries of a row are read.
"""

import numpy as np

from nas.compiled import njit


def pad(unary, pairwise):
    """Return a ragged chain as dense float64 arrays (unary, pairwise, sizes).

    Raises ValueError, naming the node, if shapes disagree or a potential is NaN or +inf.
    """
    if not len(unary):
        raise ValueError("the chain has no nodes")
    if len(pairwise) != len(unary) - 1:
        raise ValueError(
            f"{len(unary)} nodes need {len(unary) - 1} pairwise potentials, got {len(pairwise)}"
        )
    sizes = np.array([len(potential) for potential in unary], dtype=np.int64)
    dense_unary = np.zeros((len(unary), sizes.max(initial=0)))
    for node, potential in enumerate(unary):
        dense_unary[node, : sizes[node]] = _checked(potential, (sizes[node],), "unary", node)
    return dense_unary, pad_pairwise(pairwise, sizes), sizes


def pad_pairwise(pairwise, sizes):
    """Return N-1 ragged pairwise potentials as one dense array of shape (N-1, S, S)."""
    dense = np.zeros((len(pairwise), max(sizes), max(sizes)))
    for node, potential in enumerate(pairwise):
        shape = (sizes[node], sizes[node + 1])
        dense[node, : shape[0], : shape[1]] = _checked(potential, shape, "pairwise", node)
    return dense


def _checked(potential, shape, kind, node):
    potential = np.asarray(potential, dtype=np.float64)
    if potential.shape != tuple(shape):
        raise ValueError(
            f"{kind} potential of node {node} has shape {potential.shape}, expected {tuple(shape)}"
        )
    if potential.size == 0:
        raise ValueError(f"node {node} has no states")
    if np.isnan(potential).any() or np.isposinf(potential).any():
        raise ValueError(f"{kind} potential of node {node} holds NaN or +inf")
    return potential


def score(unary, pairwise, states):
    """Return the score of one sequence of N states, a float."""
    total = sum(potential[state] for potential, state in zip(unary, states, strict=True))
    for node, potential in enumerate(pairwise):
        total += potential[states[node], states[node + 1]]
    return float(total)


def max_sum(unary, pairwise):
    """Return the highest-scoring states of a chain MRF (Viterbi).

    unary:    N arrays; unary[i] has shape (S_i,), the score of each state of node i
    pairwise: N-1 arrays; pairwise[i] has shape (S_i, S_{i+1})
    Returns (score, states): a float and N ints; ties go to the lowest state of the first node,
    then of the second, and so on. The score is -inf if every sequence is forbidden.
    Raises ValueError, naming the node, if shapes disagree or a potential is NaN or +inf.
    Source: Viterbi 1967, as used by OWS (Berman et al. 2020); O(sum of S_i * S_{i+1}).
    """
    best, states = max_sum_dense(*pad(unary, pairwise))
    return best, [int(state) for state in states]


def sum_product(unary, pairwise):
    """Return the marginal distributions of a chain MRF (forward–backward, in log space).

    Arguments as in max_sum. Returns N arrays; the i-th has shape (S_i,) and sums to 1.
    Raises ValueError as max_sum does, and if every sequence is forbidden.
    Source: Baum et al. 1970; the sampling probabilities of AOWS (Berman et al. 2020).
    """
    dense_unary, dense_pairwise, sizes = pad(unary, pairwise)
    marginals = sum_product_dense(dense_unary, dense_pairwise, sizes)
    if np.isnan(marginals[0, 0]):
        raise ValueError("every sequence of states is forbidden: no distribution")
    return [marginals[node, :size].copy() for node, size in enumerate(sizes)]


def sample(unary, pairwise, rng, count):
    """Return independent draws from the Gibbs distribution (forward filtering, backward sampling).

    Arguments as in max_sum, and a numpy Generator. Returns an int64 array of shape (count, N).
    Raises ValueError as sum_product does.
    """
    dense_unary, dense_pairwise, sizes = pad(unary, pairwise)
    uniforms = rng.random((count, len(sizes)))
    states = sample_dense(dense_unary, dense_pairwise, sizes, uniforms)
    if count and states[0, 0] < 0:
        raise ValueError("every sequence of states is forbidden: no distribution")
    return states


@njit
def max_sum_dense(unary, pairwise, sizes):
    """max_sum on a dense chain: returns the score and the states, an int64 array."""
    nodes = len(sizes)
    to_end = unary.copy()  # to_end[i, s]: the best score of nodes i, i+1, … if node i is in s
    for i in range(nodes - 2, -1, -1):
        for s in range(sizes[i]):
            top = -np.inf
            for t in range(sizes[i + 1]):
                top = max(top, pairwise[i, s, t] + to_end[i + 1, t])
            to_end[i, s] += top
    states = np.zeros(nodes, dtype=np.int64)
    best = -np.inf
    for s in range(sizes[0]):
        if to_end[0, s] > best:
            best, states[0] = to_end[0, s], s
    for i in range(nodes - 1):
        top = -np.inf
        for t in range(sizes[i + 1]):
            value = pairwise[i, states[i], t] + to_end[i + 1, t]
            if value > top:
                top, states[i + 1] = value, t
    return best, states


@njit
def _log_sum_exp(values):
    top = values.max()
    if top == -np.inf:
        return top
    total = 0.0
    for value in values:
        if value > top - 40:  # exp(-40) is below the rounding error of the sum
            total += np.exp(value - top)
    return top + np.log(total)


@njit
def _backward(unary, pairwise, sizes):
    """Return log_z[i, s]: log of the summed exp(score) of nodes i, i+1, … if node i is in s."""
    log_z = unary.copy()
    terms = np.empty(unary.shape[1])
    for i in range(len(sizes) - 2, -1, -1):
        for s in range(sizes[i]):
            for t in range(sizes[i + 1]):
                terms[t] = pairwise[i, s, t] + log_z[i + 1, t]
            log_z[i, s] += _log_sum_exp(terms[: sizes[i + 1]])
    return log_z


@njit
def _softmax(log_weights, out):
    """Write normalised exp(log_weights) into out; NaN if all are -inf."""
    total = _log_sum_exp(log_weights)
    for s in range(len(log_weights)):
        out[s] = np.exp(log_weights[s] - total) if total > -np.inf else np.nan


@njit
def sum_product_dense(unary, pairwise, sizes):
    """sum_product on a dense chain: shape (N, S), zero behind each node's size; NaN if empty."""
    nodes, most = unary.shape
    marginals = np.zeros((nodes, most))
    log_z = _backward(unary, pairwise, sizes)
    before = np.zeros(most)  # log of the summed exp(score) of nodes before i, into each state
    terms = np.empty(most)
    for i in range(nodes):
        _softmax(before[: sizes[i]] + log_z[i, : sizes[i]], marginals[i, : sizes[i]])
        if i + 1 < nodes:
            inside = before + unary[i]
            for t in range(sizes[i + 1]):
                for s in range(sizes[i]):
                    terms[s] = inside[s] + pairwise[i, s, t]
                before[t] = _log_sum_exp(terms[: sizes[i]])
    return marginals


@njit
def sample_dense(unary, pairwise, sizes, uniforms):
    """sample on a dense chain; uniforms has shape (count, N). States are -1 if all is forbidden.

    Node 0 is drawn from its marginal, node i+1 from p(t | s) ∝ exp(pairwise[s, t] + log_z[t]).
    """
    nodes, most = unary.shape
    log_z = _backward(unary, pairwise, sizes)
    states = np.zeros(uniforms.shape, dtype=np.int64)
    probabilities = np.zeros(most)
    for draw in range(uniforms.shape[0]):
        for i in range(nodes):
            size = sizes[i]
            if i == 0:
                _softmax(log_z[0, :size], probabilities[:size])
            else:
                row = pairwise[i - 1, states[draw, i - 1], :size] + log_z[i, :size]
                _softmax(row, probabilities[:size])
            if np.isnan(probabilities[0]):
                states[draw] = -1
                break
            left = uniforms[draw, i]
            for s in range(size):
                if probabilities[s] > 0:
                    states[draw, i] = s
                    left -= probabilities[s]
                    if left < 0:
                        break
    return states
