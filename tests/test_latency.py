"""latency.py's stages, command by command, on a stand-in device whose latencies are known."""

import json
import os

import numpy as np
import pytest

import latency
from nas.latency_table import LatencyTable
from nas.sampling import CoveringSampler, draw_configurations
from nas.search_space import SearchSpace
from pipeline.search.verification import samples_of
from tests.helpers.stand_in_device import StandInDevice, law_ms
from utils.json_lines import Appender, metadata_path, read_lines, read_metadata, write_lines

TINY = ["--input-size", "32", "--classes", "10", "-B", "2", "-I", "4", "-W", "1"]
SPACE = SearchSpace(32, 10, levels=3)


@pytest.fixture(autouse=True)
def devices(monkeypatch):
    """Every device is a stand-in; returns the list of those that were opened."""
    opened = []

    def open_device(name, workload, host):
        opened.append(StandInDevice(workload))
        return opened[-1]

    monkeypatch.setattr(latency, "open_device", open_device)
    return opened


def generate(path, *options):
    latency.main(
        ["generate", "--device", "cpu", *TINY, "--levels", "3", *map(str, options), str(path)]
    )
    return [line for _, line in read_lines(path)]


def test_generate_measures_the_networks_of_its_seed(tmp_path):
    """The stand-in's law and the documented draws are the oracles."""
    lines = generate(tmp_path / "s.jsonl", "-N", 5, "--seed", 3)
    sampler = CoveringSampler(SPACE, 3)
    assert [tuple(widths) for widths, *_ in lines] == [
        sampler.draw(np.random.default_rng((3, i))) for i in range(5)
    ]
    assert read_metadata(tmp_path / "s.jsonl").design == "covering"
    for widths, latency_ms, details in lines:
        assert latency_ms == pytest.approx(law_ms(widths), rel=1e-5)
        assert len(details["times_ms"]) == 4


def test_metadata_say_what_was_measured_and_how(tmp_path):
    generate(tmp_path / "s.jsonl", "-N", 2, "--biased")
    metadata = read_metadata(tmp_path / "s.jsonl").stated
    assert metadata["latency"].startswith("milliseconds per image")
    expected = {
        "device": "cpu",
        "device_name": "stand-in",
        "dtype": "fp32",
        "batch_size": 2,
        "threads": 1,
        "seed": 0,
        "biased": True,
        "repetitions": 1,
        "versions": {"none": "1"},
        "search_space": SPACE.as_dict(),
    }
    assert expected.items() <= metadata.items()
    assert metadata["protocol"] == {
        "iterations": 4,
        "warmup": 1,
        "warmup_time_s": 0,
        "rounds": 4,
        "untimed": 3,
        "group_size": 20,
        "reduction": "quartile",
        "clock": "cpu",
        "reference": "0.75xMOBILENET",
    }
    assert set(metadata["drift"]) == {"median_ms", "min_ms", "max_ms"}


@pytest.mark.parametrize("options", [[], ["--biased"], ["-R", 3], ["--rounds", 0]])
def test_generate_in_two_parts_equals_generate_at_once(tmp_path, options):
    at_once = generate(tmp_path / "whole.jsonl", "-N", 7, *options)
    generate(tmp_path / "parts.jsonl", "-N", 3, *options)
    in_parts = generate(tmp_path / "parts.jsonl", "-N", 7, *options)
    assert [line[:2] for line in in_parts] == [line[:2] for line in at_once]


def test_generate_repeats_each_network(tmp_path, devices):
    lines = generate(tmp_path / "s.jsonl", "-N", 2, "-R", 3)
    assert [widths for widths, *_ in lines] == [lines[0][0]] * 3 + [lines[3][0]] * 3
    assert len(devices[0].prepared) == 7  # each repetition is built afresh; and the reference


def test_a_file_goes_on_with_the_rounds_that_it_was_begun_with(tmp_path):
    """Oracle: the metadata; an old file states no untimed runs, of which there was one."""
    path = tmp_path / "s.jsonl"
    generate(path, "-N", 1, "-I", 12, "--rounds", 6)
    generate(path, "-N", 2, "-I", 12)
    metadata = json.loads(metadata_path(path).read_text())
    assert (metadata["protocol"]["rounds"], metadata["protocol"]["untimed"]) == (6, 3)
    del metadata["protocol"]["untimed"]
    metadata_path(path).write_text(json.dumps(metadata))
    assert len(generate(path, "-N", 3, "-I", 12)) == 3
    assert "untimed" not in json.loads(metadata_path(path).read_text())["protocol"]


