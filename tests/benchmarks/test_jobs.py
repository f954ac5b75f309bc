"""Jobs that build on each other, and what is left of them when a run is killed."""

import json
import sys
import threading

import pytest

from benchmarks.retraining.jobs import Job, finished, run_all, run_command
from utils.errors import UserError


def job(name, needs=(), run=None, key=None):
    return Job(name, needs, 1, run or (lambda results: {"after": sorted(results)}), key)


def test_a_job_sees_the_results_of_those_that_it_needs(tmp_path):
    """Oracle: by hand; the file holds what is returned."""
    jobs = [
        job("c", ("a", "b"), lambda results: {"sum": results["a"]["x"] + results["b"]["x"]}),
        job("a", (), lambda _: {"x": 1}),
        job("b", ("a",), lambda results: {"x": 10 * results["a"]["x"]}),
    ]
    results = run_all(jobs, tmp_path / "jobs.jsonl", slots=2)
    assert results == {"a": {"x": 1}, "b": {"x": 10}, "c": {"sum": 11}}
    assert finished(tmp_path / "jobs.jsonl") == results


def test_ready_jobs_start_in_their_order(tmp_path):
    """Oracle: the order of the list, but for a job that waits for another one."""
    started = []
    jobs = [
        job(name, needs, lambda _, name=name: started.append(name) or {})
        for name, needs in (("a", ()), ("b", ("d",)), ("c", ()), ("d", ()), ("e", ()))
    ]
    run_all(jobs, tmp_path / "jobs.jsonl", slots=1)
    assert started == ["a", "c", "d", "b", "e"]


def test_jobs_run_beside_each_other_unless_their_keys_are_equal(tmp_path):
    """Oracle: a barrier that only two jobs at a time can pass; a lock that is never taken twice."""
    barrier, lock = threading.Barrier(2, timeout=20), threading.Lock()

    def meets(_):
        barrier.wait()
        return {}

    def alone(_):
        assert lock.acquire(blocking=False)
        lock.release()
        return {}

    jobs = [job("a", (), meets), job("b", (), meets)]
    jobs += [job(f"k{number}", (), alone, lambda _: "same") for number in range(6)]
    assert len(run_all(jobs, tmp_path / "jobs.jsonl", slots=2)) == 8


def test_what_is_gone_is_made_again_for_those_that_need_it(tmp_path):
    """Oracle: by hand: b needs a's file, c that of d, which needs e; nobody needs f's any more."""
    ran = []

    def leaving(name, needs=()):
        path = tmp_path / name

        def run(_):
            ran.append(name)
            path.touch()
            return {}

        return Job(name, needs, 1, run, leaves=path)

    jobs = [leaving("a"), leaving("e"), leaving("d", ("e",)), leaving("f")]
    run_all(jobs, tmp_path / "jobs.jsonl", slots=1)
    for path in map(tmp_path.joinpath, "aedf"):
        path.unlink()
    (tmp_path / "a").touch()
    ran.clear()
    jobs += [leaving("b", ("a",)), leaving("c", ("d",))]
    run_all(jobs, tmp_path / "jobs.jsonl", slots=1)
    assert ran == ["e", "d", "b", "c"]
    ran.clear()
    run_all(jobs, tmp_path / "jobs.jsonl", slots=1)
    assert ran == []


def test_finished_jobs_are_not_run_again_and_a_failed_one_is(tmp_path):
    """Oracle: how often each ran; a torn last line, as a kill leaves it, counts as not finished."""
    path, ran = tmp_path / "jobs.jsonl", []

    def fails(_):
        ran.append("b")
        raise UserError("no luck")

    with pytest.raises(UserError, match="no luck"):
        run_all([job("a"), job("b", ("a",), fails), job("c", ("b",))], path, slots=2)
    assert set(finished(path)) == {"a"}
    with open(path, "a") as file:
        file.write('{"job": "b", "resu')
    again = [job("a", (), fails), job("b", ("a",)), job("c", ("b",))]
    results = run_all(again, path, slots=2)
    assert ran == ["b"]
    assert results["c"] == {"after": ["a", "b"]}
    assert [json.loads(line)["job"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


def test_what_runs_beside_a_failed_job_is_kept(tmp_path):
    """Oracle: the lines; the good job ends after the bad one."""
    path, ended = tmp_path / "jobs.jsonl", threading.Event()

    def fails(_):
        ended.set()
        raise UserError("no luck")

    def ends_later(_):
        ended.wait(10)
        return {"good": True}

    jobs = [job("bad", (), fails), job("good", (), ends_later), job("later", ("good",))]
    with pytest.raises(UserError, match="no luck"):
        run_all(jobs, path, slots=2)
    assert finished(path) == {"good": {"good": True}}


def test_a_command_tells_its_times_and_leaves_its_output(tmp_path):
    """Oracle: a program that computes for a while, with one thread, and one that fails."""
    log = tmp_path / "logs" / "log"
    code = "import os; sum(range(10**7)); print('threads', os.environ['OMP_NUM_THREADS'])"
    wall_s, cpu_s = run_command([sys.executable, "-c", code], log)
    assert 0 < cpu_s <= wall_s + 0.5
    assert "threads 1" in log.read_text()
    with pytest.raises(UserError, match="ended with 3: see"):
        run_command([sys.executable, "-c", "raise SystemExit(3)"], log)
