"""What the benchmarks share that build on the networks which benchmarks.accuracy has trained."""

from pathlib import Path

from benchmarks.retraining.accuracy_jobs import Benchmark
from benchmarks.retraining.accuracy_settings import parse_arguments
from benchmarks.retraining.jobs import finished, run_all

SEEDS = 3  # the first ones


class Following:
    """Jobs in the folder of benchmarks.accuracy; a subclass has their FILE, and lists them."""

    FILE: str  # of JSON lines, one for each finished job

    def __init__(self, settings, folder):
        self.accuracy = Benchmark(settings, folder)
        self.settings, self.jobs_path = settings, Path(folder, self.FILE)
        self.seeds = settings.seeds[:SEEDS]

    def of_accuracy(self):
        """Return {name: result} of the jobs that benchmarks.accuracy has finished."""
        return finished(self.accuracy.jobs_path)

    def jobs(self):
        """Return all jobs, with those of benchmarks.accuracy that they need."""
        raise NotImplementedError


def run_following(description, kind, write_report):
    """Run the jobs of a kind of Following as the command line asks, and print its report."""
    asked = parse_arguments(description.partition("\n")[0])
    benchmark = kind(asked.settings, asked.folder)
    if not asked.only_reports:
        run_all(benchmark.jobs(), benchmark.jobs_path, asked.slots, benchmark.of_accuracy())
    print(write_report(benchmark, asked.results_folder))
