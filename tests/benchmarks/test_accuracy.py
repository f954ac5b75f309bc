"""The accuracy benchmark: its jobs, and its table."""

import numpy as np
import pytest

from benchmarks.retraining import accuracy_report
from benchmarks.retraining.accuracy_jobs import Benchmark
from benchmarks.retraining.accuracy_methods import DEFAULT, FITTED, METHODS, SEARCHED
from benchmarks.retraining.accuracy_report import write_report
from benchmarks.retraining.accuracy_settings import FULL, MINIATURE
from benchmarks.retraining.paired import Paired
from benchmarks.retraining.peer_jobs import PEERS
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.metadata import Metadata

KINDS = ("supernet", "answer", "final", "peer")


def row(method, seed, accuracy, target=0.5, **more):
    return {
        "seed": seed, "target": target, "method": method, "configuration": [8] * 14,
        "target_ms": 0.2, "accuracy": accuracy, "loss": 1 - accuracy, "predicted_ms": 0.19,
        "measured_ms": 0.2 + seed / 10, "macs": 3e6, "parameters": 1e6, **more,
    }  # fmt: skip


def test_jobs_build_on_each_other_and_cover_every_answer(tmp_path):
    """Oracle: 15 methods × 4 targets × 5 seeds, and once a seed the widest network and one more.

    That is the default's at the target that it has alone.
    """
    jobs = Benchmark(FULL, tmp_path, PEERS).jobs()
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert all(need in names for job in jobs for need in job.needs)
    counts = {kind: sum(name.startswith(f"{kind}/") for name in names) for kind in KINDS}
    cells = 4 * 5
    assert counts == {
        "supernet": 2 * 5 + 3 * cells,
        "answer": len(SEARCHED) * cells + 5,
        "final": 15 * cells + 2 * 5,
        "peer": 3 * 5,
    }
    assert len(METHODS) == 15
    assert {job.name.split("/")[1] for job in Benchmark(MINIATURE, tmp_path).jobs()[1:]} == {"0"}


def test_equal_configurations_of_a_seed_are_trained_once(tmp_path):
    """Oracle: a result of the same seed is taken over, with its name."""
    benchmark = Benchmark(FULL, tmp_path)
    job = next(job for job in benchmark.jobs() if job.name == "final/1/0.5/OWS")
    results = {
        "table": {"full_ms": 0.4},
        "answer/1/0.5/OWS": {"configuration": [16] * 14},
        "answer/1/0.5/random": {"configuration": [8] * 14},
        "final/1/0.35/greedy": row("greedy", 1, 0.7, configuration=[16] * 14),
        "final/2/0.5/OWS": row("OWS", 2, 0.9, configuration=[16] * 14),
    }
    taken = job.run(results)
    assert (taken["accuracy"], taken["same_as"]) == (0.7, "final/1/0.35/greedy")
    assert (taken["method"], taken["target"], taken["target_ms"]) == ("OWS", 0.5, 0.2)
    other = next(job for job in benchmark.jobs() if job.name == "final/1/0.5/random")
    assert job.key(results) != other.key(results)


def test_the_uniform_baseline_is_the_widest_that_meets_the_target(tmp_path):
    """Oracle: a table by which latency is the number of the layers' channels, in µs.

    Between the multipliers of the space others count, in steps of 8 channels.
    """
    benchmark = Benchmark(MINIATURE, tmp_path)
    space = SearchSpace(input_size=32, classes=10, min_width=0.1, max_width=0.7, levels=3)
    entries = {v: v.out_channels / 1000 for v in space.variables}
    LatencyTable(entries, Metadata.of({"search_space": space.as_dict()})).save(benchmark.table_path)
    middle, widest = space.uniform_multipliers()[1:]
    full_ms = LatencyTable.load(benchmark.table_path).predict(widest)
    middle_ms = LatencyTable.load(benchmark.table_path).predict(middle)
    assert benchmark.widest_uniform(full_ms).configuration == widest == benchmark.widest()
    assert benchmark.widest_uniform(middle_ms).configuration == middle
    between = benchmark.widest_uniform(0.999 * full_ms).configuration
    assert sum(middle) < sum(between) < sum(widest)
    scaled = {space.description.scaled(multiplier / 1000) for multiplier in range(400, 701)}
    assert between in scaled


