"""latency.py generate, killed with SIGKILL at random moments: the next run continues."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import latency
from nas.sampling import BIASED, draw_configurations
from nas.search_space import SearchSpace
from utils.json_lines import metadata_path, read_lines

PROTOCOLS = {
    "in a row": ["--rounds", "0"],
    "in rounds": ["--rounds", "2", "--group-size", "3"],
}


def generate(path, count, *options):
    """Return the arguments of a run on tiny networks."""
    network = ["-D", "onnxruntime", "--input-size", "8", "--classes", "2", "-B", "1"]
    return ["generate", *network, "-I", "4", "-W", "1", *options, "-N", str(count), str(path)]


def complete_lines(path):
    """Return the lines that a killed process left, but for a last one without its end."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def kill_while_it_measures(path, delay_s, *options):
    """Start a run, wait until it has begun to measure, and kill it `delay_s` seconds later."""
    before = len(complete_lines(path))
    command = [sys.executable, latency.__file__, *generate(path, 10**6, *options)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(complete_lines(path)) == before and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_at_random_moments_nothing_is_lost_and_the_sequence_continues(tmp_path, protocol):
    """The oracles: every line seen before a kill, and the draws of an uninterrupted run."""
    path = tmp_path / "s.jsonl"
    options = ["--biased", "--seed", "4", *PROTOCOLS[protocol]]
    seen = []
    moments = random.Random(0)
    for _ in range(2):
        kill_while_it_measures(path, moments.uniform(0, 0.3), *options)
        lines = complete_lines(path)
        assert lines[: len(seen)] == seen
        assert len(lines) > len(seen)
        assert metadata_path(path).exists()
        seen = lines
    total = len(seen) + 4
    latency.main(generate(path, total, *options))
    assert complete_lines(path)[: len(seen)] == seen
    drawn = [tuple(widths) for _, (widths, *_) in read_lines(path)]  # every line parses
    uninterrupted = draw_configurations(SearchSpace(8, 2), 4, BIASED, 1, [])
    assert drawn == list(itertools.islice(uninterrupted, total))
    assert sorted(os.listdir(tmp_path)) == [path.name, metadata_path(path).name]
