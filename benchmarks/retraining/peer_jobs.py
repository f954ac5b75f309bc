"""The jobs of benchmarks.accuracy that run other tools, in an environment of their own."""

from pathlib import Path

from benchmarks.retraining.jobs import Job, run_command
from utils.json_lines import read_lines

PYTHON = Path(".venv-peers/bin/python")  # `make peers`
PRUNING = "benchmarks.peers.torch_pruning"
# Name -> module, options and seconds on a quiet core.
PEERS = {
    "Torch-Pruning, magnitude": (PRUNING, ("--importance", "magnitude"), 10),
    "Torch-Pruning, Taylor": (PRUNING, ("--importance", "taylor"), 150),
    "FastNAS": ("benchmarks.peers.fastnas", (), 300),
}


def is_installed():
    """Return whether the other tools are installed."""
    return PYTHON.exists()


def job_name(seed, peer):
    """Return the name of the job that asks a peer for the widths of all targets."""
    return f"peer/{seed}/{peer}"


def peer_job(benchmark, seed, peer, widest):
    """Return the job that asks a peer for widths: {target as text: configuration}, "cpu_s".

    benchmark: the Benchmark; widest: the job that has trained the widest network by this seed
    """
    module, options, cost_s = PEERS[peer]
    name, settings = job_name(seed, peer), benchmark.settings

    def run(results):
        path = benchmark.folder_of(name).with_suffix(".jsonl")
        path.unlink(missing_ok=True)  # what a killed run left
        parameters = benchmark.parameters_of(widest)
        targets_ms = {t: t * results["table"]["full_ms"] for t in settings.targets}
        command = [PYTHON, "-m", module, parameters, benchmark.table_path, path, *options]
        command += ["--data", settings.data, "--seed", seed, "--targets", *targets_ms.values()]
        wall_s, cpu_s = run_command([*map(str, command)], benchmark.log_path(name))
        lines = [line for _, line in read_lines(path)]
        found = {line["target_ms"]: line["configuration"] for line in lines}
        answers = {str(target): found[ms] for target, ms in targets_ms.items()}
        return answers | {"wall_s": wall_s, "cpu_s": cpu_s}

    return Job(name, (widest,), cost_s, run)
