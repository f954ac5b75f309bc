"""Chain Markov random fields: score, max-sum (Viterbi), sum-product (forward–backward), sampling.

A chain of N nodes: unary[i] has shape (S_i,), pairwise[i] has shape (S_i, S_{i+1}). The score of
states s is sum_i unary[i][s_i] + sum_i pairwise[i][s_i, s_{i+1}]; the Gibbs distribution is
p(s) ∝ exp(score(s)). A temperature is applied by dividing the potentials by it. -inf marks a state
or a transition that is forbidden.

The public functions take ragged lists. What runs at every training step takes the same chain
packed (nas.transitions.pack): unary (N, S), of which only the first sizes[i] entries of a row are
read, Transitions, and one pairwise potential for each of the T transitions.
"""

import itertools

import numpy as np

from nas.compiled import njit
from nas.transitions import pack


def unary_sum(unary, states):
    """Return the sum of N unary potentials along states: N ints, or N arrays for many sequences."""
    return sum(potential[state] for potential, state in zip(unary, states, strict=True))


def pairwise_sum(pairwise, states):
    """Return the sum of N-1 pairwise potentials along states, as unary_sum does."""
    pairs = itertools.pairwise(states)
    return sum(potential[s, t] for potential, (s, t) in zip(pairwise, pairs, strict=True))


def score(unary, pairwise, states):
    """Return the score of one sequence of N states, a float."""
    return float(unary_sum(unary, states) + pairwise_sum(pairwise, states))


def max_sum(unary, pairwise):
    """Return the highest-scoring states of a chain MRF (Viterbi).

    unary:    N arrays; unary[i] has shape (S_i,), the score of each state of node i
    pairwise: N-1 arrays; pairwise[i] has shape (S_i, S_{i+1})
    Returns (score, states): a float and N ints; ties go to the lowest state of the first node,
    then of the second, and so on. The score is -inf if every sequence is forbidden.
    Raises ValueError, naming the node, if shapes disagree or a potential is NaN or +inf.
    Source: Viterbi 1967, as used by OWS (Berman et al. 2020); O(sum of S_i * S_{i+1}).
    """
    dense, transitions, [potentials] = pack(unary, [pairwise])
    best, states, _ = max_sum_packed(dense, transitions, potentials, 1.0)
    return best, states.tolist()


def sum_product(unary, pairwise):
    """Return the marginal distributions of a chain MRF (forward–backward, in log space).

    Arguments as in max_sum. Returns N arrays; the i-th has shape (S_i,) and sums to 1.
    Raises ValueError as max_sum does, and if every sequence is forbidden.
    Source: Baum et al. 1970; the sampling probabilities of AOWS (Berman et al. 2020).
    """
    dense, transitions, [potentials] = pack(unary, [pairwise])
    marginals = sum_product_packed(dense, transitions, potentials)
    if np.isnan(marginals[0, 0]):
        raise ValueError("every sequence of states is forbidden: no distribution")
    return [marginals[node, :size].copy() for node, size in enumerate(transitions.sizes)]


def sample(unary, pairwise, rng, count):
    """Return independent draws from the Gibbs distribution (forward filtering, backward sampling).

    Arguments as in max_sum, and a numpy Generator. Returns an int64 array of shape (count, N).
    Raises ValueError as sum_product does.
    """
    dense, transitions, [potentials] = pack(unary, [pairwise])
    uniforms = rng.random((count, len(unary)))
    states = sample_packed(dense, transitions, potentials, uniforms)
    if count and states[0, 0] < 0:
        raise ValueError("every sequence of states is forbidden: no distribution")
    return states


@njit
def max_sum_packed(unary, transitions, values, factor):
    """max_sum on a packed chain whose pairwise potentials are factor * values; values: (T,).

    Returns the score, the states, (N,), and the numbers of their transitions, (N-1,); -1 where
    everything is forbidden.
    """
    sizes, starts, ends = transitions
    nodes = len(sizes)
    to_end = unary.copy()  # to_end[i, s]: the best score of nodes i, i+1, … if node i is in s
    for i in range(nodes - 2, -1, -1):
        for s in range(sizes[i]):
            top = -np.inf
            for j in range(starts[i, s], starts[i, s + 1]):
                top = max(top, factor * values[j] + to_end[i + 1, ends[j]])
            to_end[i, s] += top
    states = np.zeros(nodes, dtype=np.int64)
    path = np.full(nodes - 1, -1)
    best = -np.inf
    for s in range(sizes[0]):
        if to_end[0, s] > best:
            best, states[0] = to_end[0, s], s
    for i in range(nodes - 1):
        top = -np.inf
        for j in range(starts[i, states[i]], starts[i, states[i] + 1]):
            value = factor * values[j] + to_end[i + 1, ends[j]]
            if value > top:
                top, path[i], states[i + 1] = value, j, ends[j]
    return best, states, path


@njit
def _log_sum_exp(values):
    top = -np.inf
    for value in values:
        top = max(top, value)
    if top == -np.inf:
        return top
    total = 0.0
    for value in values:
        if value > top - 40:  # exp(-40) is below the rounding error of the sum
            total += np.exp(value - top)
    return top + np.log(total)


@njit
def _backward(unary, transitions, potentials):
    """Return log_z[i, s]: log of the summed exp(score) of nodes i, i+1, … if node i is in s."""
    sizes, starts, ends = transitions
    log_z = unary.copy()
    terms = np.empty(unary.shape[1])
    for i in range(len(sizes) - 2, -1, -1):
        for s in range(sizes[i]):
            first, count = starts[i, s], starts[i, s + 1] - starts[i, s]
            for k in range(count):
                terms[k] = potentials[first + k] + log_z[i + 1, ends[first + k]]
            log_z[i, s] += _log_sum_exp(terms[:count])
    return log_z


@njit
def _softmax(log_weights, out):
    """Write normalised exp(log_weights) into out; NaN if all are -inf."""
    total = _log_sum_exp(log_weights)
    for s in range(len(log_weights)):
        out[s] = np.exp(log_weights[s] - total) if total > -np.inf else np.nan


@njit
def sum_product_packed(unary, transitions, potentials):
    """sum_product on a packed chain: shape (N, S), zero beyond each node's size; NaN if empty."""
    sizes = transitions.sizes
    nodes, most = unary.shape
    marginals = np.zeros((nodes, most))
    log_z = _backward(unary, transitions, potentials)
    before = np.zeros(most)  # log of the summed exp(score) of nodes before i, into each state
    for i in range(nodes):
        _softmax(before[: sizes[i]] + log_z[i, : sizes[i]], marginals[i, : sizes[i]])
        if i + 1 < nodes:
            before = _forward(i, before + unary[i], transitions, potentials)
    return marginals


@njit
def _forward(i, inside, transitions, potentials):
    """Return log of the summed exp(score) of nodes up to i, into each state of node i + 1.

    inside: (S,), the same of nodes up to i, if node i is in a state
    """
    sizes, starts, ends = transitions
    tops, totals = np.full(len(inside), -np.inf), np.zeros(len(inside))
    for s in range(sizes[i]):
        for j in range(starts[i, s], starts[i, s + 1]):
            tops[ends[j]] = max(tops[ends[j]], inside[s] + potentials[j])
    for s in range(sizes[i]):
        for j in range(starts[i, s], starts[i, s + 1]):
            term, top = inside[s] + potentials[j], tops[ends[j]]
            if term > top - 40:
                totals[ends[j]] += np.exp(term - top)
    return tops + np.log(totals)


@njit
def sample_packed(unary, transitions, potentials, uniforms):
    """sample on a packed chain; uniforms has shape (count, N). States are -1 if all is forbidden.

    Node 0 is drawn from its marginal, node i+1 from p(t | s) ∝ exp(pairwise[s, t] + log_z[t]).
    """
    sizes, starts, ends = transitions
    nodes, most = unary.shape
    log_z = _backward(unary, transitions, potentials)
    states = np.zeros(uniforms.shape, dtype=np.int64)
    probabilities = np.zeros(most)
    for draw in range(uniforms.shape[0]):
        _softmax(log_z[0, : sizes[0]], probabilities[: sizes[0]])
        if np.isnan(probabilities[0]):
            states[draw] = -1
            continue
        states[draw, 0] = _draw(probabilities[: sizes[0]], uniforms[draw, 0])
        for i in range(1, nodes):
            state = states[draw, i - 1]
            first, end = starts[i - 1, state], starts[i - 1, state + 1]
            targets = ends[first:end]
            _softmax(potentials[first:end] + log_z[i][targets], probabilities[: end - first])
            chosen = _draw(probabilities[: end - first], uniforms[draw, i])
            states[draw, i] = targets[chosen]
    return states


@njit
def _draw(probabilities, uniform):
    """Return the position at which the summed probabilities exceed a number from 0 to 1."""
    chosen = 0
    for position in range(len(probabilities)):
        if probabilities[position] > 0:
            chosen = position
            uniform -= probabilities[position]
            if uniform < 0:
                break
    return chosen
