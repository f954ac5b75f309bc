"""Are the searched widths better at equal latency? Every answer retrained from scratch.

    python -m benchmarks.accuracy                  the whole benchmark, on two cores
    python -m benchmarks.accuracy --noise          only: can such retraining tell widths apart?
                                                   12 random networks of equal latency, two seeds
    python -m benchmarks.accuracy --slots 16       on 16 cores, one job each
    python -m benchmarks.accuracy --report         what is finished, as tables and a picture
    python -m benchmarks.accuracy --miniature      all steps on the digits, in minutes

One latency table (ONNX Runtime, one thread, 32×32, batch 64, of which dispatch takes less than at
batch 1: there the narrowest network takes 28 % of the widest one's time, here 17 %, with 5 % of its
operations), four targets, five seeds. Methods: the widest uniform network of any multiplier; a
random feasible configuration; greedy slimming; OWS and AOWS as in the paper, by means and
bisection; and as they are here, by --scores fitted; and, if `make peers` has installed them,
Torch-Pruning (magnitude, Taylor) and Model-Optimizer's FastNAS on the widest network, trained. All
OWS answers of a seed come from one supernet; AOWS trains its own per target, from OWS's warm-up on.
"OWS, trained" and "AOWS, trained" start at the trained widest network instead, and take half the
epochs; "means" and "monotone" are other scores of the same supernet as "OWS, trained". The default,
"monotone", is asked for a target of 65 %, too: is it as good as the widest network there?
All answers are measured together at the end.

It resumes after a kill: output/accuracy/jobs.jsonl lists the finished jobs. It writes
accuracy.jsonl, accuracy.md and accuracy.png, the README's picture, to benchmarks/results.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.accuracy_jobs import DEVICE, Benchmark
from benchmarks.retraining.accuracy_report import write_report
from benchmarks.retraining.accuracy_settings import parse_arguments
from benchmarks.retraining.device_table import BATCH_SIZE, RUNS, device_as_text, measure
from benchmarks.retraining.jobs import finished, run_all
from benchmarks.retraining.noise_jobs import noise_jobs
from benchmarks.retraining.peer_jobs import PEERS, is_installed
from benchmarks.retraining.seed_noise import noise_as_text
from utils.errors import exits_with_one_line
from utils.images.open_dataset import open_dataset


def describe(benchmark, results, metadata):
    """Return sentences about what was trained and measured; metadata: of the answers' timing."""
    settings, of_table = benchmark.settings, benchmark.table.metadata
    train, val = open_dataset(settings.data, 32, seed=0)
    cpu_s = sum(r.get("cpu_s", 0) for r in results.values() if "same_as" not in r)
    low, high, levels = settings.space[1::2]
    return [
        f"{settings.data}: {len(train)} training images, {len(val)} for validation, 32×32. "
        f"Widths: {levels} multipliers from {low} to {high}. Supernets: "
        f"{settings.supernet_epochs} epochs, AOWS after {settings.warmup} of warm-up. Trainings "
        f"from scratch: {settings.epochs} epochs, accuracy after the last one. "
        f"Seeds, those not finished among them: {', '.join(map(str, settings.seeds))}.",
        "",
        f"Latency table: {settings.samples} networks on {device_as_text(of_table)}, one thread, "
        f"batch {BATCH_SIZE}. The answers were measured together, {RUNS} runs in rounds, on "
        f"{device_as_text(metadata)}. Training so far: {cpu_s / 60:.0f} minutes of one core, with "
        "evaluation.",
    ]


def report(benchmark, results_folder):
    """Measure what is trained and write the results; print the table."""
    results = finished(benchmark.jobs_path)
    trained = {name: r for name, r in results.items() if name.startswith("final/")}
    settings = benchmark.settings
    configurations = [result["configuration"] for result in trained.values()]
    measured, metadata = measure(configurations, settings.classes, DEVICE)
    rows = []
    for result in trained.values():
        timed = measured[tuple(result["configuration"])]
        counts = {"macs": timed["macs"], "parameters": timed["parameters"]}
        rows.append(result | {"measured_ms": timed["latency_ms"]} | counts)
    missing = [
        job.name for job in benchmark.jobs()
        if job.name.startswith("final/") and job.name not in trained
    ]  # fmt: skip
    setting = describe(benchmark, results, metadata)
    setting += ["", noise_as_text(results, len(settings.seeds))]
    print(write_report(rows, missing, setting, results_folder))


@exits_with_one_line
def main():
    noise = "only compare seeds of one network with networks of equal latency"
    asked = parse_arguments(__doc__.partition("\n")[0], noise=noise)
    peers = PEERS if is_installed() and not asked.is_miniature else ()
    benchmark = Benchmark(asked.settings, asked.folder, peers)
    only_noise = "noise" in asked.flags
    if not asked.only_reports:
        jobs = noise_jobs(benchmark) if only_noise else benchmark.jobs()
        run_all(jobs, benchmark.jobs_path, asked.slots)
    if only_noise:
        print(noise_as_text(finished(benchmark.jobs_path), len(asked.settings.seeds)))
    else:
        report(benchmark, asked.results_folder)


if __name__ == "__main__":
    main()