def test_differences_are_paired_by_target_and_seed():
    """Oracle: by hand: gains of 2, 0 and -1, 3 points have mean 1, of which 2 of 3 are won.

    Seed 2 lacks a target and does not count.
    """
    first = {(0.3, 0): 82, (0.5, 0): 89, (0.3, 1): 80, (0.5, 1): 93, (0.3, 2): 99}
    second = {(0.3, 0): 80, (0.5, 0): 90, (0.3, 1): 80, (0.5, 1): 90, (0.3, 2): 0, (0.7, 0): 1}
    paired = Paired.of(first, second)
    assert (paired.mean, paired.won, paired.cells) == (1, 2, 3)
    assert paired.seeds == 2
    # A resample is one seed or both, one target or both: between the means of single cells.
    assert -1 <= paired.low < 1 < paired.high <= 3
    assert Paired.of({}, second) is None
    alone = Paired.of({(0.3, 0): 2}, {(0.3, 0): 1})
    assert alone.mean == 1
    assert np.isnan(alone.low)


def test_a_target_that_one_seed_has_alone_takes_no_cell_from_the_others():
    cells = {(target, seed): 1.0 + target for target in (0, 1) for seed in range(4)}
    paired = Paired.of(cells | {(2, 0): 5.0}, dict.fromkeys([*cells, (2, 0)], 0.0))
    assert (paired.seeds, paired.cells, paired.mean) == (4, 8, 1.5)


def test_one_target_has_no_interval():
    """Of the means of three normal gains, resampled, 95 % intervals hold the truth in 73 %."""
    paired = Paired.of({(1, seed): seed for seed in range(3)}, {(1, seed): 0 for seed in range(3)})
    assert (paired.mean, paired.seeds) == (1, 3)
    assert np.isnan([paired.low, paired.high]).all()


def test_the_report_compares_and_tells_what_is_missing(tmp_path):
    """Oracle: by hand: fitted scores beat greedy by 3 and by 0 points, the default's by 4."""
    rows = [
        row(DEFAULT, 0, 0.86),
        row(FITTED, 0, 0.85), row(FITTED, 1, 0.84),
        row("greedy", 0, 0.82), row("greedy", 1, 0.84, same_as="x"), row("greedy", 2, 0.9),
        row("random", 0, 0.5), row("widest", 0, 0.9, target=1),
    ]  # fmt: skip
    text = write_report(rows, ["final/2/0.5/OWS"], ["Set up so."], tmp_path)
    assert text == (tmp_path / "accuracy.md").read_text()
    assert "Set up so." in text
    assert "**Not finished: 1: final/2/0.5/OWS.**" in text
    lines = {
        line.split(" | ")[1]: line.split(" | ") for line in text.splitlines() if " %, " in line
    }
    assert lines["greedy"][2:5] == ["3", "85.33 ± 4.16", "0.147 ± 0.042"]
    assert lines["greedy"][6] == "0.3000 ± 0.1000"
    assert lines["random"][2:4] == ["1", "50.00"]
    compared = [line for line in text.splitlines() if line.startswith("| greedy |")]
    assert compared[0].startswith("| greedy | 2 | +1.50 |")
    assert compared[0].count("| 1 of 1 |") == 2
    assert compared[1].startswith("| greedy | 1 | +4.00 | 1 of 1 |")
    assert "| random | 1 | +35.00 | 1 of 1 | -0.3500 | 1 of 1 |" in text
    assert "1 of 8 answers equal one of the same seed" in text
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_says_what_is_faint_and_what_is_beyond(tmp_path, monkeypatch):
    """Oracle: by hand: greedy has one seed, and its error is beyond 1.1 times uniform's."""
    figures = []
    monkeypatch.setattr(accuracy_report, "save_figure", lambda figure, path: figures.append(figure))
    rows = [
        row("uniform", 0, 0.8), row("uniform", 1, 0.82), row("greedy", 0, 0.4),
        row("widest", 0, 0.9, target=1),
    ]  # fmt: skip
    accuracy_report.plot(rows, tmp_path)
    (axes,) = figures[0].axes
    assert "in 2 ways: means over up to 2 seeds" in axes.get_title()
    assert "faint: one seed" in axes.get_title()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["uniform", "greedy (1 of 1 below)", "the widest network"]
    assert axes.get_ylim()[0] == pytest.approx(1.1 * 20)
    accuracy_report.plot(rows[-1:], tmp_path)  # the first training that is finished
    assert len(figures) == 2
