"""The benchmark of the score's truth: its networks, its windows, and its statistics."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.retraining.accuracy_settings import FULL
from benchmarks.retraining.recorded_scores import Recorded
from benchmarks.retraining.score_truth_jobs import OURS, VARIANTS, ScoreTruth
from benchmarks.retraining.score_truth_report import (
    AS_SUB_NETWORKS,
    as_markdown,
    predictions,
    write_report,
)
from benchmarks.retraining.score_truth_statistics import (
    compare,
    correlate,
    gain_of_monotone,
    partial_spearman,
    repeatability,
)
from benchmarks.retraining.score_truth_supernet import NETWORKS
from models.pytorch.plain import convolutions
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils import checkpoints
from utils.errors import UserError
from utils.json_lines import write_lines
from utils.metadata import Metadata

SPACE = SearchSpace(input_size=32, classes=5, min_width=0.25, max_width=0.5, levels=3)


def networks():
    """Return a net of each kind with the same parameters, and a batch."""
    nets = {
        name: kind(SPACE.description, SPACE.smallest, SPACE.largest).double()
        for name, kind in NETWORKS.items()
    }
    for _, norm in convolutions(nets["ours"].wide):
        torch.nn.init.normal_(norm.bias, 0.3, 0.5)
    for net in nets.values():
        net.load_state_dict(nets["ours"].state_dict())
    rng = np.random.default_rng(0)
    widths = torch.tensor([SPACE.draw_uniform(rng) for _ in range(6)])
    return nets, torch.tensor(rng.standard_normal((6, 3, 32, 32))), widths


def test_a_net_masked_everywhere_is_ours_where_all_images_have_the_same_widths():
    """Oracle: our masked pass. With the same widths no zeros enter a channel that counts."""
    nets, images, widths = networks()
    same = widths[:1].expand_as(widths)
    ours = nets["ours"].masked(images, same)
    for name, net in nets.items():  # a leak is the same in all images: BatchNorm subtracts it
        torch.testing.assert_close(net.masked(images, same), ours, msg=name)


def test_every_variant_is_another_net_where_widths_differ():
    """Oracle: each other."""
    nets, images, widths = networks()
    logits = [net.masked(images, widths) for net in nets.values()]
    for first, second in itertools.combinations(logits, 2):
        assert (first - second).abs().max() > 1e-3


def test_statistics_of_active_images_are_those_of_the_batch_without_the_others():
    """Oracle: BatchNorm of PyTorch on the images in use only."""
    net = networks()[0]["active images"]
    _, norm = convolutions(net.wide)[0]
    mask = torch.zeros(6, norm.num_features, 1, 1, dtype=torch.float64)
    mask[:4, :3] = 1
    mask[:, 3:] = 1
    x = torch.randn(6, norm.num_features, 8, 8, dtype=torch.float64)
    y = net.normalised(x, norm, mask)
    torch.testing.assert_close(y[:4, :3], norm.train()(x[:4])[:, :3])
    torch.testing.assert_close(y[:, 3:], norm(x)[:, 3:])


def test_windows_are_cut_from_what_the_supernet_recorded(tmp_path):
    """Oracle: means by hand; the first epoch recorded 2 values of every width, the second 2."""
    counts = np.full((len(SPACE.choices), max(SPACE.sizes)), 4)
    values = np.tile([1.0, 2.0, 3.0, 5.0], counts.size)
    for epoch, kept in ((1, 2), (2, 4)):
        arrays = {"windows/values": values, "windows/counts": counts * kept // 4}
        about = {"epoch": epoch, "search_space": SPACE.as_dict()}
        checkpoints.save(checkpoints.checkpoint_path(tmp_path, epoch), arrays, about)
    recorded = Recorded(tmp_path)
    scores = recorded.scores([SPACE.largest])
    layers = len(SPACE.choices)
    expected = {"last epoch": 4, "last half epoch": 5, "last two epochs": 2.75}
    expected["whole training"] = 2.75
    # (3, 5) deviates by 1 from its mean; all widths score alike, and stay so.
    assert recorded.noise("last epoch") == (pytest.approx(0.5**0.5), 0)
    expected |= {f"{name}, monotone": mean for name, mean in expected.items()}
    assert {name: float(s[0]) / layers for name, s in scores.items()} == pytest.approx(expected)


def ranked(predictors, truth, latency_ms, baseline):
    return compare(correlate(predictors, truth), predictors, truth, latency_ms, baseline)


def test_correlations_and_their_differences():
    """Oracle: scipy.stats, and a predictor that is the truth itself."""
    rng = np.random.default_rng(0)
    truth, latency_ms = rng.random((2, 24))
    noisy = truth + 0.5 * rng.random((2, 24))
    predictors = {("a", "b"): noisy, ("c", "d"): truth[None]}
    noise, exact = rows = ranked(predictors, truth, latency_ms, ("a", "b"))
    of_seeds = [stats.spearmanr(scores, truth).statistic for scores in noisy]
    assert noise["of_seeds"] == pytest.approx(of_seeds)
    assert noise["rank_correlation"] == pytest.approx(np.mean(of_seeds))
    assert (exact["rank_correlation"], exact["interval"]) == (
        pytest.approx(1),
        pytest.approx([1, 1]),
    )
    low, high = noise["interval"]
    assert low < noise["rank_correlation"] < high
    assert noise["difference_interval"] == [0, 0]
    assert exact["difference"] == pytest.approx(1 - noise["rank_correlation"])
    assert exact["at_equal_latency"] == pytest.approx(1)
    text = as_markdown(rows, FULL, [[value] for value in truth], ["x, seed 1"])
    assert "| c | d | 1.00 (1.00 to 1.00) | 1.00 | +0." in text
    assert "**Not finished: 1: x, seed 1.**" in text


def test_supernets_are_resampled_too():
    """Oracle: two supernets, one right and one wrong: of 4 draws of two one is all wrong."""
    truth = np.arange(12.0)
    scores = np.array([truth, -truth])
    (row,) = ranked({("a", "b"): scores}, truth, truth, ("a", "b"))
    assert (row["rank_correlation"], row["of_seeds"]) == (pytest.approx(0), pytest.approx([1, -1]))
    assert row["interval"] == pytest.approx([-1, 1])


def test_what_monotone_scores_gain():
    """Oracle: of three supernets one, wrong throughout, is right once monotone; two stay."""
    truth = np.arange(12.0)
    scores = {("a", "w"): -truth[None], ("b", "w"): np.array([truth, -truth])}
    scores |= {("a", "w, monotone"): truth[None], ("b", "w, monotone"): np.array([truth, -truth])}
    (row,) = gain_of_monotone(correlate(scores, truth), ["w"])
    low, high = row.pop("gain_interval")
    assert (low, high) == pytest.approx((0, 2 * 2 / 3))  # no or two of three draws are the first
    assert row == {
        "window": "w",
        "supernets": 3,
        "means": pytest.approx(-1 / 3),
        "gain": pytest.approx(2 / 3),
        "better": 1,
    }


def test_two_trainings_tell_how_far_the_truth_can_be_trusted():
    """Oracle: by hand; ranks (1, 2, 3) and (2, 1, 3), differences of 0.2, 0.1 and 0."""
    accuracies = [[0.1, 0.3], [0.2, 0.1], [0.9], [0.5, 0.5, 0.7]]
    assert repeatability(accuracies) == (3, pytest.approx(0.5), pytest.approx(0.1))
    assert repeatability([[0.1], [0.2]])[0] == 0


def test_what_latency_alone_explains_is_taken_out():
    """Oracle: the correlation of what linear regressions on the third's ranks leave."""
    first, second, third = np.random.default_rng(1).random((3, 50))
    first, second = first + third, second + 2 * third
    ranks = [stats.rankdata(values) for values in (first, second, third)]
    rests = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    assert partial_spearman(first, second, third) == pytest.approx(np.corrcoef(*rests)[0, 1])
    assert np.isnan(partial_spearman(first, second, first))


