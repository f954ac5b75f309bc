"""The chain of networks whose layers share widths, against enumeration and whole-network sums."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.description import Description
from models.operations import Add, Classify, Convolve, Width
from nas import baselines, mrf, ows
from nas.chain import Chain
from nas.constraint import Constraint, InfeasibleError, greatest_sum, macs, parameters
from nas.exact.pareto import front
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.transitions import pack
from networks import named
from utils.errors import UserError
from utils.metadata import Metadata

SMALL = {
    name: SearchSpace(32, 4, 0.5, 1.5, 3, network=named(f"tests/helpers/networks/{name}.py"))
    for name in ("inverted", "basic", "bottleneck", "constant", "equal")
}
each_kind = pytest.mark.parametrize("space", SMALL.values(), ids=SMALL)


def instance(space, seed=0):
    """Return a random table, scores of each width, and all configurations' states."""
    rng = np.random.default_rng(seed)
    entries = {variable: rng.uniform(0.1, 1) for variable in space.variables}
    table = LatencyTable(entries, Metadata.of({"search_space": space.as_dict()}))
    scores = [np.sort(rng.normal(size=size)) for size in space.sizes]
    return table, scores, np.array(list(itertools.product(*map(range, space.sizes))))


def enumerated(space, table, scores, states):
    """Return the scores and the latencies of all states, from whole networks."""
    totals = sum(each[column] for each, column in zip(scores, states.T, strict=True))
    return totals, np.array([table.predict(space.configuration(row)) for row in states])


def test_each_width_of_mobilenet_v1_is_a_node_of_its_own():
    chain = SearchSpace().chain
    assert chain.nodes == tuple((width,) for width in range(14))
    assert chain.segments == tuple((layer,) for layer in range(15))
    states = np.random.default_rng(0).integers(chain.sizes, size=(5, 14))
    np.testing.assert_array_equal(chain.states(states), states)
    np.testing.assert_array_equal(chain.choices(states), states)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "resnet50"])
def test_the_other_networks_need_two_widths_at_once_and_no_more(name):
    """Oracle: at 14 choices 14² states; a shortcut is in the segment of the main path."""
    space = SearchSpace(network=name)
    chain = space.chain
    assert chain.node_sizes.max() == 14**2
    assert sorted(layer for segment in chain.segments for layer in segment) == list(
        range(len(space.description.layers))
    )
    for number, layer in enumerate(space.description.layers):
        if layer.name.endswith("shortcut"):
            assert any({number - 1, number} <= set(segment) for segment in chain.segments)


@each_kind
def test_costs_are_those_of_whole_networks_and_what_does_not_fit_is_forbidden(space):
    """Oracle: enumeration; every sequence of nodes' states that costs less is a configuration."""
    table, scores, states = instance(space)
    totals, latencies = enumerated(space, table, scores, states)
    nodes, pairwise = space.chain.states(states), table.pairwise(space)
    np.testing.assert_array_equal(space.chain.choices(nodes), states)
    np.testing.assert_allclose(mrf.pairwise_sum(pairwise, nodes.T), latencies)
    np.testing.assert_allclose(mrf.unary_sum(space.chain.unary(scores), nodes.T), totals)
    sequences = 1
    for block in pairwise:  # the number of paths through finite costs
        sequences = np.ones(len(block)) @ np.isfinite(block) if np.isscalar(sequences) else (
            sequences @ np.isfinite(block)
        )  # fmt: skip
    assert sequences.sum() == len(states)
    network = space.description
    for cost, count in (
        (macs(space), lambda c: network.macs(c, space.input_size)),
        (parameters(space), network.parameters),
    ):
        wanted = [count(space.configuration(row)) for row in states[::7]]
        np.testing.assert_array_equal(mrf.pairwise_sum(cost, nodes[::7].T), wanted)
    assert greatest_sum(space.chain.node_sizes, pairwise) == pytest.approx(latencies.max())


@each_kind
@pytest.mark.parametrize("method", ["exact", "lagrangian"])
def test_searches_find_what_enumeration_finds(space, method):
    table, scores, states = instance(space)
    totals, latencies = enumerated(space, table, scores, states)
    unary, pairwise = space.chain.unary(scores), table.pairwise(space)
    for target in np.quantile(latencies, [0.001, 0.1, 0.5, 0.9, 1]):
        answer = ows.search(unary, pairwise, target, method)
        best = totals[latencies <= target * (1 + 1e-9)].max()
        found = space.configuration_at(answer.states)
        assert table.predict(found) <= target * (1 + 1e-9)
        assert answer.bound >= best - 1e-9
        if method == "exact":
            assert answer.gap == 0 and answer.score == pytest.approx(best)
    with pytest.raises(InfeasibleError, match="fastest configuration"):
        ows.search(unary, pairwise, 0.9 * latencies.min(), method)


