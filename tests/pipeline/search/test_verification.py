"""The loop closed by measurement, against stand-in devices whose true latencies are known."""

import json
from argparse import Namespace
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from nas.validation.conformal import Residuals
from nas.validation.prediction_errors import relative_rms
from nas.validation.validated_fit import fit_validated
from pipeline.latency.measuring_again import measure_again, workload_of
from pipeline.latency.samples import drawn_in, read_samples
from pipeline.search.limits import LatencyLimit
from pipeline.search.verification import candidates, fit_again, neighbours, verify
from utils.devices.bench import Protocol
from utils.devices.workload import Workload
from utils.errors import UserError
from utils.json_lines import Appender, read_lines, read_metadata, write_lines, write_metadata
from utils.metadata import Metadata

SPACE = SearchSpace(input_size=32, classes=10, levels=4)


class Device:
    """A SyntheticDevice that drifts: between two measurements the machine's speed changes."""

    def __init__(self, slower=1.0, **settings):
        self.true = SyntheticDevice(SPACE, **settings)
        self.slower = slower  # where the search looks: networks that no sample is like
        self.rng = np.random.default_rng(0)
        self.rounds = 0

    def sample_lines(self, configurations, slower=1.0):
        speed = 1 + 0.1 * self.rng.random()
        latencies_ms = self.true.measure(configurations, self.rng) * speed * slower
        return [
            [list(configuration), float(latency_ms), {"reference_ms": speed}]
            for configuration, latency_ms in zip(configurations, latencies_ms, strict=True)
        ]

    def measure(self, metadata, configurations, seed):
        self.rounds += 1
        return self.sample_lines(configurations, self.slower)


def setting(tmp_path, device, samples=60):
    """A table fitted to a few samples of the device, and a search on random scores."""
    rng = np.random.default_rng(1)
    path = tmp_path / "samples.jsonl"
    lines = device.sample_lines([SPACE.draw_uniform(rng) for _ in range(samples)])
    write_lines(path, lines)
    protocol = {"rounds": 8}
    metadata = Metadata.of({"search_space": SPACE.as_dict(), "protocol": protocol})
    write_metadata(path, metadata)
    pairs = [(line[0], line[1] / line[2]["reference_ms"]) for line in lines]
    table = fit_validated(
        pairs, SPACE, np.random.default_rng(0), 100.0, 1.0, metadata.stating(reference_ms=1.0)
    )
    named = table.metadata.stating_of_fit(samples_files=["samples.jsonl"])
    table.with_metadata(named).save(tmp_path / "model.jsonl")
    table = LatencyTable.load(tmp_path / "model.jsonl")
    target_ms = table.predict(SPACE.uniform_multipliers()[1])
    limit = LatencyLimit(table, target_ms)
    search = SupernetSearch(SPACE, [limit.constraint(SPACE)], window=100)
    states = rng.integers(SPACE.sizes, size=(2000, len(SPACE.sizes)))
    losses = 1 / (1 + states).mean(axis=1)
    search.record(states, losses + 0.1 * rng.random(len(states)), np.zeros(len(states)))
    return Namespace(expname=tmp_path, seed=0, samples=None), search, limit, path


def test_a_round_ends_when_a_candidate_meets_the_target_when_measured(tmp_path, capsys):
    device = Device()
    options, search, limit, path = setting(tmp_path, device)
    before = len(list(read_lines(path)))
    verified = verify(options, search, [limit], device.measure)
    configuration = search.space.configuration(verified.result.states)
    assert verified.rounds == device.rounds <= 5
    assert verified.measured_ms <= limit.target_ms
    assert device.true.true_ms([configuration])[0] <= limit.target_ms * 1.03  # noise of 1 %
    assert verified.result.bound >= verified.result.score
    lines = [line for _, line in read_lines(tmp_path / "verification.jsonl")]
    assert [line["round"] for line in lines] == list(range(1, verified.rounds + 1))
    measured = [c for line in lines for c in line["candidates"]]
    assert len(list(read_lines(path))) == before + len(measured)
    assert f"{path}: {len(lines[0]['candidates'])} samples added" in capsys.readouterr().out
    meeting = [c for c in lines[-1]["candidates"] if c["meets"]]
    assert tuple(max(meeting, key=lambda c: c["score"])["configuration"]) == configuration


