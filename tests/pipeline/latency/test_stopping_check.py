import numpy as np

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.search_space import SearchSpace
from pipeline.latency.stopping_check import StoppingCheck

SPACE = SearchSpace(input_size=32, classes=10, levels=3)


def recorded(count, drift=0.0, noise=0.01):
    rng = np.random.default_rng(0)
    configurations = [SPACE.draw_uniform(rng) for _ in range(count)]
    latencies_ms = SyntheticDevice(SPACE, noise=noise).measure(configurations, rng)
    references_ms = 1 + drift * rng.uniform(-1, 1, count)
    return [
        (configuration, latency_ms * reference_ms, {"reference_ms": reference_ms})
        for configuration, latency_ms, reference_ms in zip(
            configurations, latencies_ms, references_ms, strict=True
        )
    ]


def test_no_target_never_stops_and_too_few_samples_are_not_checked(capsys):
    assert not StoppingCheck(None, SPACE, False, 0).stops(recorded(100))
    assert not StoppingCheck(0.5, SPACE, False, 0).stops(recorded(49), last=True)
    few = "49 different networks are too few to check --until 50: 50 are needed"
    printed = capsys.readouterr()
    assert (few in printed.err, printed.out) == (True, "")


def test_repetitions_of_few_networks_are_not_checked(capsys):
    assert not StoppingCheck(0.5, SPACE, False, 0).stops(recorded(3) * 30)
    assert capsys.readouterr().out == ""


def test_a_reached_target_stops_and_says_so(capsys):
    assert StoppingCheck(0.05, SPACE, False, 0).stops(recorded(100))
    assert "the target of 5 % is reached" in capsys.readouterr().out


def test_the_next_check_is_due_after_more_samples_unless_it_is_the_last(capsys):
    check = StoppingCheck(0.001, SPACE, False, 0)
    samples = recorded(60)
    assert not check.stops(samples[:50])
    capsys.readouterr()
    check.stops(samples)
    assert capsys.readouterr().out == ""
    check.stops(samples, last=True)
    assert "60 samples" in capsys.readouterr().out


def test_drift_of_samples_timed_in_rounds_is_divided_out():
    """Oracle: 10 % drift hides a target of 5 % unless the reference network tells it."""
    samples = recorded(100, drift=0.2)
    assert StoppingCheck(0.05, SPACE, True, 0).stops(samples)
    assert not StoppingCheck(0.05, SPACE, False, 0).stops(samples)
