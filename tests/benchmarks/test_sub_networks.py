"""Sub-networks of a trained supernet, as two benchmarks evaluate them in processes of their own."""

import pytest

import train_nas
from benchmarks.retraining import from_trained_sub_networks, score_truth_sub_networks
from pipeline.search.options import parse_options
from tests.helpers.search_runs import SPACE, arguments
from utils.json_lines import read_lines


@pytest.fixture(scope="module")
def options(model, tmp_path_factory):
    """The options that a supernet was trained with, to resume it."""
    folder = tmp_path_factory.mktemp("supernet")
    given = arguments(model, folder, "--framework", "pytorch", "--resume-last", epochs=1)
    train_nas.main(given)
    return parse_options("", given)


def test_scores_and_losses_of_random_sub_networks_are_written(options, monkeypatch):
    """Oracle: how many are asked for; the digits' ten classes; scores that the search has."""
    monkeypatch.setattr(from_trained_sub_networks, "CONFIGURATIONS", 2)
    monkeypatch.setattr(from_trained_sub_networks, "IMAGES", 60)
    from_trained_sub_networks.measure(options)
    found = from_trained_sub_networks.read_losses(options.run.expname)
    assert len(found["scores"]) == len(found["losses"]) == 2
    assert all(0.5 < loss < 10 for loss in found["losses"])
    assert found["scores"][0] != found["scores"][1]


def test_accuracies_of_given_sub_networks_are_written(options):
    """Oracle: the configurations that were given."""
    configurations = [list(SPACE.smallest), list(SPACE.largest)]
    score_truth_sub_networks.measure(options, configurations)
    path = f"{options.run.expname}/{score_truth_sub_networks.ACCURACIES}"
    lines = [line for _, line in read_lines(path)]
    assert [line["configuration"] for line in lines] == configurations
    assert all(0 <= line["accuracy"] <= 1 for line in lines)
