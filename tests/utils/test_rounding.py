"""Numbers that may be typed back: as limits they let their own network pass."""

from hypothesis import given
from hypothesis import strategies as st

from utils.rounding import as_typed, rounded_up, within

positive = st.floats(1e-300, 1e300)


@given(positive)
def test_a_rounded_number_is_never_less_and_hardly_more(value):
    """Oracle: the number."""
    assert value <= float(rounded_up(value)) <= value * 1.0011
    assert rounded_up(float(rounded_up(value))) == rounded_up(value)


@given(positive)
def test_a_limit_is_told_exactly(value):
    """Oracle: the number."""
    assert float(as_typed(value)) == value


@given(positive, positive)
def test_a_value_is_shown_within_its_limit(value, limit):
    """Oracle: the numbers' own order."""
    shown = float(within(value, limit))
    assert shown >= value
    assert (shown <= limit) == (value <= limit)


def test_by_hand():
    """Oracle: by hand; nothing is rounded that has no more than four digits."""
    shown = [rounded_up(value) for value in (0.077291, 0.07729, 0.1, 1234567, 0.99996, 0, 12)]
    assert shown == ["0.0773", "0.07729", "0.1", "1.235e+06", "1", "0", "12"]
    assert [as_typed(limit) for limit in (0.1, 1e6, 0.12345678)] == ["0.1", "1e+06", "0.12345678"]
    assert within(0.123435, 0.12344) == "0.12344"
