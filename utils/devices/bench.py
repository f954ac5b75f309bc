"""Measuring networks on a device: the protocol, groups of networks, the reference network."""

import itertools
import math
import os
from dataclasses import dataclass
from functools import partial

from utils.devices.timing import Measurement, time_in_a_row, time_in_rounds, warm_up
from utils.errors import UserError

RUNS_PER_ROUND = 3
CPU_DEVICES = ("cpu", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Protocol:
    """How each network is timed.

    iterations:    timed runs of each network
    warmup:        untimed runs before them, and warmup_time_s: at least so many seconds of them
    rounds:        networks are timed in groups, a few runs at a time, in so many rounds; 0: each
                   network is timed in a row
    group_size:    networks of a group
    reduction:     what makes one latency of the times, one of utils.devices.timing.REDUCTIONS
    clock:         "wall" or "cpu" time
    """

    iterations: int = 60
    warmup: int = 10
    warmup_time_s: float = 0.0
    rounds: int = 0
    group_size: int = 20
    reduction: str = "median"
    clock: str = "wall"

    @classmethod
    def for_device(cls, device, threads, rounds=None, reduction=None, clock=None, **settings):
        """Return the protocol with its defaults filled in for a device.

        On a processor, networks are timed in rounds, by CPU time if there is one thread: other
        processes and other tenants of the machine disturb it least. Of the statistics, the lower
        quartile of CPU times and the minimum of wall times predicted unseen networks best. (See
        benchmarks/measurement_repeatability.py.) Raises UserError if the clock does not suit.
        """
        on_cpu = device in CPU_DEVICES
        if rounds is None:
            rounds = math.ceil(settings["iterations"] / RUNS_PER_ROUND) if on_cpu else 0
        if clock is None:
            clock = "cpu" if on_cpu and threads == 1 else "wall"
        if clock == "cpu" and not on_cpu:
            raise UserError(f"--clock cpu does not tell what device {device} takes")
        if clock == "cpu" and threads > 1:
            raise UserError("--clock cpu adds up the time of all threads: give --threads 1 with it")
        if reduction is None:
            in_rounds = "quartile" if clock == "cpu" else "min"
            reduction = in_rounds if rounds else "median"
        return cls(rounds=rounds, reduction=reduction, clock=clock, **settings)


@dataclass(frozen=True)
class Timed:
    """A network's measurement, and that of the reference network in the same minutes."""

    measurement: Measurement
    reference: Measurement


class Bench:
    """A device with the reference network on it, ready to time others.

    reference: the network that is timed beside all others; models.network.Network tells what the
    bench and its device ask of one. A context manager: leaving it releases the reference network.
    """

    def __init__(self, device, reference, workload, protocol, rng):
        self.device = device
        self.workload = workload
        self.protocol = protocol
        self._rng = rng
        self._reference = reference
        self._handle = None  # of the reference network

    def __enter__(self):
        self._handle = self._prepare(self._reference)
        return self

    def __exit__(self, *exception):
        self.device.release(self._handle)

    def time_groups(self, networks, largest, advance=None):
        """Yield (networks, one Timed for each) for group after group.

        largest: no network takes more memory; a group takes at most half of what is free
        """
        networks = iter(networks)
        size = self._group_size(largest)
        while group := list(itertools.islice(networks, size)):
            yield group, self.time_group(group, advance)

    def _group_size(self, largest):
        if not self.protocol.rounds:
            return 1
        affordable = free_memory_bytes() / 2 / largest.bytes(self.workload.batch_size)
        return max(1, min(self.protocol.group_size, int(affordable)))

    def time_group(self, networks, advance=None):
        """Return one Timed per network; `advance(n)` is called after every n timed runs."""
        handles = []
        try:
            for network in networks:
                handles.append(self._prepare(network))
            if self.protocol.rounds:
                return self._in_rounds(handles, advance)
            return [self._in_a_row(handle, advance) for handle in handles]
        finally:
            for handle in handles:
                self.device.release(handle)

    def _prepare(self, network):
        handle = self.device.prepare(network)
        warm_up(partial(self.device.run, handle), self.protocol.warmup, self.protocol.warmup_time_s)
        return handle

    def _in_a_row(self, handle, advance):
        """Time one network alone; the reference, before it, only tells the drift of the machine."""
        reference = partial(self.device.run, self._handle)
        warm_up(reference, 1)
        few = max(RUNS_PER_ROUND, self.protocol.iterations // 10)
        at_reference = time_in_a_row(reference, few)
        run = partial(self.device.run, handle)
        warm_up(run, 1)
        return Timed(time_in_a_row(run, self.protocol.iterations, advance), at_reference)

    def _in_rounds(self, handles, advance):
        measurements, reference = time_in_rounds(
            [partial(self.device.run, handle) for handle in handles],
            partial(self.device.run, self._handle),
            self.protocol.iterations,
            self.protocol.rounds,
            self._rng,
            advance,
        )
        return [Timed(measurement, reference) for measurement in measurements]


def free_memory_bytes():
    """Return the memory of this machine that is free or can be freed."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
