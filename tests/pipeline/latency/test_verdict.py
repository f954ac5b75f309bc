import numpy as np
import pytest

from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from pipeline.latency.verdict import Verdict, noise_of, reference_of
from utils.devices.bench import Timed
from utils.devices.timing import Measurement
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, levels=3)
METADATA = Metadata.of({"search_space": SPACE.as_dict(), "reference_ms": 2.0, "threads": 1})
TABLE = LatencyTable(dict.fromkeys(SPACE.variables, 0.1), METADATA, "t.jsonl")


def test_a_verdict_within_two_standard_errors_is_left_open():
    """Oracle: by hand; the latency is 2 % below the target."""
    assert Verdict(0.98, 1.0, 0.005).name == "met"
    assert Verdict(0.98, 1.0, 0.02).name == "undecided"
    assert Verdict(1.1, 1.0, 0.02).name == "missed"
    text = str(Verdict(0.98, 1.0, 0.005))
    assert text == "target 1 ms: met, -2.0% from it, with a noise of ± 0.5%"


def test_the_noise_is_that_of_the_network_and_of_the_reference():
    """Oracle: the standard error of a mean of n normal times, 10 % / √n of it each."""
    rng = np.random.default_rng(1)
    one, other = (Measurement(tuple(1 + 0.1 * rng.standard_normal(400))) for _ in range(2))
    timed = Timed(one, other)
    assert noise_of(timed, "mean", is_scaled=False) == pytest.approx(0.005, rel=0.2)
    assert noise_of(timed, "mean", is_scaled=True) == pytest.approx(0.005 * 2**0.5, rel=0.2)


def test_a_single_time_leaves_the_verdict_open():
    once, other = Measurement((1.0,)), Measurement((1.0, 1.1))
    for timed in (Timed(once, other), Timed(other, once)):
        assert noise_of(timed, "mean", is_scaled=True) == np.inf
    verdict = Verdict(1.0, 2.0, np.inf)
    assert verdict.name == "undecided"
    assert (
        str(verdict)
        == "target 2 ms: undecided, -50.0% from it, with unknown noise: it was timed once"
    )


def test_few_digits_leave_a_close_verdict_open():
    """Oracle: by hand: 0.6 ms may be 0.55 to 0.65 ms, uniformly: ± 0.1 ms / √12."""
    printed = Timed(Measurement((0.6e-3,) * 5), Measurement((1.0,) * 5))
    noise = noise_of(printed, "median", is_scaled=False)
    assert noise == pytest.approx(0.1 / 12**0.5 / 0.6)
    assert Verdict(0.6, 0.595, noise).name == "undecided"
    assert Verdict(0.6, 0.5, noise).name == "missed"


def test_latencies_are_scaled_only_to_a_known_speed_in_the_same_conditions(capsys):
    assert reference_of(TABLE, METADATA, None) == 2.0
    assert reference_of(TABLE, METADATA.stating(threads=2), None) is None
    assert reference_of(None, METADATA, 1.0) is None
    unknown = TABLE.with_metadata(METADATA.without("reference_ms"))
    assert reference_of(unknown, METADATA, None) is None
    assert capsys.readouterr().err == ""
    assert reference_of(unknown, METADATA, 1.0) is None
    assert "t.jsonl does not state the latency of the reference" in capsys.readouterr().err
