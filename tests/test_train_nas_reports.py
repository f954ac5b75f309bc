"""What train_nas.py answers once a network is trained: limits, fronts, baselines, verification."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train_nas
from nas.latency_table import LatencyTable
from nas.validation.conformal import Residuals
from tests.helpers.search_runs import (
    SPACE,
    arguments,
    fails_with,
    results,
    target_between,
)
from utils.metadata import Metadata, residuals_as_text

NETWORK = SPACE.description


def macs_of(configuration):
    return NETWORK.macs(configuration, SPACE.input_size)


@pytest.fixture(scope="module")
def trained(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ows") / "ows"
    train_nas.main(arguments(model, folder, epochs=1))
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained folder, to be asked."""
    return Path(shutil.copytree(trained, tmp_path / "exp"))


def ask(model, folder, *options, share=0.5, target_ms=None):
    """Run the script on a finished training; returns the last line of results.jsonl."""
    target_ms = target_ms or target_between(model, share)
    more = ["--resume-last", *options]
    train_nas.main(arguments(model, folder, *more, target_ms=target_ms, epochs=1))
    return results(folder)[-1]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_limits_on_macs_and_parameters_are_kept_and_reported(model, folder):
    free = ask(model, folder, share=1)

    def half_way(count):
        return (count(SPACE.smallest) + count(free["configuration"])) / 2

    macs, size = half_way(macs_of), half_way(NETWORK.parameters)
    line = ask(model, folder, "--max-macs", str(macs), "--max-params", str(size), share=1)
    assert macs_of(line["configuration"]) <= macs
    assert NETWORK.parameters(line["configuration"]) <= size
    assert line["gap"] <= line["noise"]
    assert line["score"] < free["score"]
    latency, cost, parameters = line["constraints"]
    assert (latency["unit"], cost["unit"], parameters["unit"]) == ("ms", "MACs", "parameters")
    assert cost["value"] == macs_of(line["configuration"])
    assert parameters["limit"] == size


def test_two_devices_are_both_met(model, folder, tmp_path, capsys):
    """The second device is fast where the first is slow: it charges wide layers near the image."""
    entries = {v: v.in_size[0] ** 2 * v.out_channels / 1e5 for v in SPACE.variables}
    second = tmp_path / "second.jsonl"
    LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()})).save(second)
    tables = [LatencyTable.load(path) for path in (model, second)]
    alone = ask(model, folder, share=1)["configuration"]
    target_ms = (tables[1].predict(SPACE.smallest) + tables[1].predict(alone)) / 2
    line = ask(
        model, folder, "--latency-model", str(second), "--latency-target", str(target_ms), share=1
    )
    assert tables[0].predict(line["configuration"]) <= line["target_ms"]
    assert tables[1].predict(line["configuration"]) <= target_ms < tables[1].predict(alone)
    assert [c["limit"] for c in line["constraints"]] == [line["target_ms"], target_ms]
    assert str(second) in line["constraints"][1]["name"]
    options = ["--latency-model", str(second), "--latency-target", "1e-9"]
    message = fails_with(capsys, arguments(model, folder, *options, "--resume-last"))
    assert f"below the least latency by {second} of any configuration" in message
    message = fails_with(capsys, arguments(model, folder, "--latency-model", str(second)))
    assert "--latency-target was given 1 times, --latency-model 2 times" in message


def test_limits_that_exclude_each_other_are_refused_before_training(model, tmp_path, capsys):
    """Each can be kept alone: the second device is fast only where the first is slow."""
    slowest = max(LatencyTable.load(model).entries.values())
    entries = {v: slowest - t for v, t in LatencyTable.load(model).entries.items()}
    second = tmp_path / "second.jsonl"
    LatencyTable(entries, Metadata.of({"search_space": SPACE.as_dict()})).save(second)
    fastest = LatencyTable.load(second).predict(SPACE.largest)
    options = ["--latency-model", str(second), "--latency-target", str(1.01 * fastest)]
    target_ms = target_between(model, 0.01)
    message = fails_with(capsys, arguments(model, tmp_path / "exp", *options, target_ms=target_ms))
    assert "no configuration satisfies all limits together" in message
    assert not (tmp_path / "exp").exists()


def test_confidence_searches_on_the_upper_bound(model, folder, tmp_path, capsys):
    table = LatencyTable.load(model)
    errors = Residuals(np.arange(-50, 50) / 1000)  # up to 4.9 % slower than predicted
    fit = {"residuals_per_mille": residuals_as_text(errors.values)}
    sure = tmp_path / "sure.jsonl"
    table.with_metadata(table.metadata.stating(fit=fit)).save(sure)
    margin = errors.margin(0.9)
    means = ("--scores", "means")  # of no other answer for its speed
    target_ms = ask(sure, folder, *means)["latency_ms"]
    plain = ask(sure, folder, *means, target_ms=target_ms)
    assert plain["latency_ms"] == target_ms  # no room for a margin
    capsys.readouterr()
    line = ask(sure, folder, "--confidence", "0.9", "--pareto", target_ms=target_ms)
    assert "upper bound, ms of" in capsys.readouterr().out
    front = lines_of(folder / "pareto.jsonl")
    assert front[0]["upper_bound_ms"] == pytest.approx(
        table.predict(front[0]["configuration"]) * (1 + margin)
    )
    assert front[0]["epoch"] == 1
    assert line["confidence"] == 0.9
    assert line["latency_ms"] * (1 + margin) <= target_ms
    assert line["constraints"][0]["value"] == pytest.approx(line["latency_ms"] * (1 + margin))
    message = fails_with(capsys, arguments(model, folder, "--resume-last", "--confidence", "0.9"))
    assert "does not state its errors: fit it anew" in message


