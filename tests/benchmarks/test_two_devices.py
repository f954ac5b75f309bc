"""The benchmark of two devices: its jobs, and its 2 × 2 table."""

import pytest

from benchmarks.retraining.accuracy_methods import FITTED
from benchmarks.retraining.accuracy_settings import FULL, MINIATURE
from benchmarks.retraining.two_devices_jobs import DEVICES, TwoDevices
from benchmarks.retraining.two_devices_report import as_markdown, rows_of, write_report
from utils.errors import UserError
from utils.json_lines import write_lines

FIRST, SECOND = DEVICES
NARROW, WIDE, WIDEST = (8,), (16,), (32,)


def trained(configuration, accuracy):
    return {"configuration": configuration, "accuracy": accuracy, "loss": 1 - accuracy}


def test_jobs_need_what_comes_before_them(tmp_path):
    """Oracle: counting: three tables; per seed a network, a supernet; per target 2 × 2 others."""
    jobs = TwoDevices(FULL, tmp_path).jobs()
    assert len(jobs) == 3 + 2 * (2 + 4 * len(FULL.targets))
    seen = set()
    for job in jobs:
        assert set(job.needs) <= seen
        seen.add(job.name)
    assert len(seen) == len(jobs)
    assert [job.name for job in jobs if not job.needs] == ["table"]  # nothing runs beside tables
    tables = {f"{device}/table" for device in DEVICES}
    assert all(tables <= set(job.needs) for job in jobs if "answer" in job.name)
    assert len(TwoDevices(MINIATURE, tmp_path).jobs()) == 3 + 2 + 4


def test_a_supernet_is_asked_with_the_table_of_the_device(tmp_path, monkeypatch):
    """Oracle: by hand: half of the widest network's latency on that device; its table's path."""
    benchmark, asked = TwoDevices(FULL, tmp_path), {}

    def ask(seed, target, name, target_ms, table_path):
        asked.update(seed=seed, name=name, target_ms=target_ms, table_path=table_path)
        return {"configuration": NARROW}

    monkeypatch.setattr(benchmark.accuracy, "ask", ask)
    (job,) = (j for j in benchmark.jobs() if j.name == f"{SECOND}/answer/4/0.5")
    results = {f"{FIRST}/table": {"full_ms": 1.0}, f"{SECOND}/table": {"full_ms": 4.0}}
    assert job.run(results) == {"target_ms": 2.0, "configuration": NARROW}
    path = tmp_path / "two-devices" / SECOND / "table.jsonl"
    assert asked == {"seed": 4, "name": FITTED, "target_ms": 2.0, "table_path": path}


def test_equal_widths_for_both_devices_are_trained_once(tmp_path, monkeypatch):
    """Oracle: the result of the other device's training is taken over; other widths train."""
    benchmark = TwoDevices(FULL, tmp_path)
    monkeypatch.setattr(benchmark.accuracy, "train", lambda *_: {"accuracy": 0.5})
    (job,) = (j for j in benchmark.jobs() if j.name == f"{SECOND}/final/4/0.5")
    results = {f"{FIRST}/final/4/0.5": trained(NARROW, 0.8)}
    answer = f"{SECOND}/answer/4/0.5"
    assert job.run(results | {answer: {"configuration": NARROW}})["accuracy"] == 0.8
    assert job.run(results | {answer: {"configuration": WIDE}})["accuracy"] == 0.5


def test_the_table_has_both_devices_latencies_of_both_answers(tmp_path):
    """Oracle: by hand: narrow widths meet the first device's target of 1 ms, and not the other's.

    What only one device's answer is trained for does not count.
    """
    benchmark = TwoDevices(FULL, tmp_path)
    with pytest.raises(UserError, match="no training is finished"):
        write_report(benchmark, tmp_path)
    results = {
        (FIRST, 0.5, 3): trained(NARROW, 0.8), (SECOND, 0.5, 3): trained(WIDE, 0.9),
        (FIRST, 0.5, 4): trained(WIDE, 0.1),
    }  # fmt: skip
    lines = {f"{d}/final/{s}/{t}": result for (d, t, s), result in results.items()}
    write_lines(benchmark.jobs_path, [{"job": n, "result": r} for n, r in lines.items()])
    assert benchmark.results() == {
        key: r | {"configuration": list(r["configuration"])} for key, r in results.items()
    }
    measured_ms = {
        FIRST: {NARROW: 0.9, WIDE: 1.2, WIDEST: 2.0},
        SECOND: {NARROW: 2.2, WIDE: 1.8, WIDEST: 4.0},
    }
    rows = rows_of(results, measured_ms, WIDEST)
    text = as_markdown(rows, benchmark, dict.fromkeys(DEVICES, "a CPU"))
    assert f"| {FIRST} | 90.0 | 110.0 | 80.00 |" in text
    assert f"| {SECOND} | 120.0 | 90.0 | 90.00 |" in text
    assert f"| {FIRST} | 90.0 (90.0) | 110.0 (110.0) | 80.00 (80.00) |" in text
    assert "**Not finished: 13: onnxruntime/final/3/0.35; " in text
    alone = as_markdown(rows[:1], benchmark, dict.fromkeys(DEVICES, "a CPU"))
    assert "| searched for" not in alone
    assert "nan" not in alone