def test_answers_in_the_file_are_no_draws(tmp_path):
    """Oracle: the networks that are drawn where no search has added its answers."""
    path, options = tmp_path / "s.jsonl", ["-R", 3]
    expected = [line[0] for line in generate(tmp_path / "whole.jsonl", "-N", 4, *options)]
    lines = generate(path, "-N", 2, *options)
    answers = [[widths, ms, {**details, "answer": True}] for widths, ms, details in lines[:4]]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *answers]))
    lines = generate(path, "-N", 5, *options)
    assert [line[0] for line in lines[10:]] == expected[6:11]


def test_generate_with_nothing_left_to_do_measures_nothing(tmp_path, devices):
    generate(tmp_path / "s.jsonl", "-N", 3)
    before = (tmp_path / "s.jsonl").read_bytes()
    generate(tmp_path / "s.jsonl", "-N", 2)
    assert (tmp_path / "s.jsonl").read_bytes() == before
    assert devices[1].prepared == []


def test_generate_reports_the_drift_of_the_reference(tmp_path, capsys, monkeypatch):
    """A machine that is twice as slow after its 300th run: from -33 % to +33 % of the median."""

    class Slowing(StandInDevice):
        def __init__(self, workload):
            super().__init__(workload, [1.0] * 300)
            self.slowness = iter([1.0] * 60 + [2.0] * 10**5)

    monkeypatch.setattr(latency, "open_device", lambda _, workload, host: Slowing(workload))
    generate(tmp_path / "s.jsonl", "-N", 20, "--rounds", 0)
    output = capsys.readouterr().out
    drift = read_metadata(tmp_path / "s.jsonl").drift
    assert drift["max_ms"] == pytest.approx(2 * drift["min_ms"])
    assert "20 samples" in output
    assert "reference network 0.75xMOBILENET" in output


def test_generate_warns_of_noisy_samples(tmp_path, capsys, monkeypatch):
    class Noisy(StandInDevice):
        def run(self, configuration):
            self.turn = not getattr(self, "turn", False)
            return (1.5 if self.turn else 1.0) * super().run(configuration)

    monkeypatch.setattr(latency, "open_device", lambda _, workload, host: Noisy(workload))
    generate(tmp_path / "s.jsonl", "-N", 3, "--rounds", 0)
    assert "warning: in 3 of 3 samples" in capsys.readouterr().err


def fitted(tmp_path, count=60):
    samples, model = tmp_path / "s.jsonl", tmp_path / "m.jsonl"
    generate(samples, "-N", count)
    latency.main(["fit", str(samples), str(model), "-K", "0.001"])
    return samples, model


def test_fit_and_validate_recover_the_devices_totals(tmp_path, capsys):
    """The law is additive, so that a fitted table predicts networks it has not seen: within 2 %."""
    _, model = fitted(tmp_path)
    table = LatencyTable.load(model)
    held_out = [SPACE.draw_uniform(np.random.default_rng((9, i))) for i in range(20)]
    for configuration in held_out:
        assert table.predict(configuration) == pytest.approx(law_ms(configuration), rel=0.05)
    assert table.metadata.search_space == SPACE.as_dict()
    assert table.metadata.device_name == "stand-in"

    generate(tmp_path / "v.jsonl", "-N", 10, "--seed", 1)
    capsys.readouterr()
    plot = tmp_path / "plot.png"
    latency.main(["validate", str(tmp_path / "v.jsonl"), str(model), str(plot)])
    output = capsys.readouterr()
    assert "10 networks, mean latency" in output.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert output.err == ""


def test_validate_counts_a_network_once(tmp_path, capsys):
    """Oracle: the number of different networks; the file holds each twice, the second time slow."""
    _, model = fitted(tmp_path)
    lines = generate(tmp_path / "v.jsonl", "-N", 10, "--seed", 1)
    arguments = ["validate", str(tmp_path / "v.jsonl"), str(model), str(tmp_path / "plot.png")]
    capsys.readouterr()
    latency.main(arguments)
    once = capsys.readouterr().out
    slow = [[widths, 2 * latency_ms, details] for widths, latency_ms, details in lines]
    write_lines(tmp_path / "v.jsonl", [*lines, *slow])
    latency.main(arguments)
    twice = capsys.readouterr().out
    different = len({tuple(widths) for widths, *_ in lines})
    assert f"{different} networks, mean latency" in once
    assert once == twice


def test_validate_warns_of_the_networks_that_were_fitted(tmp_path, capsys):
    samples, model = fitted(tmp_path, 10)
    latency.main(["validate", str(samples), str(model), str(tmp_path / "plot.png")])
    assert "drawn with the same seed" in capsys.readouterr().err