def test_a_table_that_is_fitted_again_holds_at_the_speed_of_the_first(tmp_path):
    """Oracle: the device's true latencies at that speed; most samples were added at another one."""
    device = Device(noise=0.0)
    _, _, limit, path = setting(tmp_path, device)
    rng = np.random.default_rng(2)
    configurations = [SPACE.draw_uniform(rng) for _ in range(200)]
    true_ms = device.true.true_ms(configurations)
    with Appender(path) as samples:
        samples.append(
            [
                [list(configuration), latency_ms, {"reference_ms": 2.0, "added": True}]
                for configuration, latency_ms in zip(
                    configurations, (2 * true_ms).tolist(), strict=True
                )
            ]
        )
    table = fit_again(limit.table, [path], seed=0)
    assert table.metadata.reference_ms == limit.table.metadata.reference_ms == 1.0
    predicted_ms = [table.predict(configuration) for configuration in configurations]
    assert relative_rms(predicted_ms, true_ms) < 0.05


def test_of_candidates_that_noise_does_not_tell_apart_the_fastest_answers(tmp_path, monkeypatch):
    """Oracle: what was measured, where the search says that noise hides all differences."""
    device = Device()
    options, search, limit, _ = setting(tmp_path, device)
    monkeypatch.setattr(search, "as_good", lambda answers: range(len(answers)))
    chosen, bound = candidates(search, limit, 1.0, set())
    assert candidates(search, limit, 1.0, set(list(chosen)[:1]))[1] == bound
    slowest_first = dict(zip(chosen, np.linspace(0.9, 0.8, len(chosen)), strict=True))

    def measure(metadata, configurations, seed):
        times = [slowest_first[each] * limit.target_ms for each in configurations]
        return [
            [list(c), t, {"reference_ms": 1.0}] for c, t in zip(configurations, times, strict=True)
        ]

    verified = verify(options, search, [limit], measure)
    assert len(chosen) > 1
    assert SPACE.configuration_at(verified.result.states) == list(chosen)[-1]
    assert verified.measured_ms == pytest.approx(0.8 * limit.target_ms)


def test_where_no_sample_is_near_the_target_networks_are_measured_there(tmp_path):
    """Oracle: the table's predictions; what generate drew, in the file before."""
    device = Device()
    options, search, limit, path = setting(tmp_path, device)
    assert neighbours(SPACE, limit, (0, 3, 1)) == neighbours(SPACE, limit, (0, 3, 1))
    far = Residuals(np.zeros(60), np.full(60, 9.0)).as_dict()
    table = limit.table.with_metadata(limit.table.metadata.stating_of_fit(**far))
    unsampled = replace(limit, table=table)
    before = len(list(read_lines(path)))
    verify(options, search, [unsampled], device.measure)
    added = [line for _, line in read_lines(path)][before:]
    answers = [line for line in added if line[2].get("answer")]
    first = next(read_lines(tmp_path / "verification.jsonl"))[1]["candidates"]
    assert [line[0] for line in answers[: len(first)]] == [c["configuration"] for c in first]
    others = [tuple(line[0]) for line in added if not line[2].get("answer")]
    assert len(others) == 10
    samples = read_samples(path, SPACE)
    assert drawn_in(samples) == [c for c, *_ in samples][:before]
    for configuration in others:
        assert abs(table.predict(configuration) / limit.target_ms - 1) <= 0.15


@pytest.mark.parametrize("slower", [1.1, 1.4])
def test_a_table_that_is_wrong_where_the_search_looks_is_corrected(tmp_path, slower):
    """All answers take 10 or 40 % longer than networks like the samples would let expect."""
    device = Device(slower)
    options, search, limit, _ = setting(tmp_path, device)
    verified = verify(options, search, [limit], device.measure)
    assert 1 < verified.rounds <= 5
    assert verified.measured_ms <= limit.target_ms
    assert verified.limits[0].table.metadata.fit.samples > 60
    first = next(read_lines(tmp_path / "verification.jsonl"))[1]
    assert not any(candidate["meets"] for candidate in first["candidates"])
    again = LatencyTable.load(tmp_path / "verified_model.jsonl")
    assert again.entries == verified.limits[0].table.entries


def test_a_target_that_no_measurement_meets_is_one_error(tmp_path):
    device = Device(slower=50)
    options, search, limit, _ = setting(tmp_path, device)
    with pytest.raises(UserError, match=r"in \d rounds no configuration .* when measured; the f"):
        verify(options, search, [limit], device.measure)
    assert len(json.loads((tmp_path / "verification.jsonl").read_text().splitlines()[0])) == 4


def test_a_table_must_name_its_samples(tmp_path):
    device = Device()
    options, search, limit, path = setting(tmp_path, device)
    path.unlink()
    with pytest.raises(UserError, match=r"samples\.jsonl, which .*model\.jsonl was fitted"):
        verify(options, search, [limit], device.measure)
    fit = {k: v for k, v in limit.table.metadata.stated["fit"].items() if k != "samples_files"}
    limit = replace(limit, table=stating(limit.table, fit=fit))
    with pytest.raises(UserError, match=r"does not name its samples file: give --samples FILE"):
        verify(options, search, [limit], device.measure)


