"""The accuracy benchmark: its jobs, and its table."""

from benchmarks.retraining.accuracy_jobs import FULL, METHODS, MINIATURE, OURS, Benchmark
from benchmarks.retraining.accuracy_report import as_markdown, write_report
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace


def row(method, seed, accuracy, target=0.5, **more):
    return {
        "seed": seed, "target": target, "method": method, "configuration": [8] * 14,
        "target_ms": 0.2, "accuracy": accuracy, "predicted_ms": 0.19,
        "measured_ms": 0.2 + seed / 10, "macs": 3e6, "parameters": 1e6, **more,
    }  # fmt: skip


def test_jobs_build_on_each_other_and_cover_every_answer(tmp_path):
    """Oracle: 7 methods × 3 targets × 3 seeds, and the widest network once a seed."""
    jobs = Benchmark(FULL, tmp_path).jobs()
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert all(need in names for job in jobs for need in job.needs)
    finals = [name for name in names if name.startswith("final/")]
    assert len(finals) == len(METHODS) * 3 * 3 + 3
    assert sum(name.startswith("aows/") for name in names) == 2 * 3 * 3
    with_own = [job.name for job in Benchmark(FULL, tmp_path, OURS).jobs()]
    assert set(with_own) > set(names)
    own = [name for name in with_own if name not in names]
    assert sum(name.startswith("asked/") for name in own) == len(OURS) * 3 * 3
    assert sum(name.startswith("final/") for name in own) == len(OURS) * 3 * 3 == len(own) / 2
    assert {job.name.split("/")[1] for job in Benchmark(MINIATURE, tmp_path).jobs()[1:]} == {"0"}


def test_equal_configurations_of_a_seed_are_trained_once(tmp_path):
    """Oracle: a result of the same seed is taken over, with its name."""
    benchmark = Benchmark(FULL, tmp_path)
    job = next(job for job in benchmark.jobs() if job.name == "final/1/0.5/OWS exact")
    answers = {"0.5": {"OWS exact": [16] * 14, "random": [8] * 14}}
    results = {
        "table": {"full_ms": 0.4},
        "answers/1": answers,
        "final/1/0.35/greedy": row("greedy", 1, 0.7, configuration=[16] * 14),
        "final/2/0.5/OWS exact": row("OWS exact", 2, 0.9, configuration=[16] * 14),
    }
    taken = job.run(results)
    assert (taken["accuracy"], taken["same_as"]) == (0.7, "final/1/0.35/greedy")
    assert (taken["method"], taken["target"], taken["target_ms"]) == ("OWS exact", 0.5, 0.2)
    other = next(job for job in benchmark.jobs() if job.name == "final/1/0.5/random")
    assert job.key(results) != other.key(results)


def test_the_uniform_baseline_is_the_widest_that_meets_the_target(tmp_path):
    """Oracle: a table by which latency is the number of the layers' channels, in µs."""
    benchmark = Benchmark(MINIATURE, tmp_path)
    space = SearchSpace(input_size=32, classes=10, min_width=0.1, max_width=0.7, levels=3)
    entries = {v: v.out_channels / 1000 for v in space.variables}
    LatencyTable(entries, {"search_space": space.as_dict()}).save(benchmark.table_path)
    middle, widest = space.uniform_multipliers()[1:]
    full_ms = LatencyTable.load(benchmark.table_path).predict(widest)
    middle_ms = LatencyTable.load(benchmark.table_path).predict(middle)
    assert benchmark.widest_uniform(full_ms) == widest == benchmark.largest()
    assert benchmark.widest_uniform(0.999 * full_ms) == middle
    assert benchmark.widest_uniform(middle_ms) == middle


def test_the_table_pairs_seeds_and_tells_what_is_missing(tmp_path):
    """Oracle: by hand: differences of +2 and 0 points have mean 1 and deviation √2."""
    rows = [
        row("OWS exact", 0, 0.80), row("OWS exact", 1, 0.84),
        row("greedy", 0, 0.82), row("greedy", 1, 0.84, same_as="x"), row("greedy", 2, 0.9),
        row("random", 0, 0.5),
    ]  # fmt: skip
    text = as_markdown(rows, ["final/2/0.5/OWS exact"], ["Set up so."])
    assert "Set up so." in text
    assert "**Not finished: 1 trainings** (final/2/0.5/OWS exact)." in text
    lines = {
        line.split(" | ")[1]: line.split(" | ") for line in text.splitlines() if "50 %" in line
    }
    assert lines["OWS exact"][2:6] == ["2", "82.0 ± 2.8", "", "0.190 ± 0.000"]
    assert lines["greedy"][2:5] == ["3", "85.3 ± 4.2", "+1.0 ± 1.4"]
    assert lines["greedy"][6] == "0.300 ± 0.100"
    assert lines["random"][2:5] == ["1", "50.0", "-30.0"]
    assert "| greedy | +1.0 ± 1.4 | 1 of 2 |" in text
    assert "1 of 6 answers equal one of the same seed" in text
    two_targets = [*rows, row("OWS exact", 0, 0.6) | {"target": 0.7}]
    two_targets += [row("random", 0, 0.9) | {"target": 0.7}]  # +30 points, after -30
    text = as_markdown(two_targets, [], [])
    assert "| random | +0.0 | 1 of 2 |" in text
    assert "\n| greedy |" not in text  # no seed at the second target
    assert write_report(rows, [], [], tmp_path) == (tmp_path / "accuracy.md").read_text()
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
