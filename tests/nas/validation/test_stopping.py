import math

import numpy as np

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.search_space import SearchSpace
from nas.validation.stopping import FIRST_CHECK, Verdict, judge, next_check

SPACE = SearchSpace(levels=3)


def verdict(device, count, target, seed=0):
    rng = np.random.default_rng(seed)
    configurations = [SPACE.draw_uniform(rng) for _ in range(count)]
    samples = list(zip(configurations, device.measure(configurations, rng), strict=True))
    return judge(samples, SPACE, target, np.random.default_rng(1))


def test_the_target_is_reached():
    """Oracle: a device with 1 % noise; 300 samples of a small space come close to it."""
    found = verdict(SyntheticDevice(SPACE), 300, target=0.02)
    assert found.stop
    assert found.reached
    assert 0.009 < found.nrmse < 0.02
    assert "the target of 2 % is reached" in str(found)


def test_noise_is_the_floor():
    """Oracle: 10 % noise; no number of samples brings the cross-validated error to 5 %."""
    found = verdict(SyntheticDevice(SPACE, noise=0.1), 1200, target=0.05)
    assert found.stop
    assert not found.reached
    assert found.exhausted
    assert "more samples do not help, what is left is the noise of the timings" in str(found)


def test_more_samples_are_wanted_while_they_help():
    """Oracle: a staircase without noise, of which 60 samples say little."""
    device = SyntheticDevice(SPACE, tile=64, noise=0)
    found = verdict(device, 60, target=0.001)
    assert not found.stop
    assert found.gain > 0.1
    assert "lowered it by" in str(found)


def test_an_uncertain_gain_does_not_stop():
    likely = Verdict(100, nrmse=0.03, standard_error=0.001, gain=0.02, gain_error=0.02, target=0.01)
    assert not likely.stop
    close = Verdict(100, nrmse=0.0095, standard_error=0.001, gain=0.1, gain_error=0, target=0.01)
    assert not close.stop


def test_a_target_is_reached_only_if_each_third_of_the_latency_range_reaches_it():
    reached = {"nrmse": 0.01, "standard_error": 0.001, "gain": 0.1, "gain_error": 0, "target": 0.02}
    assert Verdict(100, **reached, thirds=(0.019, 0.01, 0.01)).stop
    open_one = Verdict(100, **reached, thirds=(0.021, 0.01, 0.01))
    assert not open_one.stop
    assert "by latency, from fast to slow: 2.1, 1, 1 %" in str(open_one)
    few = Verdict(100, **reached, thirds=(math.nan, 0.01, 0.01))
    assert few.stop
    assert "by latency, from fast to slow: –, 1, 1 %" in str(few)


def test_checks_grow_with_the_samples():
    checks, samples = [], 0
    while samples < 8000:
        samples = next_check(samples)
        checks.append(samples)
    assert checks[:3] == [FIRST_CHECK, 70, 98]
    assert len(checks) == 17