def test_a_table_behind_a_link_names_its_samples(tmp_path):
    """Oracle: the path that it states, from its folder, is the file's."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "output").symlink_to(tmp_path / "far" / "away")
    generate(tmp_path / "s.jsonl", "-N", 4)
    model = tmp_path / "output" / "m.jsonl"
    latency.main(["fit", str(tmp_path / "s.jsonl"), str(model), "-K", "1", "--strength", "1"])
    (named,) = samples_of(LatencyTable.load(model))
    assert named.samefile(tmp_path / "s.jsonl")


def test_a_linked_samples_file_is_named_by_its_link(tmp_path):
    """Oracle: where its metadata lie."""
    (tmp_path / "far").mkdir()
    (tmp_path / "s.jsonl").symlink_to(tmp_path / "far" / "real.jsonl")
    generate(tmp_path / "s.jsonl", "-N", 4)
    model = tmp_path / "m.jsonl"
    latency.main(["fit", str(tmp_path / "s.jsonl"), str(model), "-K", "1", "--strength", "1"])
    (named,) = samples_of(LatencyTable.load(model))
    assert named.name == "s.jsonl"
    assert metadata_path(named).is_file()


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_fit(
    tmp_path, capsys, monkeypatch
):
    generate(tmp_path / "s.jsonl", "-N", 4)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit):
        latency.main(["fit", str(tmp_path / "s.jsonl"), str(tmp_path / "m.jsonl")])
    assert f"{tmp_path} cannot be written to" in capsys.readouterr().err


def test_fit_joins_the_files_of_a_fleet(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for seed, path in enumerate(paths):
        generate(path, "-N", 4, "--seed", seed)
    latency.main(["fit", *map(str, paths), str(tmp_path / "m.jsonl")])
    files = LatencyTable.load(tmp_path / "m.jsonl").metadata.files
    assert [file.seed for file in files] == [0, 1]


def test_benchmark_prints_one_network_in_full(capsys):
    latency.main(["benchmark", "-D", "cpu", *TINY, "0.5xMOBILENET"])
    output = capsys.readouterr().out
    for word in ("median", "mean", "min", "iqr", "per image", "per batch", "MACs", "GMAC/s"):
        assert word in output


def test_benchmark_prints_several_networks_sorted(capsys):
    latency.main(["benchmark", "-D", "cpu", *TINY, "MOBILENET", "0.25xMOBILENET", "0.5xMOBILENET"])
    rows = capsys.readouterr().out.splitlines()[-3:]
    assert [row.split("(")[1].split(",")[0] for row in rows] == ["8", "16", "32"]


def test_benchmark_prints_json_for_machines(tmp_path, capsys):
    """The law and the table's own prediction are the oracles."""
    _, model = fitted(tmp_path, 40)
    capsys.readouterr()
    widths = SPACE.largest
    text = ",".join(map(str, widths))
    command = ["benchmark", "-D", "cpu", *TINY, text, "--latency-model", str(model), "--json"]
    latency.main(command)
    answer = json.loads(capsys.readouterr().out)
    (result,) = answer["results"]
    assert result["configuration"] == list(widths)
    assert result["latency_ms"] == pytest.approx(law_ms(widths))
    assert result["batch_ms"]["median"] == pytest.approx(2 * law_ms(widths))
    assert result["predicted_ms"] == pytest.approx(LatencyTable.load(model).predict(widths))
    scaled_ms = result["at_table_speed_ms"]  # the same: a stand-in never drifts
    assert scaled_ms == pytest.approx(law_ms(widths), rel=1e-5)
    assert result["prediction_error"] == pytest.approx(result["predicted_ms"] / scaled_ms - 1)
    assert answer["metadata"]["device"] == "cpu"


def test_resuming_with_the_same_seed_draws_as_documented(tmp_path):
    lines = generate(tmp_path / "s.jsonl", "-N", 4, "--biased", "--seed", 5)
    expected = draw_configurations(SPACE, 5, "biased", 1, [])
    assert [tuple(widths) for widths, *_ in lines] == [next(expected) for _ in range(4)]


def test_a_second_process_on_the_same_file_is_refused(tmp_path, capsys):
    path = tmp_path / "s.jsonl"
    generate(path, "-N", 1)
    with Appender(path), pytest.raises(SystemExit):
        generate(path, "-N", 2)
    assert capsys.readouterr().err.endswith("s.jsonl is being written by another process\n")
