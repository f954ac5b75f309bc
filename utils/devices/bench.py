"""Measuring networks on a device: the protocol, groups of networks, the reference network."""

import itertools
import math
from dataclasses import asdict, dataclass
from functools import partial

from utils.devices.cpu_runtimes import free_memory_bytes
from utils.devices.timing import (
    ONE_UNTIMED,
    Measurement,
    in_turn,
    time_in_a_row,
    time_in_rounds,
    visit,
)
from utils.errors import UserError

RUNS_PER_ROUND = 6  # with UNTIMED ones before them, what a visit finds cold weighs little
UNTIMED = 3  # runs of a visit, until a network's weights and maps are where they stay
LEAST_ROUNDS = 4  # so that a slow minute does not fall on all runs of a network
CPU_DEVICES = ("cpu", "litert", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Protocol:
    """How each network is timed.

    iterations:    timed runs of each network
    warmup:        untimed runs before them, for at least warmup_time_s seconds
    rounds:        number of rounds in which groups of networks are timed, a few runs at a time; 0:
                   all runs of a network follow each other
    group_size:    networks in a group
    untimed:       untimed runs before the timed ones of each round
    reduction:     what turns the times into one latency, one of utils.devices.timing.REDUCTIONS
    clock:         "wall" or "cpu" time
    """

    iterations: int = 60
    warmup: int = 10
    warmup_time_s: float = 0.0
    rounds: int = 0
    group_size: int = 20
    reduction: str = "median"
    clock: str = "wall"
    untimed: int = UNTIMED

    @classmethod
    def for_device(
        cls, device, threads, rounds=None, reduction=None, clock=None, warmup=None, untimed=None,
        **settings,
    ):  # fmt: skip
        """Return the protocol with its defaults filled in for a device.

        On some processors a network's second and third run after another network's took 1.5 and
        1.1 times as long as the later ones: hence UNTIMED. (See docs/results-latency.md.)

        On a CPU, networks are timed in rounds, and with one thread by CPU time, which other
        processes and other tenants of the machine disturb least. Of all statistics, the lower
        quartile of CPU times and the minimum of wall times predicted unseen networks best. (See
        benchmarks/measurement_repeatability.py.) A command does its own warm-up. Raises UserError
        if the clock or the warm-up does not fit.
        """
        on_cpu = device in CPU_DEVICES
        if rounds is None:
            rounds = usual_rounds(settings["iterations"]) if on_cpu else 0
        if clock is None:
            clock = "cpu" if on_cpu and threads == 1 else "wall"
        if clock == "cpu" and not on_cpu:
            raise UserError(f"--clock cpu does not show what device {device} takes")
        if clock == "cpu" and threads > 1:
            raise UserError("--clock cpu adds up the time of all threads: give --threads 1 with it")
        if reduction is None:
            in_rounds = "quartile" if clock == "cpu" else "min"
            reduction = in_rounds if rounds else "median"
        if device == "command":
            if warmup or settings.get("warmup_time_s"):
                raise UserError("--warmup does not reach a command: give its own option, if any")
            warmup = 0
        warmup = cls.warmup if warmup is None else warmup
        if untimed is None:
            untimed = UNTIMED if rounds and device != "command" else ONE_UNTIMED
        settings |= {"rounds": rounds, "untimed": untimed}
        return cls(reduction=reduction, clock=clock, warmup=warmup, **settings)

    def as_dict(self):
        """Return the fields that a file's metadata state."""
        fields = asdict(self)
        if self.untimed == ONE_UNTIMED:
            del fields["untimed"]
        return fields


def usual_rounds(iterations):
    """Return the number of rounds for so many timed runs of a network on a CPU."""
    return max(min(iterations, LEAST_ROUNDS), math.ceil(iterations / RUNS_PER_ROUND))


@dataclass(frozen=True)
class Timed:
    """A network's measurement, and one of the reference network at about the same time."""

    measurement: Measurement
    reference: Measurement


class Bench:
    """A device with the reference network on it, ready to time others.

    reference: the network that is timed beside all others; models.network.Network shows what the
    bench and its device need. A context manager: leaving it releases the reference network.
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

        largest: the network that takes most memory; a group takes at most half of the free memory
        """
        networks = iter(networks)
        size = self._group_size(largest)
        while group := list(itertools.islice(networks, size)):
            yield group, self.time_group(group, advance)

    def _group_size(self, largest):
        if not self.protocol.rounds:
            return 1
        # A device on another machine knows the memory of that.
        free_bytes = getattr(self.device, "free_memory_bytes", free_memory_bytes)()
        affordable = free_bytes / 2 / largest.bytes(self.workload.batch_size)
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
        if self.protocol.warmup or self.protocol.warmup_time_s:
            self._visit_of(handle)(0, self.protocol.warmup, self.protocol.warmup_time_s)
        return handle

    def _in_a_row(self, handle, advance):
        """Time one network alone; the reference before it only shows the drift of the machine."""
        few = max(RUNS_PER_ROUND, self.protocol.iterations // 10)
        at_reference = self._row(self._handle, few)
        return Timed(self._row(handle, self.protocol.iterations, advance), at_reference)

    def _row(self, handle, iterations, advance=None):
        if not self._visits_itself:
            self._visit_of(handle)(0, ONE_UNTIMED, 0.0)
            return time_in_a_row(partial(self.device.run, handle), iterations, advance)
        times_s = self.device.visit(handle, iterations, ONE_UNTIMED)
        if advance:
            advance(iterations)
        return Measurement(tuple(times_s))

    @property
    def _visits_itself(self):
        return hasattr(self.device, "visit")

    def _visit_of(self, handle):
        """Return the visit to a network: the device's own, or some of its runs."""
        if self._visits_itself:
            return partial(self.device.visit, handle)
        return partial(visit, partial(self.device.run, handle))

    def _in_rounds(self, handles, advance):
        untimed = self.protocol.untimed
        visits, made = [*handles, self._handle], in_turn
        if hasattr(self.device, "visits"):
            made = partial(self.device.visits, untimed=untimed)
        else:
            visits = [partial(self._visit_of(each), untimed=untimed) for each in visits]
        measurements, reference = time_in_rounds(
            visits[:-1],
            visits[-1],
            self.protocol.iterations,
            self.protocol.rounds,
            self._rng,
            advance,
            made,
        )
        return [Timed(measurement, reference) for measurement in measurements]
