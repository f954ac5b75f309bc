"""The benchmark of all runtimes: its statistics by hand, and one pass on stand-ins."""

import sys

import numpy as np
import pytest

from benchmarks import runtimes
from benchmarks.runtimes import Pass, held_out_errors, measure, repeatability
from nas.search_space import SearchSpace
from tests.helpers import stand_in_timer
from tests.helpers.stand_in_device import StandInDevice, law_ms
from tests.helpers.stand_in_timer import law_ms as law_of_size_ms
from utils.devices.workload import Command

SPACE = SearchSpace(16, 10, levels=2)


def test_repeatability_is_blind_to_a_common_factor():
    """Oracle: by hand, logarithms of ratios 1.1 and 1 / 1.1 about 1."""
    first = np.array([1.0, 2.0])
    assert repeatability(Pass(first, 0), Pass(3 * first, 0)) == pytest.approx(0)
    swayed = first * [1.1, 1 / 1.1]
    assert repeatability(Pass(first, 0), Pass(swayed, 0)) == pytest.approx(100 * np.log(1.1))


def test_a_pass_measures_what_the_device_takes(monkeypatch):
    """Oracle: the stand-in's law; the drift of the machine is divided out."""
    monkeypatch.setattr(
        runtimes, "open_device", lambda name, workload: StandInDevice(workload, [2.0] * 40)
    )
    measured = measure("cpu", SPACE, 3, 6, None, 0)
    expected = [law_ms(each) for each in runtimes.configurations_of(SPACE, 3)]
    assert measured.latencies_ms == pytest.approx(expected, rel=1e-6)


def test_a_program_is_a_runtime_too():
    """Oracle: the stand-in's law of the file's size."""
    command = Command(f"{sys.executable} -I -S {stand_in_timer.__file__} {{onnx}} {{runs}}")
    measured = measure("command", SPACE, 2, 3, command, 0)
    rng = np.random.default_rng(0)
    networks = [SPACE.network_of(each) for each in runtimes.configurations_of(SPACE, 2)]
    sizes = [len(network.onnx(1, rng)) for network in networks]
    assert measured.latencies_ms == pytest.approx([law_of_size_ms(size) for size in sizes])


def test_a_device_that_is_not_usable_is_told_why():
    assert "needs --command" in measure("command", SPACE, 2, 3, None, 0)


def test_every_network_is_predicted_by_the_others_only(monkeypatch):
    """Oracle: a stand-in for the models, which answers with the mean of what it was fitted to."""
    latencies_ms = np.arange(1.0, 11.0)
    configurations = [(i,) for i in range(10)]
    seen = []

    def predictions(space, samples, others):
        assert not {configuration for configuration, _ in samples} & set(others)
        assert all(ms == configuration[0] + 1 for configuration, ms in samples)
        seen.extend(others)
        return {"exact": np.array([configuration[0] + 1.0 for configuration in others])}

    monkeypatch.setattr(runtimes, "predictions", predictions)
    assert held_out_errors(SPACE, configurations, latencies_ms) == {"exact": 0.0}
    assert sorted(seen) == configurations