def test_jobs_train_each_variant_and_the_truth_takes_in_the_accuracy_benchmarks(tmp_path):
    """Oracle: 7 variants of 2 seeds, of which ours are asked; 14 + 1 networks, twice."""
    benchmark = ScoreTruth(FULL, tmp_path, 14)
    with pytest.raises(UserError, match=r"table\.jsonl is missing"):
        benchmark.jobs()
    LatencyTable(
        dict.fromkeys(SPACE.variables, 1.0), Metadata.of({"search_space": SPACE.as_dict()})
    ).save(tmp_path / "table.jsonl")
    of_accuracy = {"final/0/0.5/random": 3, "final/0/0.5/greedy": 4, "ows/0": 5}
    write_results(tmp_path / "jobs.jsonl", of_accuracy)
    names = [job.name for job in benchmark.jobs()]
    assert names[0] == f"supernet/0/{OURS}"
    assert len(names) == len(set(names)) == 7 * 2 + 15 + 14 + 2
    again = [name for name in names if name.startswith("again/")]
    assert (len(again), again[-1]) == (15, "again/8,3")
    write_results(tmp_path / "score-truth.jsonl", {"truth/1": 6, "again/8,3": 3, "supernet/1/x": 9})
    assert benchmark.trained() == {(8, 6): [0.6], (8, 3): [0.3, 0.3]}
    assert benchmark.supernets("x") == {1: tmp_path / "score-truth-1-x"}


def test_supernets_that_evaluated_all_networks_tell_their_accuracies(tmp_path):
    """Oracle: by hand; the second supernet knows one network only."""
    benchmark = ScoreTruth(FULL, tmp_path, 14)
    LatencyTable(
        dict.fromkeys(SPACE.variables, 1.0), Metadata.of({"search_space": SPACE.as_dict()})
    ).save(tmp_path / "table.jsonl")
    both = [SPACE.smallest, SPACE.largest]
    lines = [
        {
            "job": f"sub-networks/{seed}",
            "result": {"accuracies": [{"configuration": c, "accuracy": 0.5} for c in some]},
        }
        for seed, some in enumerate((both, both[:1]))
    ]
    write_lines(tmp_path / "score-truth.jsonl", lines)
    predictors = predictions(benchmark, {}, [tuple(c) for c in both])
    assert predictors[AS_SUB_NETWORKS, "accuracy on training images"].tolist() == [[0.5, 0.5]]


def write_results(path, values):
    """Write jobs as finished, each with a value n that stands for a network's n / 10."""
    lines = [
        {"job": name, "result": {"configuration": [8, n], "accuracy": n / 10}}
        for name, n in values.items()
    ]
    write_lines(path, lines)


def test_a_report_needs_networks_and_the_supernet_to_compare_with(tmp_path):
    benchmark = ScoreTruth(FULL, tmp_path, 14)
    with pytest.raises(UserError, match="0 networks are trained from scratch"):
        write_report(benchmark, list(VARIANTS), tmp_path)
    write_results(tmp_path / "score-truth.jsonl", {f"truth/{n}": n for n in range(3)})
    with pytest.raises(UserError, match=f"the supernet '{OURS}', which .* is missing"):
        write_report(benchmark, list(VARIANTS), tmp_path)
