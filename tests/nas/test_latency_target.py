import itertools

import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.constraint import Constraint
from nas.interpolation import Place
from nas.latency_table import LatencyTable
from nas.latency_target import (
    all_multipliers,
    feasible_uniform,
    parse_target,
)
from nas.search_space import SearchSpace
from utils.errors import UserError

SPACE = SearchSpace(32, 10)
ODD = (20, 4, 50, 100, 13, 100, *[36] * 6, 500, 1000)  # base widths, few of them multiples of 8
DEVICE = SyntheticDevice(SPACE)
TABLE = LatencyTable({v: DEVICE.layer_ms(v) for v in SPACE.variables})
PAIRWISE = TABLE.pairwise(SPACE)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("0.04", 0.04, "ms"),
        (" 4e-2 ms", 0.04, "ms"),
        ("60%", 60, "%"),
        (".5 %", 0.5, "%"),
        ("0.6xMOBILENET", 0.6, "x"),
        ("0.6 × MobileNet", 0.6, "x"),
        ("MOBILENET", 1, "x"),
        ("0.5xMY NET", 0.5, "x"),
        ("0.5 x 2NET", 0.5, "x"),
        ("ÉTÉ", 1, "x"),
        ("M", 1, "x"),
    ],
)
def test_targets_as_people_state_them(text, number, unit):
    target = parse_target(text)
    assert (target.number, target.unit) == (number, unit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0xMOBILENET", "greater than 0"),
        ("0%", "greater than 0"),
        ("0", "greater than 0"),
        ("1e999", "finite"),
        ("101%", "more than the widest network"),
        ("-1", "is none of 0.04"),
        ("nan", "is none of"),
        ("", "is none of"),
        ("%", "is none of"),
        ("0.6x", "is none of"),
        ("0.6MOBILENET", "is none of"),
        ("0.6x-1", "is none of"),
        ("mine", "is none of"),
    ],
)
def test_other_targets_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_target(text)


def test_targets_are_resolved_by_the_table():
    """Oracle: the table's prediction of the networks that are meant."""
    assert parse_target("0.04").resolve(SPACE, PAIRWISE) == 0.04
    largest_ms = TABLE.predict(SPACE.largest)
    assert parse_target("60%").resolve(SPACE, PAIRWISE) == pytest.approx(0.6 * largest_ms)
    expected_ms = TABLE.predict(SPACE.description.scaled(0.6))
    assert parse_target("0.6xMOBILENET").resolve(SPACE, PAIRWISE) == pytest.approx(expected_ms)
    with pytest.raises(UserError, match=r"0\.6xRESNET"):
        parse_target("0.6xRESNET").resolve(SPACE, PAIRWISE)
    with pytest.raises(UserError, match=r"3xMOBILENET has width 96 in layer 1.* 8 to 48"):
        parse_target("3xMOBILENET").resolve(SPACE, PAIRWISE)


def test_between_choices_latencies_are_interpolated():
    """Oracle: by hand in a space of two layers and widths 8 and 16, 80 and 160."""
    space = SearchSpace(32, 10, 1, 2, 2, base_widths=(8, 80), strides=(1, 1))
    pairwise = [np.array([[1.0, 2.0], [5.0, 10.0]])]
    for widths, expected in (((8, 80), 1), ((8, 120), 1.5), ((16, 100), 6.25), ((12, 120), 4.5)):
        assert Place(space, widths).value(pairwise) == expected


def test_every_step_of_eight_channels_has_a_multiplier():
    """Oracle: multipliers in steps of 0.0005."""
    wanted = {SPACE.description.scaled(m) for m in np.arange(0.2, 1.5, 0.0005)} | {
        SPACE.description.scaled(1.5)
    }
    found = [SPACE.description.scaled(multiplier) for multiplier in all_multipliers(SPACE)]
    assert wanted <= set(found)
    assert len(found) == len(set(found))
    for narrow, wide in itertools.pairwise(found):
        assert all(a <= b for a, b in zip(narrow, wide, strict=True))


@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v2", "odd"])
def test_multipliers_have_as_few_decimals_as_possible_and_miss_no_network(network):
    """Oracle: all multipliers of three decimals; halves round to even at steps such as 0.375."""
    if network == "odd":
        space = SearchSpace(32, 10, 0.2, 1.5, 14, base_widths=ODD)
    else:
        space = SearchSpace(32, 10, 0.2, 1.5, 14, network=network)
    found = {space.description.scaled(m): m for m in all_multipliers(space)}
    for decimals in (1, 2, 3):
        for number in range(2 * 10 ** (decimals - 1), 15 * 10 ** (decimals - 1) + 1):
            multiplier = round(number / 10**decimals, decimals)
            given = found[space.description.scaled(multiplier)]
            assert given == round(given, decimals)


def test_feasible_uniform_networks_begin_with_the_widest_that_satisfies_all_constraints():
    """Oracle: the next wider one does not; one level of the space is wider than the coarse one."""
    limit_ms = 0.999 * TABLE.predict(SPACE.description.scaled(0.6))
    loose = Constraint(PAIRWISE, 99.0)
    found = next(feasible_uniform(SPACE, [Constraint(PAIRWISE, limit_ms), loose]))
    assert found.values[0] <= limit_ms
    multipliers = all_multipliers(SPACE)
    wider = multipliers[multipliers.index(found.multiplier) + 1]
    assert Place(SPACE, SPACE.description.scaled(wider)).value(PAIRWISE) > limit_ms
    assert 0.5 < found.multiplier < 0.6
    assert not list(feasible_uniform(SPACE, [Constraint(PAIRWISE, 1e-6)]))


@pytest.mark.parametrize(
    "network", ["mobilenet_v2", "resnet18", "tests/helpers/networks/constant.py"]
)
def test_where_layers_share_widths_costs_are_interpolated_layer_by_layer(network):
    """Oracle: each layer's block at the weights of its own two widths, one layer at a time."""
    space = SearchSpace(32, 10, levels=3, network=network)
    values = np.random.default_rng(0).random(len(space.variables))
    entries = dict(zip(space.variables, values, strict=True))
    table = LatencyTable(entries)
    pairwise = table.pairwise(space)

    def weights(channels, configuration):
        if isinstance(channels, int):
            return np.ones(1)
        number = space.description.widths.index(channels)
        units = np.eye(len(space.choices[number]))
        at = (configuration[number], space.choices[number])
        return np.array([np.interp(*at, unit) for unit in units])

    for multiplier in (0.2, 0.43, 0.7, 1.21, 1.5):
        widths = space.description.scaled(multiplier)
        expected = sum(
            weights(layer.inputs, widths) @ values[block] @ weights(layer.outputs, widths)
            for layer, block in zip(space.description.layers, space.blocks, strict=True)
        )
        assert Place(space, widths).value(pairwise) == pytest.approx(expected, rel=1e-12)
    largest_ms = values[space.path(space.largest)].sum()
    assert parse_target("100%").resolve(space, pairwise) == pytest.approx(largest_ms)
    found = list(feasible_uniform(space, [Constraint(pairwise, np.inf)]))
    assert found[0].configuration == space.largest
    assert len(found) == len(all_multipliers(space))
