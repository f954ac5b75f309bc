"""The benchmark of fine-tuning: which jobs it runs, with which options, and what it says."""

import json

import pytest

from benchmarks.retraining.accuracy_methods import FITTED
from benchmarks.retraining.accuracy_settings import FULL, MINIATURE
from benchmarks.retraining.fine_tuning_jobs import LONG, SCRATCH, STARTS, FineTuning
from benchmarks.retraining.fine_tuning_report import write_report
from utils.errors import UserError
from utils.json_lines import read_lines, write_lines

EQUAL, FIFTH = "supernet", "supernet, a fifth"


def write_jobs(path, results):
    write_lines(path, [{"job": name, "result": result} for name, result in results.items()])


def trained(accuracy):
    return {"configuration": [8], "accuracy": accuracy, "loss": 1 - accuracy, "cpu_s": 10.0}


def test_jobs_need_what_comes_before_them(tmp_path):
    """Oracle: counting: a table; per seed 2 widest networks, a supernet; per target 5 others."""
    jobs = FineTuning(FULL, tmp_path).jobs()
    assert [job.name for job in jobs if not job.needs] == ["table"]  # it is measured alone
    assert len(jobs) == 1 + 3 * (3 + len(FULL.targets) * 5)
    seen = set()
    for job in jobs:
        assert set(job.needs) <= seen
        seen.add(job.name)


@pytest.mark.parametrize(("name", "epochs"), [(FIFTH, 2), (EQUAL, 10)])
def test_a_training_differs_only_in_where_it_starts(tmp_path, monkeypatch, name, epochs):
    """Oracle: by hand: a fifth of ten epochs; no warm-up; the answer of that seed and target."""
    benchmark, asked = FineTuning(FULL, tmp_path), {}

    def train(job, configuration, seed, *options):
        asked.update(configuration=configuration, seed=seed, options=options)
        return {"accuracy": 0.5}

    monkeypatch.setattr(benchmark.accuracy, "train", train)
    (job,) = (j for j in benchmark.jobs() if j.name == f"tuned/1/0.5/{name}")
    assert job.run({f"answer/1/0.5/{FITTED}": {"configuration": [8, 16]}})["configuration"] == [
        8,
        16,
    ]
    assert (asked["configuration"], asked["seed"]) == ([8, 16], 1)
    folder = tmp_path / "supernet-1-OWS-trained"
    wanted = ["--from-supernet", folder, "--warmup-epochs", 0, "--num-epochs", epochs]
    assert list(asked["options"]) == wanted


def test_the_report_compares_cells_that_both_have(tmp_path):
    """Oracle: by hand: gains of 2 and -1 points; what is missing is named; both files count."""
    benchmark = FineTuning(FULL, tmp_path)
    with pytest.raises(UserError, match="no training is finished"):
        write_report(benchmark, tmp_path)
    scratch = {f"final/{seed}/0.5/{FITTED}": trained(0.8) for seed in (0, 1)}
    write_jobs(benchmark.accuracy.jobs_path, {"table": {"full_ms": 1.0}} | scratch)
    accuracies = {0: 0.82, 1: 0.79}
    tuned = {f"tuned/{seed}/0.5/{FIFTH}": trained(a) for seed, a in accuracies.items()}
    write_jobs(benchmark.jobs_path, tuned)
    text = write_report(benchmark, tmp_path)
    assert f"| 50 % | {SCRATCH} | 10 | 80.00 (80.00, 80.00) | 0.200 (0.200, 0.200) | 10 |" in text
    assert f"| 50 % | {FIFTH} | 2 | 80.50 (82.00, 79.00) |" in text
    assert "upernet, a fifth: +0.50 points against" in text
    assert "more accurate in 1 of 2 cells" in text
    assert f"**Not finished: 50: {SCRATCH}, 35 %, seed 0;" in text
    rows = [line for _, line in read_lines(tmp_path / "fine_tuning.jsonl")]
    assert len(rows) == 4
    assert json.loads(json.dumps(rows[0]))["start"] == SCRATCH


def test_the_widest_network_is_trained_as_long_as_an_answers_weights(tmp_path, monkeypatch):
    """Oracle: by hand: 10 epochs before the supernet's 3 and 10 after them; 94 is 4 above 90."""
    benchmark, asked = FineTuning(FULL, tmp_path), {}

    def train(job, configuration, seed, *options):
        asked.update(configuration=configuration, seed=seed, options=options)
        return {"accuracy": 0.5}

    monkeypatch.setattr(benchmark.accuracy, "train", train)
    (job,) = (j for j in benchmark.jobs() if j.name == "tuned/1/1/widest")
    job.run({})
    assert asked["configuration"] == benchmark.accuracy.widest()
    assert (asked["seed"], asked["options"]) == (1, ("--num-epochs", 23))
    tuned = {f"tuned/1/0.5/{EQUAL}": trained(0.94), job.name: trained(0.9)}
    write_jobs(benchmark.jobs_path, tuned)
    text = write_report(benchmark, tmp_path)
    assert f"| 100 % | {LONG} | 23 | 90.00 (90.00) |" in text
    assert f"- 50 %, {EQUAL}: +4.00 points against {LONG}, more accurate in 1 of 1 seeds." in text


def test_the_miniature_has_a_whole_epoch_of_each(tmp_path):
    """Oracle: a fifth of one epoch is one."""
    benchmark = FineTuning(MINIATURE, tmp_path)
    assert len(benchmark.jobs()) == 1 + 3 + 5
    assert {benchmark.epochs(start) for start in STARTS.values()} == {1}
