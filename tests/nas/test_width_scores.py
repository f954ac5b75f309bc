"""Oracle: a plain twin of deques, one per layer and width."""

import itertools
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.width_scores import WidthLosses, monotone
from utils.errors import UserError


class PlainWidthLosses:
    def __init__(self, sizes, window):
        self.layers = len(sizes)
        self.windows = [[deque(maxlen=window) for _ in range(size)] for size in sizes]

    def record(self, states, losses, full_losses):
        for image, loss, full_loss in zip(states, losses, full_losses, strict=True):
            for layer, state in enumerate(image):
                self.windows[layer][state].append(-(loss - full_loss) / self.layers)

    def unary(self):
        return [
            [np.mean(window) if window else -np.inf for window in layer] for layer in self.windows
        ]


def batches(rng, sizes, number, images):
    for _ in range(number):
        states = rng.integers(sizes, size=(images, len(sizes)))
        yield states, rng.random(images), rng.random(images)


def assert_same_unary(found, expected):
    for row, means in zip(found, expected, strict=True):
        np.testing.assert_allclose(row[: len(means)], means, rtol=1e-6, atol=1e-7)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=40)
def test_means_equal_the_plain_twin(sizes, window, seed):
    fast, plain = WidthLosses(sizes, window), PlainWidthLosses(sizes, window)
    for batch in batches(np.random.default_rng(seed), sizes, 4, 5):
        fast.record(*batch)
        plain.record(*batch)
        assert_same_unary(fast.unary(), plain.unary())


def test_a_hand_written_batch():
    losses = WidthLosses([2, 2], window=10)
    losses.record(np.array([[0, 1], [0, 0]]), np.array([3.0, 5.0]), np.array([1.0, 1.0]))
    np.testing.assert_allclose(losses.unary(), [[-1.5, -np.inf], [-2.0, -1.0]])
    assert not losses.all_drawn()
    losses.record(np.array([[1, 1]]), np.array([1.0]), np.array([1.0]))
    assert losses.all_drawn()


@pytest.mark.parametrize("window", [3, 7, 100])
def test_a_checkpoint_continues_like_the_original(window):
    sizes = [3, 2, 4]
    rng = np.random.default_rng(0)
    original, plain = WidthLosses(sizes, 7), PlainWidthLosses(sizes, min(window, 7))
    for batch in batches(rng, sizes, 6, 5):
        original.record(*batch)
        plain.record(*batch)
    copy = WidthLosses.from_arrays(sizes, window, original.to_arrays(), saved_window=7)
    assert_same_unary(copy.unary(), plain.unary())
    if window == 7:
        for batch in batches(rng, sizes, 3, 5):
            copy.record(*batch)
            plain.record(*batch)
            assert_same_unary(copy.unary(), plain.unary())


@pytest.mark.parametrize("window", [3, 7, 100])
def test_a_checkpoint_in_between_leaves_no_trace(window):
    """Oracle: the arrays of a straight run, bit for bit, though its sums are rounded."""
    sizes, rng = [3, 2, 4], np.random.default_rng(0)
    straight, resumed = WidthLosses(sizes, window), WidthLosses(sizes, window)
    for states, losses, full_losses in batches(rng, sizes, 6, 5):
        scaled = losses * 10.0 ** rng.integers(-12, 9, len(losses))
        for each in (straight, resumed):
            each.record(states, scaled, full_losses)
        resumed = WidthLosses.from_arrays(sizes, window, resumed.to_arrays(), window)
        np.testing.assert_array_equal(resumed.unary(), straight.unary())
        for name, array in straight.to_arrays().items():
            np.testing.assert_array_equal(resumed.to_arrays()[name], array, err_msg=name)


def test_a_greater_window_fills_up_before_it_slides():
    """Oracle: a window that starts with the values that were left."""
    sizes, rng = [3, 2], np.random.default_rng(0)
    small = WidthLosses(sizes, 3)
    for batch in batches(rng, sizes, 6, 5):
        small.record(*batch)
    large = WidthLosses.from_arrays(sizes, 20, small.to_arrays(), 3)
    assert large.images().max() == 3
    plain = PlainWidthLosses(sizes, 20)
    for row, layer in zip(large._rings, plain.windows, strict=True):
        for ring, values in zip(row, layer, strict=False):
            values.extend(ring[:3].tolist())
    for batch in batches(rng, sizes, 20, 5):
        large.record(*batch)
        plain.record(*batch)
        assert_same_unary(large.unary(), plain.unary())


