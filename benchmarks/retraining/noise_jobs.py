"""Jobs of benchmarks.accuracy --noise: random networks of equal latency, trained by some seeds."""

import numpy as np

from benchmarks.retraining.jobs import Job
from benchmarks.retraining.seed_noise import CONFIGURATIONS, SEEDS, equal_configurations


def noise_jobs(benchmark):
    """Return the jobs, in the folder of an accuracy_jobs.Benchmark, whose table they use."""
    cost_s = benchmark.settings.epochs * benchmark.settings.epoch_cost_s
    jobs = [benchmark.table_job()]
    for seed in SEEDS:
        for number in range(CONFIGURATIONS):
            name = f"noise/{number}/{seed}"
            run = _training(benchmark, name, number, seed)
            jobs.append(Job(name, ("table",), cost_s, run))
    return jobs


def _training(benchmark, name, number, seed):
    """Return how one of the random configurations is trained."""

    def run(results):
        target_ms = benchmark.settings.targets[0] * results["table"]["full_ms"]
        rng = np.random.default_rng(0)
        found = equal_configurations(benchmark.table, benchmark.space, target_ms, rng)
        configuration = found[number]
        return {"configuration": configuration} | benchmark.train(name, configuration, seed)

    return run
