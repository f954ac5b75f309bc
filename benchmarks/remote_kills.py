"""Agent, pipe and client of `latency.py generate --host`, killed at random moments.

    python -m benchmarks.remote_kills [--kills 50]

The client measures through sshd on the loopback address. One of the three processes is killed by
SIGKILL, all the others have to end by themselves, samples seen before have to be in the file, and
the same command has to continue it. Prints a line per kill; status 1 if one of this failed.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import latency
from benchmarks.loopback import bare_python, loopback
from utils.errors import FAILED

VICTIMS = ("agent", "pipe", "client")
PATIENCE_S = 60
QUICK = ["-B", "1", "--input-size", "32", "--classes", "10", "-I", "4", "-W", "1"]
ROUNDS = ["--rounds", "2", "--group-size", "3"]


def generate(path, host, count=10**6):
    """Return the arguments of latency.py that measure tiny networks on a Host."""
    way = ["--host", host.name, "--remote-shell", host.shell, "--remote-python", host.python]
    size = ["-N", str(count)]
    return ["generate", "-D", "onnxruntime", *way, *QUICK, *ROUNDS, *size, str(path)]


def lines_of(path):
    """Return the complete lines of a file, bytes."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def processes_of(python):
    """Return {process id: words} of the processes that name a path; zombies name nothing."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:  # it has ended
            continue
        if any(python in word for word in words):
            found[int(entry.name)] = words
    return found


def victim_among(processes, victim, client, python):
    """Return the id of the process to kill, None if it does not run yet."""
    if victim == "client":
        return client.pid
    for number, words in processes.items():
        is_agent = words[0] == python
        if number != client.pid and is_agent == (victim == "agent"):
            return number
    return None


def wait_until(holds, patience_s=PATIENCE_S):
    """Return whether a condition holds before the patience ends."""
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kill_one(path, host, victim, delay_s):
    """Start measuring, kill a process `delay_s` after the first sample; return what went wrong.

    delay_s: None to kill the victim as soon as it runs
    Returns (problems, a list of texts; the error line of the client; seconds until all had ended)
    """
    before = lines_of(path)
    command = [sys.executable, latency.__file__, *generate(path, host)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
        if delay_s is not None:
            wait_until(lambda: len(lines_of(path)) > len(before) or client.poll() is not None)
            time.sleep(delay_s)

        targets = []

        def find():
            processes = processes_of(host.python)
            targets[:] = [victim_among(processes, victim, client, host.python)]
            return targets[0] or client.poll() is not None

        wait_until(find)
        (target,), seen, start = targets, lines_of(path), time.monotonic()
        if target is None:
            client.kill()
            return ["nothing to kill"], client.stderr.read().decode(), 0.0
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
        have_ended = wait_until(lambda: client.poll() is not None and not processes_of(host.python))
        took_s = time.monotonic() - start
        client.kill()
        said = client.stderr.read().decode(errors="replace").replace("\r", "\n").splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    problems = [] if have_ended else [f"left: {processes_of(host.python)}"]
    if lines_of(path)[: len(seen)] != seen:
        problems.append("a finished sample is lost")
    if seen[: len(before)] != before:
        problems.append("an earlier sample is lost")
    is_told = client.returncode == FAILED and len(errors) == 1 and host.name in errors[0]
    if victim != "client" and not is_told:
        problems.append(f"status {client.returncode}, said {said[-3:]}")
    return problems, (errors or [""])[0], took_s


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    moments, failures, times_s = random.Random(args.seed), 0, []
    with tempfile.TemporaryDirectory() as folder:
        python, path = bare_python(f"{folder}/python"), Path(folder, "s.jsonl")
        with loopback(python) as host:
            for number in range(args.kills):
                victim = VICTIMS[number % len(VICTIMS)]
                # Every fourth while it starts, before the first sample of the run.
                delay_s = None if number % 4 == 3 else moments.uniform(0, 1.5)
                problems, said, took_s = kill_one(path, host, victim, delay_s)
                failures += bool(problems)
                times_s.append(took_s)
                result = "; ".join(problems) or f"all ended after {took_s:.2f} s"
                count = len(lines_of(path))
                print(f"{number + 1:3} {victim:6} {count:5} samples, {result} {said}", flush=True)
            total = len(lines_of(path)) + 4
            latency.main(generate(path, host, total))
            is_whole = len(lines_of(path)) == total
    print(
        f"{args.kills} kills, {failures} failures; processes ended within {max(times_s):.2f} s; "
        f"{'the file went on' if is_whole else 'THE FILE DID NOT GO ON'} to {total} samples"
    )
    sys.exit(bool(failures) or not is_whole)


if __name__ == "__main__":
    main()
