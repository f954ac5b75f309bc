"""Measuring groups of networks on a stand-in device whose latencies are known."""

import time
from dataclasses import asdict

import numpy as np
import pytest

from nas.search_space import SearchSpace
from networks.mobilenet_v1 import BASE_WIDTHS
from networks.mobilenet_v1 import network as mobilenet_v1
from pipeline.latency.samples import drift, sample_line
from tests.helpers.stand_in_device import StandInDevice, law_ms
from utils.devices.bench import Bench, Protocol, usual_rounds
from utils.devices.workload import Workload
from utils.errors import UserError

WORKLOAD = Workload(batch_size=4, input_size=32, classes=10)
SPACE = SearchSpace(32, 10)


def draw(count):
    rng = np.random.default_rng(0)
    return [SPACE.draw_uniform(rng) for _ in range(count)]


def measure(protocol, configurations, device):
    networks = [SPACE.network_of(configuration) for configuration in configurations]
    rng, reference = np.random.default_rng(0), SPACE.reference
    with Bench(device, reference, WORKLOAD, protocol, rng) as bench:
        return list(bench.time_groups(networks, SPACE.network_of(SPACE.largest)))


@pytest.mark.parametrize("rounds", [0, 4])
def test_latencies_are_the_devices(rounds):
    """The stand-in's law is the oracle, per image at batch size 4."""
    protocol = Protocol(iterations=8, warmup=2, rounds=rounds)
    device = StandInDevice(WORKLOAD)
    for group, timed in measure(protocol, draw(7), device):
        for network, one in zip(group, timed, strict=True):
            widths, latency_ms, details = sample_line(network, one, WORKLOAD, protocol)
            assert tuple(widths) == network.configuration
            assert latency_ms == pytest.approx(law_ms(widths), rel=1e-5)
            assert len(details["times_ms"]) == 8
            assert details["reference_ms"] == pytest.approx(
                law_ms(mobilenet_v1(2).scaled(0.75)), rel=1e-5
            )
            assert details["median_ms"] == details["mean_ms"] == details["min_ms"] == latency_ms


@pytest.mark.parametrize(("rounds", "sizes"), [(0, [1] * 7), (3, [3, 3, 1])])
def test_networks_are_measured_in_groups_and_all_are_released(rounds, sizes):
    protocol = Protocol(iterations=3, warmup=0, rounds=rounds, group_size=3)
    device = StandInDevice(WORKLOAD)
    groups = measure(protocol, draw(7), device)
    assert [len(group) for group, _ in groups] == sizes
    assert [each.configuration for group, _ in groups for each in group] == draw(7)
    assert sorted(device.released) == sorted(device.prepared)
    assert len(device.prepared) == 8  # and the reference


def test_a_failure_releases_what_was_prepared():
    class Failing(StandInDevice):
        def prepare(self, network):
            if len(self.prepared) == 3:
                raise RuntimeError("no memory")
            return super().prepare(network)

    device = Failing(WORKLOAD)
    with pytest.raises(RuntimeError, match="no memory"):
        measure(Protocol(iterations=3, warmup=0, rounds=3, group_size=5), draw(5), device)
    assert sorted(device.released) == sorted(device.prepared)


class ColdAtFirst(StandInDevice):
    """The first 10 runs of each network are five times slower."""

    def prepare(self, network):
        return [network.configuration, 0]

    def run(self, handle):
        handle[1] += 1
        return (5.0 if handle[1] <= 10 else 1.0) * super().run(handle[0])

    def release(self, handle):
        pass


@pytest.mark.parametrize(("warmup", "slowest"), [(10, 1.0), (2, 5.0)])
def test_warm_up_runs_are_not_timed(warmup, slowest):
    protocol = Protocol(iterations=5, warmup=warmup)
    ((group, (timed,)),) = measure(protocol, draw(1), ColdAtFirst(WORKLOAD))
    batch_s = 4 * law_ms(group[0].configuration) / 1e3
    assert max(timed.measurement.times_s) == pytest.approx(slowest * batch_s)


def test_a_group_takes_at_most_half_of_the_free_memory(monkeypatch):
    """Free memory for 8 of the largest networks: 4 in a group."""
    free = 8 * SPACE.network_of(SPACE.largest).bytes(batch_size=4)
    monkeypatch.setattr("utils.devices.bench.free_memory_bytes", lambda: free)
    groups = measure(Protocol(iterations=1, warmup=0, rounds=1), draw(9), StandInDevice(WORKLOAD))
    assert [len(group) for group, _ in groups] == [4, 4, 1]


@pytest.mark.parametrize(
    ("device", "threads", "expected"),
    [
        ("cpu", 1, {"rounds": 4, "untimed": 3, "clock": "cpu", "reduction": "quartile"}),
        ("onnxruntime", 2, {"rounds": 4, "clock": "wall", "reduction": "min"}),
        ("gpu", 1, {"rounds": 0, "untimed": 1, "clock": "wall", "reduction": "median"}),
        ("trt", 1, {"rounds": 0, "clock": "wall", "reduction": "median"}),
    ],
)
def test_defaults_depend_on_the_device(device, threads, expected):
    protocol = Protocol.for_device(device, threads, iterations=24)
    assert expected.items() <= asdict(protocol).items()


def test_what_is_asked_for_is_not_replaced():
    protocol = Protocol.for_device("cpu", 1, 0, "mean", "wall", iterations=24, warmup=3)
    assert protocol == Protocol(24, 3, rounds=0, reduction="mean", clock="wall", untimed=1)


@pytest.mark.parametrize(("iterations", "rounds"), [(1, 1), (3, 3), (12, 4), (24, 4), (60, 10)])
def test_a_round_has_six_runs_but_there_are_four_rounds_if_there_are_four_runs(iterations, rounds):
    assert usual_rounds(iterations) == rounds
    assert Protocol.for_device("cpu", 1, iterations=iterations).rounds == rounds


@pytest.mark.parametrize("untimed", [1, 3])
def test_visits_begin_with_untimed_runs(untimed):
    """Oracle: counts of the device's runs; one takes longer than a visit must be untimed."""
    protocol = Protocol(iterations=6, warmup=0, rounds=2, untimed=untimed)
    runs = []

    class Slow(StandInDevice):
        def run(self, configuration):
            runs.append(configuration)
            time.sleep(0.003)
            return super().run(configuration)

    measure(protocol, draw(1), Slow(WORKLOAD))
    assert runs.count(draw(1)[0]) == 2 * (untimed + 3)


@pytest.mark.parametrize(
    ("device", "threads", "complaint"),
    [("gpu", 1, "does not show what device gpu takes"), ("cpu", 2, "adds up the time of all")],
)
def test_a_clock_that_does_not_suit_is_refused(device, threads, complaint):
    with pytest.raises(UserError, match=complaint):
        Protocol.for_device(device, threads, clock="cpu", iterations=24)


def test_drift_against_numbers_worked_by_hand():
    assert drift([1.0, 3.0, 2.0]) == {"median_ms": 2.0, "min_ms": 1.0, "max_ms": 3.0}


def test_the_reference_is_three_quarters_of_mobilenet():
    device = StandInDevice(WORKLOAD)
    measure(Protocol(iterations=1, warmup=0), [BASE_WIDTHS], device)
    assert device.prepared[0] == mobilenet_v1(2).scaled(0.75)