def test_samples_are_added_only_to_a_samples_file_of_the_same_conditions(tmp_path, capsys):
    device = Device()
    options, search, limit, path = setting(tmp_path, device)
    foreign, before = tmp_path / "profile", b"export PATH=/usr/bin\nalias ll='ls -l'"
    foreign.write_bytes(before)
    fit = limit.table.metadata.stated["fit"] | {"samples_files": [f"../{tmp_path.name}/profile"]}
    limit = replace(limit, table=stating(limit.table, fit=fit))
    with pytest.raises(UserError, match="profile, line 1: not JSON"):
        verify(options, search, [limit], device.measure)
    assert foreign.read_bytes() == before
    assert device.rounds == 0
    options.samples = path
    limit = replace(limit, table=stating(limit.table, threads=1))
    write_metadata(path, read_metadata(path).stating(threads=2))
    with pytest.raises(UserError, match="no sample can be added, threads is 2 there and 1 in"):
        verify(options, search, [limit], device.measure)
    write_metadata(path, Metadata.of({"search_space": replace(SPACE, levels=7).as_dict()}))
    with pytest.raises(UserError, match="no sample can be added, search space is"):
        verify(options, search, [limit], device.measure)


def stating(table, **fields):
    return table.with_metadata(table.metadata.stating(**fields))


def metadata_of(workload, protocol, device_name):
    return Metadata.of(
        {
            "device": "onnxruntime",
            "device_name": device_name,
            **{
                name: getattr(workload, name)
                for name in (
                    "dtype",
                    "batch_size",
                    "threads",
                    "tf32",
                    "channels_last",
                    "cuda_graph",
                )
            },
            "trt_builder": "network",
            "protocol": asdict(protocol),
            "search_space": SearchSpace(input_size=32, classes=10, levels=2).as_dict(),
        }
    )


def test_networks_are_measured_by_the_metadatas_workload_and_protocol():
    """On the real runtime, in a process of its own: two networks of very different size."""
    from utils.devices.workload import cpu_name

    workload = Workload(2, 32, 10, clock="cpu")
    protocol = Protocol(iterations=6, warmup=1, rounds=2, reduction="min", clock="cpu")
    metadata = metadata_of(workload, protocol, cpu_name())
    assert workload_of(metadata) == (workload, protocol)
    narrow, wide = (8,) * 14, (256,) * 14
    lines = measure_again(metadata, [wide, narrow], 0)
    assert [tuple(line[0]) for line in lines] == [wide, narrow]
    assert lines[0][1] > 2 * lines[1][1]
    assert len(lines[0][2]["times_ms"]) == 6
    with pytest.raises(UserError, match=r"is of 'another machine', this machine has"):
        measure_again(metadata.stating(device_name="another machine"), [narrow], 0)
    for name in ("device", "device_name", "threads"):
        with pytest.raises(UserError, match=f"latency model lacks '{name}'"):
            workload_of(metadata.without(name))
    with pytest.raises(UserError, match=r"how to measure is not known: .* lacks 'protocol'"):
        workload_of(metadata.without("protocol"))


def test_the_confidence_that_was_asked_for_is_reached_by_searched_configurations():
    """100 searches: the true latencies of what they find meet the target so often, or oftener."""
    rng = np.random.default_rng(0)
    device = SyntheticDevice(SPACE)
    configurations = [SPACE.draw_uniform(rng) for _ in range(150)]
    samples = list(zip(configurations, device.measure(configurations, rng), strict=True))
    table = fit_validated(samples, SPACE, rng, 100.0, 1.0)
    hits = {}
    for confidence in (None, 0.9):
        met = []
        for seed in range(100):
            rng = np.random.default_rng(seed)
            target_ms = table.predict(SPACE.draw_uniform(rng))
            limit = LatencyLimit(table, target_ms, confidence=confidence)
            search = SupernetSearch(SPACE, [limit.constraint(SPACE)], window=100)
            states = rng.integers(SPACE.sizes, size=(1000, len(SPACE.sizes)))
            losses = 1 / (1 + states).mean(axis=1) + 0.2 * rng.random(len(states))
            search.record(states, losses, np.zeros(len(states)))
            configuration = SPACE.configuration(search.best().states)
            met.append(device.true_ms([configuration])[0] <= target_ms)
        hits[confidence] = np.mean(met)
    assert hits[0.9] >= max(0.9, hits[None])
