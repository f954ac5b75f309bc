import itertools

import numpy as np
import pytest

from nas.sampling import BiasedSampler, _most
from nas.search_space import SearchSpace
from networks import named
from networks.mobilenet_v1 import BASE_WIDTHS
from utils.errors import UserError

TINY = SearchSpace(
    input_size=8, classes=5, min_width=0.5, max_width=1.5, levels=3,
    base_widths=(16, 16, 16), strides=(2, 1, 1),
)  # fmt: skip


def test_the_default_space_has_the_published_size():
    space = SearchSpace()
    assert space.sizes.tolist() == [6, 11] + [14] * 12
    assert len(space.blocks) == 15
    assert sum(block.size for block in space.blocks) == 2396
    assert len(space.variables) == 1612


def test_choices_follow_the_formula_at_every_width():
    space = SearchSpace(min_width=0.3, max_width=1.1, levels=9)
    for base, widths in zip(BASE_WIDTHS, space.choices, strict=True):
        formula = 8 * np.maximum(1, np.round(base * np.linspace(0.3, 1.1, 9) / 8))
        assert widths == tuple(np.unique(formula).astype(int))


def test_base_widths_that_are_no_multiples_of_8_are_those_of_multiplier_1():
    """Oracle: by hand: 8, 16 and 24 are nearest to 20 times 0.5, 0.75 and 1.25; 4 is below 8."""
    space = SearchSpace(32, 10, 0.5, 1.25, 4, base_widths=(20, 4, 13), strides=(1, 1, 1))
    assert space.description.scaled(1) == (20, 4, 13)
    assert space.choices == ((8, 16, 20, 24), (4, 8), (8, 13, 16))
    missing = SearchSpace(32, 10, 0.1, 1.2, 12, base_widths=(20, 4, 13), strides=(1, 1, 1))
    assert all(base in widths for base, widths in zip((20, 4, 13), missing.choices, strict=True))


def test_tiny_space_by_hand():
    assert TINY.choices == ((8, 16, 24),) * 3
    # Layers 2 and 3 are of the same type on the same map: they share their 9 variables.
    assert len(TINY.variables) == 3 + 9 + 3
    np.testing.assert_array_equal(TINY.blocks[1], TINY.blocks[2])
    first = TINY.variables[0]
    assert (first.in_size, first.kernel_size, first.stride, first.dw, first.bias) == (
        (8, 8), 3, 2, False, False,
    )  # fmt: skip
    last = TINY.variables[-1]
    assert (last.in_size, last.kernel_size, last.in_channels, last.out_channels, last.bias) == (
        (1, 1), 1, 24, 5, True,
    )  # fmt: skip


def test_states_and_configuration_are_inverse():
    space = SearchSpace()
    rng = np.random.default_rng(0)
    for _ in range(20):
        configuration = space.draw_uniform(rng)
        assert space.configuration(space.states(configuration)) == configuration


def test_widths_of_many_images_are_their_configurations():
    space = SearchSpace()
    states = np.random.default_rng(0).integers(space.sizes, size=(5, 14))
    assert [tuple(row) for row in space.widths(states)] == [space.configuration(s) for s in states]


def test_wrong_configurations_are_explained():
    space = SearchSpace()
    with pytest.raises(UserError, match="has 13 widths, the search space has 14 layers"):
        space.states(space.largest[:-1])
    wrong = (*space.largest[:2], 20, *space.largest[3:])
    with pytest.raises(UserError, match="width 20 is not in layer 3: choose from 24, 40, "):
        space.states(wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {"input_size": 0},
        {"classes": 1},
        {"min_width": 0.0},
        {"levels": 0},
        {"levels": 1},
        {"max_width": 0.1},
    ],
)
def test_impossible_spaces_are_refused(fields):
    with pytest.raises(UserError):
        SearchSpace(**fields)


