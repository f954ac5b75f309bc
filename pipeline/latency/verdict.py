"""Whether a measured latency meets a target: at the table's machine speed, with its noise."""

from dataclasses import dataclass

import numpy as np

from pipeline.latency.conditions import condition_differences
from utils.formatting import as_typed
from utils.progress import warn

SURE = 2  # standard errors between a latency and its target; with fewer the verdict is left open
MET, MISSED, OPEN = "met", "missed", "undecided"


def reference_of(table, metadata, target_ms):
    """Return the reference network's latency, in ms, at the machine speed that a table holds for.

    None if measured latencies cannot be scaled to it: there is no table, it lacks the latency
    (a warning if a target depends on it), or it was measured in other conditions than the Metadata
    state.
    """
    if table is None or condition_differences(table.metadata, metadata):
        return None
    reference_ms = table.metadata.reference_ms or None
    if target_ms and not reference_ms:
        warn(
            f"{table.source} does not state the latency of the reference network: the speed of its "
            "machine is not known, and the target is compared with latencies as measured"
        )
    return reference_ms


@dataclass(frozen=True)
class Verdict:
    """A latency beside a target, both in ms per image; noise: its relative standard error.

    The noise is infinite if it is unknown.
    """

    latency_ms: float
    target_ms: float
    noise: float

    @property
    def name(self):
        """MET or MISSED, or OPEN if noise might reverse it."""
        if abs(self.latency_ms - self.target_ms) < SURE * self.noise * self.latency_ms:
            return OPEN
        return MET if self.latency_ms <= self.target_ms else MISSED

    def __str__(self):
        away = self.latency_ms / self.target_ms - 1
        noise = f"with a noise of ± {self.noise:.1%}"
        if self.noise == np.inf:
            noise = "with unknown noise: it was timed once"
        return f"target {as_typed(self.target_ms)} ms: {self.name}, {away:+.1%} from it, {noise}"


def noise_of(timed, reduction, is_scaled):
    """Return the relative standard error of a Timed network's latency.

    is_scaled: the latency was divided by the reference network's, which adds its noise
    """
    rng = np.random.default_rng(0)
    noise = timed.measurement.noise(reduction, rng)
    return float(np.hypot(noise, timed.reference.noise(reduction, rng))) if is_scaled else noise
