"""The latency table of one device: networks timed on it, fitted, and validated on others."""

from functools import cached_property
from pathlib import Path

import numpy as np

import demo
from nas.latency_table import LatencyTable
from utils.metadata import Metadata

BATCH_SIZE = 64
RUNS = 90  # timed runs of each answer


def device_options(name):
    """Return the options of latency.py for a device, such as "onnxruntime"."""
    return ("--device", name, "--batch-size", str(BATCH_SIZE), "--threads", "1")


class DeviceTable:
    """Samples, held-out samples and the table of a device, in one folder."""

    def __init__(self, settings, folder, device):
        """device: its name"""
        self.settings, self.folder, self.device = settings, Path(folder), device

    @property
    def path(self):
        """Return where the table is."""
        return self.folder / "table.jsonl"

    @cached_property
    def table(self):
        """Return the LatencyTable, once it is made."""
        return LatencyTable.load(self.path)

    def make(self, run):
        """Measure, fit and validate.

        run: run(script, *arguments) as a user would
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        samples, held_out = self.folder / "samples.jsonl", self.folder / "held-out.jsonl"
        common = (*device_options(self.device), *self.settings.space)
        common += ("--input-size", "32", "--classes", self.settings.classes)
        for path, seed, count in (
            (samples, 0, self.settings.samples),
            (held_out, 1, self.settings.samples // 4),
        ):
            run("latency.py", "generate", *common, "--seed", seed, "--count", count, path)
        run("latency.py", "fit", samples, self.path)
        run("latency.py", "validate", held_out, self.path, self.folder / "correlation.png")


def measure(configurations, classes, device):
    """Time configurations together; return {configuration: result of latency.py}, Metadata.

    Latencies are those at one speed of the machine, the median one, by the reference network that
    is timed beside: shared machines change their speed within seconds.
    """
    widths = sorted({",".join(map(str, configuration)) for configuration in configurations})
    network = ("--input-size", "32", "--classes", str(classes), "--iterations", str(RUNS))
    printed = demo.benchmark(*device_options(device), *network, *widths)
    results = printed["results"]
    reference_ms = np.median([result["reference_ms"] for result in results])
    for result in results:
        result["latency_ms"] *= reference_ms / result["reference_ms"]
    metadata = Metadata.of(printed["metadata"])
    return {tuple(result["configuration"]): result for result in results}, metadata


def device_as_text(metadata):
    """Return the processor, the runtime and its versions that Metadata state, as text."""
    versions = ", ".join(" ".join(pair) for pair in metadata.versions.items())
    return f"{metadata.device_name}, {metadata.runtime} ({versions})"