@each_kind
def test_several_limits_at_once_are_those_of_enumeration(space):
    table, scores, states = instance(space, seed=1)
    totals, latencies = enumerated(space, table, scores, states)
    network = space.description
    sizes = np.array([network.parameters(space.configuration(row)) for row in states])
    for share in (0.2, 0.5):
        target, limit = np.quantile(latencies, share), np.quantile(sizes, 0.6)
        constraints = [
            Constraint(table.pairwise(space), target),
            Constraint(parameters(space), limit, "size", "parameters"),
        ]
        answer = ows.search_all(space.chain.unary(scores), constraints)
        feasible = (latencies <= target) & (sizes <= limit)
        assert answer.gap == 0 and answer.score == pytest.approx(totals[feasible].max())


@each_kind
def test_marginals_and_joint_draws_are_those_of_enumeration(space):
    """Oracle: the Gibbs distribution over all configurations, at a multiplier and at 0."""
    table, scores, states = instance(space)
    totals, latencies = enumerated(space, table, scores, states)
    chain = space.chain
    dense, transitions, costs = pack(chain.unary(scores), [table.pairwise(space)], np.inf)
    for gamma in (0.0, 0.7):
        weights = np.exp(totals - gamma * latencies)
        weights /= weights.sum()
        packed = dense, transitions, -gamma * costs[0]
        found = chain.marginals(mrf.sum_product_packed(*packed))
        for width, size in enumerate(space.sizes):
            wanted = np.bincount(states[:, width], weights=weights, minlength=size)
            np.testing.assert_allclose(found[width, :size], wanted, atol=1e-12)
        uniforms = np.random.default_rng(0).random((2000, len(dense)))
        drawn = chain.choices(mrf.sample_packed(*packed, uniforms))
        assert np.array_equal(chain.choices(chain.states(drawn)), drawn)  # what is tied is tied
        shares = np.bincount(drawn[:, 0], minlength=3) / len(drawn)
        np.testing.assert_allclose(shares, found[0, :3], atol=0.05)


@each_kind
def test_simpler_searches_answer_configurations_that_fit_together(space):
    table, scores, states = instance(space)
    _, latencies = enumerated(space, table, scores, states)
    constraints = [Constraint(table.pairwise(space), np.quantile(latencies, 0.3))]
    unary = space.chain.unary(scores)
    answers = baselines.random_feasible(unary, constraints, np.random.default_rng(0), 20)
    answers.append(baselines.greedy_slimming(scores, constraints, space.chain))
    uniform = baselines.widest_uniform(space, unary, constraints)
    assert uniform is None or constraints[0].admits(uniform.latency_ms)
    if uniform and uniform.widths in space.uniform_multipliers():  # else interpolated
        answers.append(
            replace(uniform, states=tuple(space.chain.states(space.states(uniform.widths))))
        )
    assert len(answers) >= 21
    best = ows.search_all(unary, constraints).score
    for answer in filter(None, answers):
        configuration = space.configuration_at(answer.states)
        assert table.predict(configuration) == pytest.approx(answer.latency_ms)
        assert tuple(space.chain.states(space.states(configuration))) == answer.states
        assert answer.score <= best + 1e-12


@each_kind
def test_the_front_is_that_of_enumeration(space):
    table, scores, states = instance(space)
    totals, latencies = enumerated(space, table, scores, states)
    points = front(space.chain.unary(scores), table.pairwise(space))
    order = np.lexsort((-totals, latencies))
    above = np.maximum.accumulate(np.concatenate([[-np.inf], totals[order][:-1]]))
    wanted = order[totals[order] > above]
    assert points.complete
    np.testing.assert_allclose(points.scores, totals[wanted])


def test_a_description_that_needs_three_widths_at_once_names_them():
    stem, one, two, three = (Width(name, 16) for name in ("the stem", "a", "b", "c"))
    network = Description(
        "Dense",
        [
            Convolve("the stem", 3, stem),
            Convolve("a", stem, one),
            Convolve("b", one, two),
            Convolve("c", two, three),
            Convolve("d", three, two),
            Add("inner", to="b"),
            Convolve("e", two, one),
            Add("middle", to="a"),
            Convolve("f", one, stem),
            Add("outer", to="the stem"),
            Classify(stem, 2),
        ],
    )
    with pytest.raises(UserError, match="Dense needs the widths of the stem, a, b, c at once"):
        Chain.of(network, [14] * 4)
