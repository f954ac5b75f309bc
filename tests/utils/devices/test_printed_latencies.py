"""What programs print, against numbers written by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.devices.printed_latencies import last_line, parse_pattern, printed_latencies_s
from utils.errors import UserError


@pytest.mark.parametrize(
    ("output", "pattern", "expected_s"),
    [
        ("1.5\n", None, [1.5e-3]),
        ("\n 1.5 \r\n\n2e1\n", None, [1.5e-3, 20e-3]),
        ("[1.5, 2]", None, [1.5e-3, 2e-3]),
        ("\n[1.5,\n 2]\n", None, [1.5e-3, 2e-3]),
        ("median: 3 ms\nmin: 2 ms", r"median: (\d+) ms", [3e-3]),
        ("run 3 ms\nrun 4 ms", r"^run (\d+) ms$", [3e-3, 4e-3]),
        ("avg=3000 us", r"avg=(?P<us>\d+)", [3e-3]),
        ("avg=3 s", r"avg=(?P<s>\d+)", [3.0]),
        ("avg=3 ms avg=4 us", r"avg=(?:(?P<ms>\d+) ms|(?P<us>\d+) us)", [3e-3, 4e-6]),
        ("run 7: 3 us", r"run (\d): (?P<us>\d)", [3e-6]),
    ],
)
def test_latencies_are_read(output, pattern, expected_s):
    compiled = pattern and parse_pattern(pattern)
    assert printed_latencies_s(output, "9 not these\n", compiled) == pytest.approx(expected_s)


def test_a_pattern_searches_both_streams():
    pattern = parse_pattern(r"took (\d+)")
    assert printed_latencies_s("took 1", "took 2", pattern) == pytest.approx([1e-3, 2e-3])


@pytest.mark.parametrize(
    ("output", "pattern", "complaint"),
    [
        ("", None, "printed no latency, nothing at all"),
        ("[]", None, "printed no latency, but ended in '[]'"),
        ("hello\nbye", r"took (\d+)", "printed no latency, but ended in 'bye'"),
        ("1.5\nfast", None, "printed 'fast' where a latency was expected: --command-pattern"),
        ("1,5", None, "printed '1,5' where"),
        ("1_234.5", None, "printed '1_234.5' where"),
        ("１２", None, "printed '１２' where"),
        ("1.5 ms", None, "printed '1.5 ms' where"),
        ("[1, null]", None, "printed 'None' where"),
        ("[1, true]", None, "printed 'True' where"),
        ('["a"]', None, "printed 'a' where"),
        ("[[1]]", None, "printed '[1]' where"),
        ("[1, 2", None, "printed no JSON array"),
        ("nan", None, "printed the latency nan, which is not positive and finite"),
        ("[NaN]", None, "printed the latency nan, which is not"),
        ("-1", None, "printed the latency -1, which is not"),
        ("0", None, "printed the latency 0, which is not"),
        ("1e400", None, "printed the latency 1e400, which is not"),
        ("inf", None, "printed the latency inf, which is not"),
        ("took 1", r"took (\d)(x)?|(y)", None),
        ("y", r"took (\d)|(y)", "printed 'None' where"),
    ],
)
def test_what_is_no_latency_is_named(output, pattern, complaint):
    compiled = pattern and parse_pattern(pattern)
    if complaint is None:
        assert printed_latencies_s(output, "", compiled) == [1e-3]
        return
    with pytest.raises(UserError) as caught:
        printed_latencies_s(output, "", compiled)
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        assert all(0 < each < math.inf for each in printed_latencies_s(text))
    except UserError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("(", "is not a regular expression"),
        ("median", "has no group, such as in"),
        ("(?P<usec>[0-9]+)", "names the group usec, which is no unit: s, ms, us, ns"),
    ],
)
def test_a_pattern_must_have_a_group_of_a_unit(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_pattern(text)


def test_the_last_line_is_short_and_without_control_characters():
    assert last_line("a\n\x1b[31mred\t one\n\n") == "?[31mred one"
    assert len(last_line("x" * 10**5)) < 310
    assert last_line("\n \n") == ""
