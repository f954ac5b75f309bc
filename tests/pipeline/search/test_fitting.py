"""Scores fitted to sub-networks: oracle, losses that are set by hand."""

import json

import numpy as np
import pytest

from models.supernet import Evaluation
from nas.constraint import Constraint
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from pipeline.search import fitting
from pipeline.search.answers import loss_of
from pipeline.search.fitting import fit_scores, most_sub_networks
from pipeline.search.settings import Reports

SPACE = SearchSpace(
    input_size=8, classes=3, min_width=0.5, max_width=1.5, levels=3,
    base_widths=(16, 16, 16), strides=(2, 1, 1),
)  # fmt: skip


class Images:
    """Numbered images; what is asked of them is kept."""

    def __init__(self, size):
        self.size, self.read = size, []

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        self.read.append(key[1])
        return key


class Net:
    """A supernet whose sub-networks lose less the wider they are; all images are read."""

    def __init__(self):
        self.asked = []

    def loss(self, configuration):
        return 9 - float(np.array([0.1, 0.02, 0.01]) @ configuration)

    def evaluate(self, configurations, train, images):
        for index in range(len(images)):
            images[0, index]
        self.asked += configurations
        return [Evaluation(0.5, self.loss(c)) for c in configurations]


def open_search(target=7.0, seed=0):
    """A search whose scores are noise: by training every width is as good as any."""
    pairwise = [np.add.outer(np.arange(3.0), np.arange(3.0)) for _ in range(2)]
    search = SupernetSearch(SPACE, [Constraint(pairwise, target)], window=500, scores="fitted")
    rng = np.random.default_rng(seed)
    search.record(rng.integers(3, size=(900, 3)), rng.random(900), np.zeros(900))
    return search


def fit(folder, net, search, train, **reports):
    validation = fit_scores(Reports(str(folder), **reports), net, search, train, 300)
    lines = [json.loads(line) for line in (folder / fitting.FILE).open()]
    return validation, lines


def test_scores_are_fitted_and_validated_on_training_images(tmp_path, capsys):
    """Oracle: the losses that are set."""
    net, search, train = Net(), open_search(), Images(50)
    validation, lines = fit(tmp_path, net, search, train)
    assert len(net.asked) == len(lines) == validation.sub_networks <= 27
    assert [line["loss"] for line in lines] == [net.loss(line["configuration"]) for line in lines]
    assert set(train.read) == set(range(50))
    assert validation.rank_correlation > 0.9
    assert validation.low <= validation.rank_correlation <= validation.high
    answer = search.best()
    found = loss_of(search, answer)
    expected = net.loss(SPACE.configuration_at(answer.states))
    low, high = found["expected_loss_interval"]
    assert low < expected < high
    assert found["expected_loss"] == pytest.approx(expected, abs=0.05)
    assert SPACE.configuration_at(answer.states)[0] == 24
    assert validation.as_dict()["images"] == 50
    assert "rank as the scores do with" in capsys.readouterr().out


def test_another_target_goes_on_from_what_was_evaluated(tmp_path):
    """Oracle: which sub-networks are evaluated again: none, unless on other images."""
    _, before = fit(tmp_path, Net(), open_search(), Images(50))
    lines = [json.dumps(line) for line in before if line["configuration"][0] != 8]
    (tmp_path / fitting.FILE).write_text("\n".join(lines) + "\n")  # the next answer is not known
    known = {tuple(json.loads(line)["configuration"]) for line in lines}
    net = Net()
    _, after = fit(tmp_path, net, open_search(target=1.0), Images(50), pareto=True)
    assert net.asked
    assert not known & set(net.asked)
    assert {tuple(line["configuration"]) for line in after} == known | set(net.asked)
    again, other = Net(), Net()
    fit(tmp_path, again, open_search(target=1.0), Images(50))
    assert not again.asked
    fit(tmp_path, other, open_search(), Images(50), seed=1)
    assert len(other.asked) > len(net.asked)


def test_sub_networks_of_another_training_do_not_count(tmp_path):
    """Oracle: all losses in the file are of this supernet, which loses twice as much."""
    fit(tmp_path, Net(), open_search(), Images(50))
    other = Net()
    other.loss = lambda configuration: 2 * Net().loss(configuration)
    _, lines = fit(tmp_path, other, open_search(seed=1), Images(50))
    assert len(lines) == len(other.asked)
    assert [line["loss"] for line in lines] == [other.loss(each["configuration"]) for each in lines]


def test_many_training_images_are_drawn_from(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "IMAGES", 20)
    train = Images(1000)
    fit(tmp_path, Net(), open_search(), train)
    assert len(set(train.read)) == 20
    assert max(train.read) > 100  # not the first ones


def test_evaluation_takes_about_a_tenth_of_the_training():
    """Oracle: images by hand, of an evaluation with 512 for the statistics."""
    assert most_sub_networks(6, 29_400, 2_000) == 6 * 29_400 // 2_512 == 70
    assert most_sub_networks(20, 1_281_167, 2_000) == 150
    assert most_sub_networks(1, 1_000, 1_000) == 0