def test_the_front_holds_the_answers_of_all_targets(model, folder):
    means = ("--scores", "means")
    answers = [ask(model, folder, *means, share=share) for share in (0.1, 0.4, 0.8)]
    ask(model, folder, *means, "--pareto")
    front = lines_of(folder / "pareto.jsonl")
    latencies, scores = ([line[name] for line in front] for name in ("latency_ms", "score"))
    assert latencies == sorted(latencies)
    assert scores == sorted(scores)
    for answer in answers:
        best = [line for line in front if line["latency_ms"] <= answer["target_ms"] + 1e-12][-1]
        assert best["score"] == pytest.approx(answer["score"])
    assert Image.open(folder / "pareto.png").size[0] > 500


def test_the_front_under_a_second_limit_keeps_it(model, folder):
    limit = 0.6 * macs_of(SPACE.largest)
    ask(model, folder, "--pareto", "--max-macs", str(limit))
    front = lines_of(folder / "pareto.jsonl")
    assert len(front) > 3
    for line in front:
        assert macs_of(line["configuration"]) <= limit


def test_baselines_stand_beside_the_answer_and_none_beats_it(model, folder, capsys):
    line = ask(model, folder)
    baselines = lines_of(folder / "baselines.jsonl")
    methods = [baseline["method"] for baseline in baselines]
    assert methods == ["exact", "greedy", "uniform", *["random"] * 100]
    table = LatencyTable.load(model)
    for baseline in baselines:
        (used,) = baseline["constraints"].values()
        assert used["value"] <= line["target_ms"]
        if baseline["method"] != "uniform":  # its widths need not be choices of the search
            assert baseline["score"] <= line["bound"] + 1e-12
            assert table.predict(baseline["configuration"]) == pytest.approx(used["value"])
    assert len({tuple(baseline["configuration"]) for baseline in baselines[3:]}) > 50
    printed = capsys.readouterr().out
    for name in ("exact", "greedy", "uniform", "best random", "of 100, median"):
        assert name in printed


def test_scores_are_compared_with_the_accuracies_of_sub_networks(model, folder, capsys):
    ask(model, folder, "--score-check", "7")
    lines = lines_of(folder / "score_check.jsonl")
    assert len({tuple(line["configuration"]) for line in lines}) == 7
    ranks = [
        np.argsort(np.argsort([line[name] for line in lines])) for name in ("score", "accuracy")
    ]
    assert all(0 <= line["accuracy"] <= 1 for line in lines)
    assert ranks[0].tolist() != list(range(7))  # drawn, not sorted
    printed = capsys.readouterr().out
    assert "over 7 random sub-networks the rank correlation" in printed
    assert "(90 % interval " in printed
    assert Image.open(folder / "score_check.png").size[0] > 500


def test_scores_fitted_to_sub_networks_tell_the_loss_of_the_answer(model, folder, capsys):
    """Oracles: the file of the sub-networks, and what another target asks of it."""
    line = ask(model, folder, "--scores", "fitted")
    sub_networks = lines_of(folder / "sub_networks.jsonl")
    assert len(sub_networks) == line["validation"]["sub_networks"] >= 10
    low, high = line["expected_loss_interval"]
    assert low < line["expected_loss"] < high
    assert line["expected_loss"] == pytest.approx(math.exp(-line["score"]))
    printed = capsys.readouterr().out
    assert "left out, their losses rank as the scores do with" in printed
    assert "expected loss as a sub-network" in printed
    ask(model, folder, "--scores", "fitted", "--pareto", share=0.3)
    again = lines_of(folder / "sub_networks.jsonl")
    known = [(each["configuration"], each["loss"]) for each in sub_networks]
    assert [(each["configuration"], each["loss"]) for each in again][: len(known)] == known


def test_options_that_do_not_go_together_are_refused(model, tmp_path, capsys):
    refused = {
        "lagrangian knows one latency target only": ["--search", "lagrangian", "--max-macs", "1e6"],
        "--confidence: '0.2' is not a number of at least 0.5": ["--confidence", "0.2"],
        "--score-check needs at least 3 sub-networks": ["--score-check", "2"],
        "--samples goes with --verify": ["--samples", "x.jsonl"],
        "--latency-model was given twice with one file": [
            *("--latency-model", str(model), "--latency-target", "5"),
        ],
        "--remote-shell goes with --verify": ["--remote-shell", "docker exec -i"],
        "--keep: '0' is not a whole number of at least 1": ["--keep", "0"],
        "--max-params: '0' is not a number greater than 0": ["--max-params", "0"],
    }
    for message, options in refused.items():
        assert message in fails_with(capsys, arguments(model, tmp_path / "exp", *options))


def test_a_latency_model_is_not_written_over(model, tmp_path, capsys):
    """Where --verify writes its own, for one; the file is as it was."""
    before = Path(model).read_bytes()
    folder = tmp_path / "exp"
    folder.mkdir()
    own = folder / "verified_model.jsonl"
    own.write_bytes(before)
    options = ["--latency-model", str(own), "--latency-target", "9", "--verify"]
    message = fails_with(capsys, arguments(model, folder, *options))
    assert f"{own} would be written over {own}, which is read" in message
    assert own.read_bytes() == before
