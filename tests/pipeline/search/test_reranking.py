"""Answers among candidates: oracle, accuracies that are set by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from nas.constraint import Constraint
from nas.search_space import SearchSpace
from nas.supernet_search import SupernetSearch
from pipeline.search.reranking import rerank

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
    """A supernet whose accuracies are set; all images are read."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def accuracies(self, configurations, train, images):
        for index in range(len(images)):
            images[0, index]
        return [self.accuracy(configuration) for configuration in configurations]


@pytest.fixture
def search():
    """A search whose scores are noise: every width is as good as any."""
    pairwise = [np.add.outer(np.arange(3.0), np.arange(3.0)) for _ in range(2)]
    search = SupernetSearch(SPACE, [Constraint(pairwise, 7.0)], window=500)
    rng = np.random.default_rng(0)
    search.record(rng.integers(3, size=(900, 3)), rng.random(900), np.zeros(900))
    return search


def run(search, net, folder, train):
    validation = Images(40)
    options = SimpleNamespace(seed=0, rerank=6, expname=folder)
    result = rerank(options, net, search, (train, validation), 3)
    assert not validation.read
    return result, [json.loads(line) for line in (folder / "rerank.jsonl").open()]


def test_the_most_accurate_candidate_is_the_answer_on_training_images_only(
    search, tmp_path, capsys
):
    train = Images(50)
    result, lines = run(search, Net(lambda widths: -abs(sum(widths) - 40)), tmp_path, train)
    distances = [abs(sum(line["configuration"]) - 40) for line in lines]
    assert distances == sorted(distances)
    assert len(set(distances)) > 2
    assert list(SPACE.configuration(result.states)) == lines[0]["configuration"]
    assert result.latency_ms == lines[0]["latency_ms"] <= 7
    assert sorted(train.read) == [*range(50)]  # once: they are few candidates
    assert f"of {len(lines)} candidates the best has accuracy" in capsys.readouterr().out


def test_of_equals_the_best_score_stays(search, tmp_path):
    result, _ = run(search, Net(lambda widths: 0.5), tmp_path, Images(10))
    assert result.states == search.best().states


def test_many_training_images_are_drawn_from(search, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.search.reranking.IMAGES", 20)
    train = Images(1000)
    run(search, Net(lambda widths: 0.5), tmp_path, train)
    assert len(set(train.read)) == 20
    assert max(train.read) > 100  # not the first ones
