"""Measuring further networks under the conditions that a latency table's metadata states."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields

import numpy as np

from models.network import Network
from nas.search_space import SearchSpace
from pipeline.latency.samples import sample_line
from utils.devices import open_device
from utils.devices.bench import Bench, Protocol
from utils.devices.workload import Workload
from utils.errors import UserError
from utils.interrupts import held_interrupts
from utils.processes import end_with_parent
from utils.progress import progress_bar


def measure_again(metadata, configurations, seed):
    """Return one line of a samples file per configuration, in their order.

    metadata: tells the device, the workload and the protocol
    seed:     of the order within the rounds
    Measured in a process of its own: a framework that has trained in this one keeps threads and
    memory. Raises UserError if the metadata does not tell how to measure, or tells of another
    device than this machine's.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=end_with_parent) as pool:
        try:
            with held_interrupts():
                measured = pool.submit(_measure, metadata, configurations, seed)
            return measured.result()
        except BrokenProcessPool:
            raise UserError(
                "the process that measured was killed, perhaps for lack of memory"
            ) from None
        except KeyboardInterrupt:  # the pool would wait for the measurements
            for process in multiprocessing.active_children():
                process.kill()
            raise


def workload_of(metadata):
    """Return the Workload and the Protocol that metadata tells of.

    Raises UserError that names the first field that it lacks, the device included.
    """
    for name in ("device", "device_name"):
        _stated(metadata, name)
    space = SearchSpace.from_dict(_stated(metadata, "search_space"))
    of_protocol = _stated(metadata, "protocol")
    protocol = Protocol(**{each.name: _stated(of_protocol, each.name) for each in fields(Protocol)})
    options = {
        field.name: _stated(metadata, field.name)
        for field in fields(Workload)
        if field.name not in {"input_size", "classes", "clock", "timing_cache"}
    }
    workload = Workload(
        input_size=space.input_size, classes=space.classes, clock=protocol.clock, **options
    )
    return workload, protocol


def _stated(metadata, name):
    if name not in metadata:
        raise UserError(
            f"how to measure is not known: the metadata of the latency model lacks {name!r}"
        )
    return metadata[name]


def _measure(metadata, configurations, seed):
    workload, protocol = workload_of(metadata)
    device = open_device(metadata["device"], workload)
    name = device.describe()["device_name"]
    if name != metadata["device_name"]:
        raise UserError(
            f"the latency model is of {metadata['device_name']!r}, this machine has {name!r}: "
            "measure there"
        )
    sizes = workload.input_size, workload.classes
    networks = [Network(tuple(configuration), *sizes) for configuration in configurations]
    largest = max(networks, key=lambda network: network.bytes(workload.batch_size))
    lines, reference = [], Network.reference(*sizes)
    with (
        Bench(device, reference, workload, protocol, np.random.default_rng(seed)) as bench,
        progress_bar(desc="timing networks", total=len(configurations), leave=False) as bar,
    ):
        for group, timed in bench.time_groups(networks, largest):
            pairs = zip(group, timed, strict=True)
            lines += [sample_line(*pair, workload, protocol) for pair in pairs]
            bar.update(len(group))
    return lines
