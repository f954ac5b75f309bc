"""Measuring further networks under the conditions that a latency table's metadata states."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace

import numpy as np

from nas.search_space import SearchSpace
from pipeline.latency.samples import sample_line
from utils.devices import open_device
from utils.devices.bench import Bench, Protocol
from utils.devices.remote_pipe import PYTHON, SSH, Host
from utils.devices.workload import Workload
from utils.errors import UserError
from utils.interrupts import held_interrupts
from utils.processes import end_with_parent
from utils.progress import progress_bar

ELSEWHERE = {"input_size", "classes", "clock", "timing_cache", "command"}  # fields of a Workload
OPTIONS = [field.name for field in fields(Workload) if field.name not in ELSEWHERE]


def measure_again(metadata, configurations, seed, command=None, shell=SSH, python=PYTHON):
    """Return one line of a samples file per configuration, in their order.

    metadata: Metadata that state the device, the workload and the protocol
    seed:     of the order within the rounds
    command:  the Command of a device `command`; one that metadata state is never run
    shell, python: the ways to the host that they state and to Python there, as in Host
    Measured in a process of its own: a framework that has trained in this one keeps threads and
    memory. Raises UserError if the metadata do not say how to measure, or name another
    device than this machine's.
    """
    host = Host(metadata.host, shell, python) if metadata.host else None
    space = SearchSpace.from_dict(metadata.search_space)
    how = (*workload_of(metadata, command), host)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=end_with_parent) as pool:
        try:
            with held_interrupts():
                measured = pool.submit(_measure, metadata, space, configurations, seed, *how)
            return measured.result()
        except BrokenProcessPool:
            raise UserError(
                "the process that measured was killed, perhaps for lack of memory"
            ) from None
        except KeyboardInterrupt:  # the pool would wait for the measurements
            for process in multiprocessing.active_children():
                process.kill()
            raise


def workload_of(metadata, command=None):
    """Return the Workload and the Protocol that Metadata state; command: as for measure_again.

    Raises UserError that names the first field that they lack, the device included, or if the
    Command is not the one that they state.
    """
    _refuse_missing(metadata.stated, ("device", "device_name", "search_space", "protocol"))
    names = [each.name for each in fields(Protocol)]
    _refuse_missing(metadata.stated["protocol"], [n for n in names if n != "untimed"])
    _refuse_missing(metadata.stated, OPTIONS)
    _refuse_other_command(metadata, command)
    protocol = Protocol(**{name: getattr(metadata.protocol, name) for name in names})
    space = SearchSpace.from_dict(metadata.search_space)
    options = {name: getattr(metadata, name) for name in OPTIONS}
    workload = Workload(
        input_size=space.input_size, classes=space.classes, clock=protocol.clock, **options
    )
    return replace(workload, command=command), protocol


def _refuse_other_command(metadata, command):
    """Raise UserError unless the user has given the command that Metadata state, word for word.

    A table may come from anywhere: reading it must not start programs.
    """
    if metadata.device != "command":
        if command:
            raise UserError(f"--command: the latency model is of device {metadata.device!r}")
        return
    pattern = f" --command-pattern {metadata.command_pattern!r}" if metadata.command_pattern else ""
    _refuse_missing(metadata.stated, ("command",))
    stated = f"--command {metadata.command!r}{pattern}"
    if command is None:
        raise UserError(f"the latency model is of a command: give {stated} if it may be run here")
    if (command.text, command.pattern) != (metadata.command, metadata.command_pattern or None):
        raise UserError(f"--command: the latency model is of another one, {stated}")


def _refuse_missing(stated, names):
    for name in names:
        if name not in stated:
            raise UserError(
                f"how to measure is not known: the metadata of the latency model lacks {name!r}"
            )


def _measure(metadata, space, configurations, seed, workload, protocol, host):
    device = open_device(metadata.device, workload, host)
    name = device.describe()["device_name"]
    if name != metadata.device_name:
        raise UserError(
            f"the latency model is of {metadata.device_name!r}, "
            f"{host.name if host else 'this machine'} has {name!r}: "
            "measure there"
        )
    networks = [space.network_of(configuration) for configuration in configurations]
    largest = max(networks, key=lambda network: network.bytes(workload.batch_size))
    lines, reference = [], space.reference
    with (
        Bench(device, reference, workload, protocol, np.random.default_rng(seed)) as bench,
        progress_bar(desc="timing networks", total=len(configurations), leave=False) as bar,
    ):
        for group, timed in bench.time_groups(networks, largest):
            pairs = zip(group, timed, strict=True)
            lines += [sample_line(*pair, workload, protocol) for pair in pairs]
            bar.update(len(group))
    return lines
