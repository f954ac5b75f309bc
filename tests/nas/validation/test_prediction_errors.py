import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.validation.conformal import Interval
from nas.validation.prediction_errors import (
    errors_by_thirds,
    prediction_errors,
    spearman,
    spearman_interval,
    worst_networks,
)
from utils.errors import UserError
from utils.formatting import percent, rounded


def test_errors_by_hand():
    errors = prediction_errors([1.0, 2.0, 6.0], [1.0, 4.0, 4.0])
    assert errors.networks == 3
    assert errors.rmse_ms == pytest.approx(np.sqrt(8 / 3))
    assert errors.nrmse == pytest.approx(np.sqrt(8 / 3) / 3)
    assert errors.largest_ms == 2.0


def test_errors_by_thirds_by_hand():
    """From 1 to 8 ms the thirds end at 2 and 4 ms; an edge belongs to the slower third."""
    predicted_ms = [1.0, 1.1, 4.0, 8.0]
    measured_ms = [1.0, 1.0, 5.0, 8.0]
    interval = Interval(level=0.9, half_width=0.05, residuals=20)
    fast, middle, slow = errors_by_thirds(predicted_ms, measured_ms, interval=interval)
    assert (fast.low_ms, fast.high_ms, slow.high_ms) == pytest.approx((1, 2, 8))
    assert (fast.networks, middle.networks, slow.networks) == (2, 0, 2)
    assert (fast.mean, fast.largest) == pytest.approx((0.05, 0.1))
    assert slow.rms == pytest.approx(0.2 / np.sqrt(2))
    assert slow.largest == pytest.approx(-0.2)
    assert (fast.inside, slow.inside) == (0.5, 0.5)
    assert np.isnan([middle.rms, middle.mean, middle.largest, middle.inside]).all()


def test_thirds_hold_all_networks_and_need_one():
    """Oracle: the counts."""
    thirds = errors_by_thirds([0.5, 3.0, 30.0], [0.5, 3.0, 30.0])
    assert [third.networks for third in thirds] == [1, 1, 1]
    assert np.isnan(thirds[0].inside)
    with pytest.raises(UserError, match="no network"):
        errors_by_thirds([], [])


def test_rank_correlation_equals_scipys_with_ties():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, 40), rng.integers(0, 5, 40)
    expected = spearmanr(first, second).statistic
    assert prediction_errors(first + 1, second + 1).rank_correlation == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 1, 1], [1, 2, 3], np.nan),
        ([1, 2, 3], [2, 2, 2], np.nan),
        ([1], [2], np.nan),
        ([1, 2], [3, 4], 1),
        ([1, 2], [4, 3], -1),
        ([1, 2, np.inf], [1, 2, 3], 1),
    ],
)
def test_rank_correlation_of_few_or_equal_values_comes_without_a_warning(first, second, expected):
    """Oracle: by hand."""
    assert spearman(first, second) == pytest.approx(expected, nan_ok=True)


def test_one_network_has_no_rank_correlation_and_none_is_an_error():
    assert np.isnan(prediction_errors([1.0], [2.0]).rank_correlation)
    with pytest.raises(UserError, match="no network"):
        prediction_errors([], [])
    with pytest.raises(ValueError, match="predictions of"):
        prediction_errors([1.0, 2.0], [1.0])


def test_interval_of_the_rank_correlation():
    """Oracle: the interval of Bonett and Wright (2000) for pairs of normal distribution."""
    rng = np.random.default_rng(0)
    first, second = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 300).T
    found = spearman(first, second)
    error = np.sqrt((1 + found**2 / 2) / (300 - 3))
    expected = np.tanh(np.arctanh(found) + 1.645 * error * np.array([-1, 1]))
    assert spearman_interval(first, second, rng) == pytest.approx(expected, abs=0.02)
    assert spearman_interval([1, 2, 3], [4, 5, 6], rng) == pytest.approx((1, 1))
    assert np.isnan(spearman_interval([1, 2, 3], [4, 4, 4], rng)).all()


def test_worst_networks_come_first_and_ties_in_order():
    assert worst_networks([1, 5, 3, 9], [1, 4, 4, 6], count=3) == [3, 1, 2]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0313, "3.13"), (0.015, "1.5"), (0.1, "10"), (1, "100"), (0, "0")]
)
def test_shares_as_per_cent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(316.2277, "316"), (316227.766, "316000"), (0.1, "0.1"), (1e5, "100000"), (0, "0")],
)
def test_numbers_of_three_digits(value, text):
    assert rounded(value) == text


def test_thirds_of_predictions_of_0_have_edges():
    """Oracle: a table most of whose entries are 0 predicts 0 for most networks."""
    fast, _, slow = errors_by_thirds([0.0, 0.0, 2.0], [1.0, 1.0, 1.0])
    assert (fast.networks, slow.networks) == (2, 1)
    assert fast.rms == 1
