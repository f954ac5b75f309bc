"""Values from files: what is no JSON, or of another type, is one line with its place."""

import pytest
from msgspec import Struct

from utils.errors import UserError
from utils.json_types import Levels, Milliseconds, checked, parse_json


class Inner(Struct):
    b: list[Levels]


class Outer(Struct):
    a: Inner


TEXT = '{"device": "Intel®"}'


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "f: not JSON (maximum recursion depth exceeded)"),
        (b"7" * 5000, "f: not JSON (Exceeds the limit (4300"),
        (TEXT.encode("utf-16"), "f: not JSON (not UTF-8: "),
        (TEXT.encode("latin-1"), "f: not JSON (not UTF-8: "),
        (b'{\n"a": 1,\n"b"}', "f, line 3: not JSON ("),
        (b"", "f, line 1: not JSON ("),
    ],
)
def test_what_is_no_json_is_named(data, complaint):
    with pytest.raises(UserError) as error:
        parse_json(data, "f")
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="f, line 7: not JSON"):
        parse_json(data, "f", 7)


def test_utf_8_is_read_with_and_without_its_mark():
    assert parse_json(TEXT.encode(), "f") == parse_json(TEXT.encode("utf-8-sig"), "f")


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        ({"a": {"b": [1, "x"]}}, Outer, "f: a.b[1]: expected `int`, got `str`"),
        (True, Milliseconds, "f: expected `float`, got `bool`"),
        (float("nan"), Milliseconds, "f: expected `float` >= 1e-09"),
        (float("inf"), Milliseconds, "f: expected `float` <= 1000000000.0"),
        (10**400, Milliseconds, "f: number out of range"),
        (0, Levels, "f: expected `int` >= 1"),
    ],
)
def test_values_of_other_types_and_ranges_are_named(value, kind, complaint):
    with pytest.raises(UserError) as error:
        checked(value, kind, "f")
    assert str(error.value) == complaint
