"""Runs jobs that build on each other, several at a time; a killed run can be resumed."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError
from utils.json_lines import Appender, read_lines
from utils.progress import progress_bar


@dataclass(frozen=True)
class Job:
    """A piece of work, run in a thread of its own, which may need the results of other jobs."""

    name: str
    needs: tuple[str, ...]  # the jobs that must be finished before
    cost_s: float  # expected seconds, for the estimate of the time left
    run: Callable  # run(results of finished jobs) -> a dictionary that JSON can hold
    key: Callable = None  # key(results) -> jobs of equal keys do not run at the same time
    leaves: Path = None  # a file or folder of it that jobs which need it read


def finished(path):
    """Return {name: result} of the jobs that are finished according to a file of JSON lines."""
    if not (Path(path).is_file() and Path(path).stat().st_size):
        return {}
    return {line["job"]: line["result"] for _, line in read_lines(path)}


def run_all(jobs, path, slots, known=None):
    """Run jobs, the first ready ones first, and write a line per finished job; return the results.

    path:  file of JSON lines {"job", "result"}; the jobs in it are not run again, unless what one
           leaves is gone and others that are not finished need it
    known: {name: result} of jobs that are finished elsewhere
    When a job fails, the run ends once the jobs beside it are done and written, and its error is
    raised.
    """
    with Appender(path) as log, ThreadPoolExecutor(slots) as pool:
        results = (known or {}) | finished(path)
        waiting = _unfinished(jobs, results)
        results = {name: results[name] for name in results.keys() - {job.name for job in waiting}}
        total = sum(job.cost_s for job in jobs)
        done = total - sum(job.cost_s for job in waiting)
        running, errors = {}, []
        # A cost is a guess in seconds: its share of the sum gives the progress and the time left.
        with progress_bar(total=total, initial=done, bar_format=_FORMAT, mininterval=10) as bar:
            while waiting or running:
                for job in _startable(waiting, running, results, slots):
                    waiting.remove(job)
                    running[pool.submit(job.run, dict(results))] = job
                bar.set_description(f"{len(jobs) - len(waiting) - len(running)}/{len(jobs)} jobs")
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    job = running.pop(future)
                    if error := future.exception():
                        errors.append(error)
                        waiting = []
                        continue
                    results[job.name] = future.result()
                    log.append([{"job": job.name, "result": results[job.name]}])
                    bar.update(job.cost_s)
        if errors:
            raise errors[0]
    return results


_FORMAT = "{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"


def _unfinished(jobs, results):
    """Return the jobs to run, in order: those without a result, and those that they need again."""
    names = {job.name for job in jobs if job.name not in results}
    while True:
        needed = {need for job in jobs if job.name in names for need in job.needs}
        gone = [
            job.name for job in jobs
            if job.name in needed - names and job.leaves and not job.leaves.exists()
        ]  # fmt: skip
        if not gone:
            return [job for job in jobs if job.name in names]
        names.update(gone)


def _startable(waiting, running, results, slots):
    """Return the jobs to start now, in order, as many as slots are free."""
    started, keys = [], {job.key(results) for job in running.values() if job.key}
    for job in waiting:
        if len(running) + len(started) == slots:
            break
        if all(name in results for name in job.needs):
            key = job.key(results) if job.key else None
            if key is None or key not in keys:
                started.append(job)
                keys.add(key)
    return started


def run_command(command, log):
    """Run a command with one thread and its output in a file; return its (seconds, CPU seconds).

    Raises UserError that names the file if the command fails. The command is killed when this
    process dies, so that it cannot interfere with the next run.
    """
    # util-linux; where it is missing, a killed benchmark leaves its last commands running.
    dies = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with open(log, "ab") as output:
        output.write(f"$ {shlex.join(command)}\n".encode())
        output.flush()
        process = subprocess.Popen([*dies, *command], stdout=output, stderr=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"{shlex.join(command[:2])} ended with {process.returncode}: see {log}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime
