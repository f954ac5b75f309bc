"""Are the searched widths better at equal latency? Every answer retrained from scratch.

    python -m benchmarks.accuracy                  the whole benchmark, on two cores
    python -m benchmarks.accuracy --own            also what `train_nas.py --scores monotone` and
                                                   `--rerank` answer: half as long again
    python -m benchmarks.accuracy --report         what is finished, as table and picture
    python -m benchmarks.accuracy --miniature      all steps on the digits, in minutes

One latency table (ONNX Runtime, one thread, 32×32, batch 1), three targets, three seeds. From one
OWS supernet per seed: the best uniform multiplier, a random feasible configuration, greedy
slimming, OWS by bisection and exact. AOWS, by independent and by joint draws, trains its own
supernet per target and seed. All answers are measured together at the end.

Killed and started again, it goes on: output/accuracy/jobs.jsonl holds the finished jobs.
Writes accuracy.jsonl, accuracy.md, accuracy.png into benchmarks/results.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import json
import subprocess
import sys

from benchmarks.retraining.accuracy_jobs import DEVICE, OURS, SLOTS, Benchmark, parse_arguments
from benchmarks.retraining.accuracy_report import write_report
from benchmarks.retraining.jobs import finished, run_all
from utils.errors import exits_with_one_line
from utils.images.open_dataset import open_dataset

RUNS = 60  # timed runs of each answer


def measure(configurations, classes):
    """Time configurations together; return {configuration: what latency.py tells}, metadata."""
    widths = sorted({",".join(map(str, configuration)) for configuration in configurations})
    network = ("--input-size", "32", "--classes", str(classes), "--iterations", str(RUNS))
    command = [sys.executable, "latency.py", "benchmark", *DEVICE, *network, "--json", *widths]
    printed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {tuple(r["configuration"]): r for r in printed["results"]}, printed["metadata"]


def describe(settings, results, metadata):
    """Return sentences about what was trained and measured."""
    train, val = open_dataset(settings.data, 32, seed=0)
    cpu_s = sum(r.get("cpu_s", 0) for r in results.values() if "same_as" not in r)
    versions = ", ".join(" ".join(pair) for pair in metadata["versions"].items())
    low, high, levels = settings.space[1::2]
    return [
        f"{settings.data}: {len(train)} training images, {len(val)} for validation, 32×32. "
        f"Widths: {levels} multipliers from {low} to {high}. Supernets: "
        f"{settings.supernet_epochs} epochs, AOWS after {settings.warmup} of warm-up. Trainings "
        f"from scratch: {settings.epochs} epochs, accuracy after the last one. "
        f"Seeds: {', '.join(map(str, settings.seeds))}.",
        "",
        f"Latency table: {settings.samples} networks on {metadata['device_name']}, "
        f"{metadata['runtime']} ({versions}), one thread, batch 1; the answers were measured "
        f"together, {RUNS} runs in rounds. Training so far: {cpu_s / 60:.0f} minutes of one "
        "core, with evaluation.",
    ]


def report(benchmark, results_folder):
    """Measure what is trained and write the results; print the table."""
    results = finished(benchmark.jobs_path)
    trained = {name: r for name, r in results.items() if name.startswith("final/")}
    settings = benchmark.settings
    measured, metadata = measure([r["configuration"] for r in trained.values()], settings.classes)
    rows = []
    for result in trained.values():
        timed = measured[tuple(result["configuration"])]
        counts = {"macs": timed["macs"], "parameters": timed["parameters"]}
        rows.append(result | {"measured_ms": timed["latency_ms"]} | counts)
    missing = [
        job.name for job in benchmark.jobs()
        if job.name.startswith("final/") and job.name not in trained
    ]  # fmt: skip
    setting = describe(settings, results, metadata)
    print(write_report(rows, missing, setting, results_folder))


@exits_with_one_line
def main():
    flags = {"own": "also ask the supernets in our own ways: monotone scores, --rerank"}
    args = parse_arguments(__doc__.partition("\n")[0], **flags)
    benchmark = Benchmark(args.settings, args.folder, OURS if args.own else ())
    if not args.report:
        run_all(benchmark.jobs(), benchmark.jobs_path, SLOTS)
    report(benchmark, args.results_folder)


if __name__ == "__main__":
    main()