@given(st.integers(2, 30), st.integers(0, 99))
@settings(max_examples=30)
def test_standard_errors_are_those_of_a_pooled_deviation(window, seed):
    """Oracle: the plain twin's windows and the textbook's formula."""
    sizes = [3, 2]
    fast, plain = WidthLosses(sizes, window), PlainWidthLosses(sizes, window)
    for batch in batches(np.random.default_rng(seed), sizes, 3, 4):
        fast.record(*batch)
        plain.record(*batch)
    for row, layer in zip(fast.errors(), plain.windows, strict=True):
        drawn = [np.array(values) for values in layer if values]
        squares = sum(((values - values.mean()) ** 2).sum() for values in drawn)
        variance = squares / max(sum(map(len, drawn)) - len(drawn), 1)
        expected = [(variance / len(values)) ** 0.5 if values else 0 for values in layer]
        np.testing.assert_allclose(row[: len(layer)], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("window", [10_000, 960, 930])  # the last one cuts through runs
def test_standard_errors_allow_for_images_that_share_a_configuration(window):
    """Oracle: the deviation of the means of many repetitions, whose runs of 8 share an effect."""
    means, errors = [], []
    for seed in range(150):
        rng, losses = np.random.default_rng(seed), WidthLosses([2], window)
        states = rng.integers(2, size=(250, 1)).repeat(8, axis=0)
        values = rng.normal(size=250).repeat(8) + rng.normal(size=2000)
        for batch in range(0, 2000, 40):
            part = slice(batch, batch + 40)
            losses.record(states[part], values[part], np.zeros(40))
        means.append(losses.unary()[0])
        errors.append(losses.errors(run=8)[0])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(means, axis=0), rtol=0.15)
    assert np.mean(losses.errors()) < 0.6 * np.mean(errors)


@pytest.mark.parametrize(("window", "images"), [(1000, 16), (10, 200)])
def test_few_runs_of_images_have_no_standard_error_of_zero(window, images):
    """Oracle: the error of independent images, of which a run counts as one, or more."""
    losses, rng = WidthLosses([2], window), np.random.default_rng(0)
    states = np.arange(2).repeat(images // 2)[:, None]
    losses.record(states, rng.normal(size=images), np.zeros(images))
    run = images // 2
    np.testing.assert_allclose(losses.errors(run), losses.errors() * run**0.5)


def test_windows_of_another_search_space_are_refused():
    arrays = WidthLosses([3, 2], 5).to_arrays()
    with pytest.raises(ValueError, match="another search space"):
        WidthLosses.from_arrays([3, 2, 2], 5, arrays, 5)


def test_windows_that_contradict_themselves_are_refused():
    """Oracle: by hand: a width that a layer does not have."""
    losses = WidthLosses([3, 2], 5)
    losses.record(np.array([[0, 1]]), np.array([2.0]), np.array([1.0]))
    arrays = losses.to_arrays()
    counts = np.roll(arrays["counts"], 1, axis=1)
    with pytest.raises(ValueError, match="widths that a layer does not have"):
        WidthLosses.from_arrays([3, 2], 5, arrays | {"counts": counts}, 5)


def test_sums_that_are_missing_or_wrong_are_made_anew():
    """Oracle: the scores before."""
    losses = WidthLosses([3, 2], 5)
    losses.record(np.array([[0, 1]]), np.array([2.0]), np.array([1.0]))
    arrays = losses.to_arrays()
    wrong = arrays | {"sums": arrays.pop("sums") + 1}
    for each in (arrays, wrong):
        unary = WidthLosses.from_arrays([3, 2], 5, each, 5).unary()
        np.testing.assert_array_equal(unary, losses.unary())


@pytest.mark.parametrize("window", [10**15, 10**19])
def test_a_window_beyond_the_memory_is_named(window):
    """Oracle: the option is in the message."""
    with pytest.raises(UserError, match="GB: choose a smaller --window"):
        WidthLosses([3, 2], window)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_changes_nothing(bad):
    losses = WidthLosses([2], 5)
    losses.record(np.array([[0]]), np.array([2.0]), np.array([1.0]))
    before = losses.unary().copy()
    with pytest.raises(FloatingPointError):
        losses.record(np.array([[0], [1]]), np.array([1.0, bad]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(losses.unary(), before)


def nearest_rising(scores, images):
    """Return the nearest non-decreasing scores: the best of all cuts into blocks of equal value."""
    best, least = None, np.inf
    for cuts in itertools.product((False, True), repeat=len(scores) - 1):
        blocks = np.cumsum([False, *cuts])
        sums, weights = np.bincount(blocks, scores * images), np.bincount(blocks, images)
        fitted = (sums / weights)[blocks]
        error = (images * (fitted - scores) ** 2).sum()
        if (np.diff(fitted) >= 0).all() and error < least:
            best, least = fitted, error
    return best


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9)), min_size=1, max_size=7))
def test_scores_are_the_nearest_that_rise(pairs):
    scores, images = np.array(pairs, dtype=float).T
    (found,) = monotone([scores], [images])
    np.testing.assert_allclose(found, nearest_rising(scores, images), atol=1e-12)
    assert (np.diff(found) >= 0).all()


def test_widths_never_drawn_stay_so_and_do_not_count():
    (found,) = monotone([np.array([-np.inf, 3.0, -np.inf, 1.0])], [np.array([0, 1, 0, 3])])
    assert found.tolist() == pytest.approx([-np.inf, 1.5, -np.inf, 1.5])


def test_each_layer_by_itself_and_rising_means_are_left():
    means = [np.array([-0.3, -0.2, -0.1]), np.array([-np.inf, -np.inf])]
    first, second = monotone(means, [np.array([5, 1, 7]), np.zeros(2, dtype=int)])
    np.testing.assert_allclose(first, means[0])
    assert second.tolist() == [-np.inf, -np.inf]
