"""Numbers that may be typed back: as limits they let their own network pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.formatting import as_typed, rounded_up, within

positive = st.floats(1e-300, 1e300)
NOISE = 1e-13  # which a search allows for


@given(positive)
def test_a_rounded_number_is_not_less_and_hardly_more(value):
    """Oracle: the number."""
    assert value * (1 - NOISE) <= float(rounded_up(value)) <= value * 1.0011
    assert rounded_up(float(rounded_up(value))) == rounded_up(value)


@given(positive)
def test_a_limit_is_told_exactly(value):
    """Oracle: the number."""
    assert float(as_typed(value)) == pytest.approx(value, rel=NOISE, abs=0)


@given(positive, positive)
def test_a_value_is_shown_within_its_limit(value, limit):
    """Oracle: the numbers' own order."""
    shown = float(within(value, limit))
    assert shown >= value * (1 - NOISE)
    if value <= limit:
        assert shown <= limit * (1 + NOISE)


def test_by_hand():
    """Oracle: by hand; nothing is rounded that has no more than four digits but noise."""
    shown = [rounded_up(value) for value in (0.077291, 0.07729, 0.1 + 0.2, 1234567, 0.99996, 0, 12)]
    assert shown == ["0.0773", "0.07729", "0.3", "1.235e+06", "1", "0", "12"]
    assert [as_typed(limit) for limit in (0.3, 1e6, 0.12345678)] == ["0.3", "1e+06", "0.12345678"]
    assert as_typed(0.1 + 0.2) == "0.3"
    assert within(0.123435, 0.12344) == "0.12344"
