import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import fit
from nas.search_space import SearchSpace
from nas.width_steps import WidthCosts
from networks import named

SPACE = SearchSpace(
    input_size=32, classes=10, min_width=0.25, max_width=2.0, levels=8,
    base_widths=(32, 32, 32), strides=(1, 1, 1),
)  # fmt: skip
WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)


def costs_of(law_ms):
    values_ms = [law_ms(v.in_channels, v.out_channels) for v in SPACE.variables]
    return WidthCosts(np.array(values_ms, dtype=float), SPACE)


def test_curves_and_steps_equal_differences_of_whole_networks():
    """Oracle: the mean over all networks that have a width, enumerated (8³ of them)."""
    rng = np.random.default_rng(0)
    values_ms = rng.random(len(SPACE.variables))
    costs = WidthCosts(values_ms, SPACE)
    states = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    totals_ms = values_ms[SPACE.paths(states)].sum(axis=1)
    assert costs.mean_ms == pytest.approx(totals_ms.mean())
    steps = {(step.layer, step.narrow): step for step in costs.steps()}
    for layer in range(3):
        means_ms = [totals_ms[states[:, layer] == state].mean() for state in range(8)]
        np.testing.assert_allclose(costs.curves_ms[layer], np.array(means_ms) - means_ms[0])
        for state in range(7):
            before = totals_ms[states[:, layer] == state]
            differences_ms = totals_ms[states[:, layer] == state + 1] - before
            step = steps[layer + 1, WIDTHS[state]]
            assert step.wide == WIDTHS[state + 1]
            assert step.mean_ms == pytest.approx(differences_ms.mean())
            assert step.least_ms == pytest.approx(differences_ms.min())
            assert step.greatest_ms == pytest.approx(differences_ms.max())


def test_a_layer_between_equal_widths_has_no_pairs_of_different_ones():
    """Oracle: the mean over all networks that have a width, enumerated."""
    space = SearchSpace(32, 4, 0.5, 2, 4, network=named("tests/helpers/networks/equal.py"))
    values_ms = np.random.default_rng(0).random(len(space.variables))
    costs = WidthCosts(values_ms, space)
    states = np.indices([len(widths) for widths in space.choices]).reshape(2, -1).T
    totals_ms = values_ms[space.paths(states)].sum(axis=1)
    assert costs.mean_ms == pytest.approx(totals_ms.mean())
    for layer, widths in enumerate(space.choices):
        means = np.array([totals_ms[states[:, layer] == s].mean() for s in range(len(widths))])
        np.testing.assert_allclose(costs.curves_ms[layer], means - means[0])
    assert set(np.flatnonzero(space.occurring)) == set(space.paths(states).ravel())


@pytest.mark.parametrize("network", ["inverted", "basic", "constant"])
def test_ranges_are_of_whole_networks_where_layers_share_both_their_widths(network):
    """Oracle: all networks, enumerated; a block's inner width is read and written beside one."""
    space = SearchSpace(16, 4, 0.5, 1.5, 3, network=named(f"tests/helpers/networks/{network}.py"))
    values_ms = np.random.default_rng(0).integers(0, 4, len(space.variables)).astype(float)
    costs = WidthCosts(values_ms, space)
    states = np.indices([len(widths) for widths in space.choices]).reshape(len(space.choices), -1).T
    totals_ms = values_ms[space.paths(states)].sum(axis=1)
    always = {(each.layer, each.width): each.always for each in costs.dominated()}
    for step in costs.steps():
        widths = np.array(space.choices[step.layer - 1])[states[:, step.layer - 1]]
        differences_ms = totals_ms[widths == step.wide] - totals_ms[widths == step.narrow]
        assert step.mean_ms == pytest.approx(differences_ms.mean())
        assert step.least_ms == pytest.approx(differences_ms.min())
        assert step.greatest_ms == pytest.approx(differences_ms.max())
    for each in costs.dominated():
        widths = np.array(space.choices[each.layer - 1])[states[:, each.layer - 1]]
        differences_ms = totals_ms[widths == each.wider] - totals_ms[widths == each.width]
        assert always[each.layer, each.width] == (differences_ms.max() <= 1e-9)


def test_tiles_are_cliffs_and_the_steps_between_them_are_free():
    """Oracle: arithmetic in tiles of 32 channels only; every cliff is behind 32."""
    costs = costs_of(lambda inputs, outputs: -(-inputs // 32) * -(-outputs // 32))
    kinds = {(step.narrow, step.kind) for step in costs.notable_steps() if step.layer < 3}
    assert kinds == {(w, "cliff" if w == 32 else "free") for w in WIDTHS[:-1]}
    dominated = {(each.width, each.wider): each.always for each in costs.dominated()}
    assert {pair for pair in dominated if pair[0] != 64} >= {(8, 16), (40, 48)}
    assert all(dominated.values())
    assert 32 not in {width for width, _ in dominated}


def test_a_law_without_steps_has_none():
    costs = costs_of(lambda inputs, outputs: 1 + inputs + outputs + inputs * outputs / 10)
    assert {step.kind for step in costs.steps()} == {"usual"}
    assert costs.notable_steps() == []
    assert costs.dominated() == []


def test_a_wider_layer_that_is_faster_is_found_and_dominates():
    """Oracle: 40 channels cost as much as 20 would, whatever the neighbours are."""

    def law_ms(inputs, outputs):
        return sum(20 if channels == 40 else channels for channels in (inputs, outputs))

    costs = costs_of(law_ms)
    for layer in (1, 2, 3):
        faster = [s for s in costs.notable_steps() if (s.layer, s.kind) == (layer, "faster")]
        assert [(s.narrow, s.wide, s.mean_ms) for s in faster] == [(32, 40, -24)]
        found = [each for each in costs.dominated() if each.layer == layer]
        assert [(e.width, e.wider, e.saved_ms, e.always) for e in found] == [
            (24, 40, 8, True),
            (32, 40, 24, True),
        ]


def test_noise_alone_makes_no_steps():
    """Oracle: a device that obeys the law; what 300 noisy timings add is below the threshold."""
    space = SearchSpace(levels=5)
    device = SyntheticDevice(space, tile=1, bytes_per_ms=np.inf, overlap=0)
    rng = np.random.default_rng(1)
    configurations = [space.draw_uniform(rng) for _ in range(300)]
    samples = list(zip(configurations, device.measure(configurations, rng), strict=True))
    table = fit(samples, space, 100, strength=10)
    assert WidthCosts(table.values(space), space).notable_steps() == []