def test_a_space_survives_its_metadata():
    for space in (SearchSpace(input_size=32, classes=10, levels=5), TINY):
        assert SearchSpace.from_dict(space.as_dict()) == space
    with pytest.raises(UserError, match="unknown field 'colour'"):
        SearchSpace.from_dict({"colour": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input_size", "32"),
        ("input_size", 10**6),
        ("classes", [10]),
        ("min_width", True),
        ("max_width", float("inf")),
        ("max_width", 10**400),
        ("levels", 3.5),
        ("base_widths", [32, "64"]),
        ("base_widths", [32, 0]),
        ("strides", 2),
    ],
)
def test_a_field_of_another_type_or_range_is_named(name, value):
    with pytest.raises(UserError, match=f"^search space: {name}(\\[1\\])?: "):
        SearchSpace.from_dict({name: value})


def test_uniform_draws_are_uniform_in_every_layer():
    space = SearchSpace()
    rng = np.random.default_rng(0)
    states = np.array([space.states(space.draw_uniform(rng)) for _ in range(4000)])
    for layer, size in enumerate(space.sizes):
        shares = np.bincount(states[:, layer], minlength=size) / len(states)
        assert np.abs(shares - 1 / size).max() < 5 * np.sqrt(1 / size / len(states))


def test_biased_draws_see_every_variable_early_and_do_not_prefer_the_smallest_width():
    space = SearchSpace()
    sampler = BiasedSampler(space)
    rng = np.random.default_rng(0)
    states = []
    for draw in range(8000):
        states.append(space.states(sampler.draw(rng)))
        if draw + 1 == 250:
            assert sampler.counts.min() >= 1
    smallest = (np.array(states) == 0).mean(axis=0)
    assert (smallest <= 1.5 / space.sizes).all(), smallest * space.sizes


def test_biased_sampling_resumes_where_the_earlier_draws_ended():
    space = SearchSpace()
    whole, rng = BiasedSampler(space), np.random.default_rng(0)
    drawn = [whole.draw(rng) for _ in range(30)]
    resumed = BiasedSampler(space, drawn[:20])
    for configuration in drawn[20:]:
        np.add.at(resumed.counts, space.path(configuration), 1)
    np.testing.assert_array_equal(resumed.counts, whole.counts)


def test_a_biased_draw_is_uniform_among_the_enumerated_best_paths():
    sampler = BiasedSampler(TINY)
    rng = np.random.default_rng(3)
    for _ in range(4):  # leave some variables seen and some not
        sampler.draw(rng)
    counts = sampler.counts.copy()
    paths = list(itertools.product(range(3), repeat=3))
    seen = [(counts[TINY.paths(np.array([path]))[0]] == counts.min()).sum() for path in paths]
    best = {path for path, number in zip(paths, seen, strict=True) if number == max(seen)}
    assert 1 < len(best) < len(paths)
    drawn = (_most(sampler._gains(), sampler._transitions, rng.random(5)) for _ in range(4000))
    draws = [tuple(states) for states, _ in drawn]
    assert set(draws) == best
    shares = np.array([draws.count(path) for path in best]) / len(draws)
    expected = 1 / len(best)
    assert np.abs(shares - expected).max() < 5 * np.sqrt(expected / len(draws))


def test_biased_draws_of_a_network_with_shared_widths_see_every_variable_early():
    """Oracle: draws without bias see fewer; a draw holds each shared width once."""
    space = SearchSpace(32, 4, 0.5, 1.5, 3, network=named("tests/helpers/networks/inverted.py"))
    sampler, rng = BiasedSampler(space), np.random.default_rng(0)
    for _ in range(9):  # the greatest number of pairs of a layer
        configuration = sampler.draw(rng)
        assert space.states(configuration).shape == (5,)
    seen = {variable for _ in range(9) for variable in space.path(space.draw_uniform(rng))}
    assert (sampler.counts > 0).sum() > len(seen)
    for _ in range(9):
        sampler.draw(rng)
    assert sampler.counts.min() >= 1


def test_biased_draws_look_at_variables_that_networks_hold_only():
    """Oracle: 4 × 4 pairs of the last convolution need 16 draws, or few more, not 16 in 40."""
    space = SearchSpace(32, 4, 0.5, 2, 4, network=named("tests/helpers/networks/equal.py"))
    sampler, rng = BiasedSampler(space), np.random.default_rng(0)
    for _ in range(20):
        sampler.draw(rng)
    assert sampler.counts[space.occurring].min() >= 1
    assert not sampler.counts[~space.occurring].any()
