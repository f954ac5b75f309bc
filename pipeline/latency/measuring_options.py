"""The options that say what is timed, on what and how; and the workload and protocol they make."""

from msgspec import UNSET

from networks import CHOICES, MOBILENET_V1, named
from utils.command_line import (
    add_command,
    add_input_size,
    add_seed,
    add_ways_to_a_host,
    classes,
    command_of,
    natural,
    not_negative,
    positive,
    refuse_idle,
    repetitions,
)
from utils.devices import DEVICES
from utils.devices.bench import Protocol
from utils.devices.remote_pipe import PYTHON, SSH, Host
from utils.devices.timing import REDUCTIONS
from utils.devices.workload import CLOCKS, DTYPES, Workload
from utils.errors import UserError
from utils.memory import check_images_fit

# Options that other devices would ignore, and state.
ONLY_OF = {
    "tf32": ("gpu", "trt"),
    "channels_last": ("gpu",),
    "cuda_graph": ("gpu", "trt"),
    "trt_builder": ("trt",),
}


def add_measuring_options(stage, sizes=(Workload.input_size, Workload.classes)):
    """Add the options that say what is timed, on what and how.

    sizes: default input size and number of classes
    """
    _add_network_and_device(stage.add_argument_group("network and device").add_argument, sizes)
    _add_protocol(stage.add_argument_group("protocol").add_argument)


def _add_network_and_device(add, sizes):
    network_help = f"{CHOICES} ({MOBILENET_V1})"
    add("--network", type=named, default=sizes[0] and MOBILENET_V1, help=network_help)
    add(
        "-D",
        "--device",
        choices=DEVICES,
        required=True,
        help="cpu: PyTorch; gpu: PyTorch on CUDA; litert, onnxruntime, openvino: on the CPU; "
        "trt: TensorRT; command: any program that times a file. `latency.py devices` tells which "
        "are usable here",
    )
    add_command(add, "command")
    add(
        "--host",
        metavar="NAME",
        help="the machine that has the device, as ssh takes it (pi@kitchen); it needs Python 3.8 "
        "or later and the runtime's own package, nothing else (this machine)",
    )
    add_ways_to_a_host(add)
    add("--dtype", choices=DTYPES, default=Workload.dtype, help="precision")
    add("-B", "--batch-size", type=positive, default=Workload.batch_size, help="images per batch")
    add_input_size(add, f"side of the images ({Workload.input_size})", sizes[0])
    classes_help = f"number of classes ({Workload.classes})"
    add("--classes", type=classes, default=sizes[1], help=classes_help)
    add("--threads", type=positive, default=Workload.threads, help="threads of a CPU runtime")
    add("--tf32", action="store_true", help="allow TensorFloat-32 in fp32 on CUDA devices")
    add("--channels-last", action="store_true", help="gpu: NHWC memory format")
    add("--cuda-graph", action="store_true", help="gpu, trt: replay a CUDA graph")
    add(
        "--trt-builder",
        choices=("network", "torch2trt"),
        default=Workload.trt_builder,
        help="trt: build layer by layer (network), or by torch2trt (TensorRT 10)",
    )


def _add_protocol(add):
    add("-I", "--iterations", type=repetitions, default=Protocol.iterations, help="timed runs")
    warmup_help = f"untimed runs before them ({Protocol.warmup}; a command warms up by itself)"
    add("-W", "--warmup", type=natural, help=warmup_help)
    add("--warmup-time", type=not_negative, default=0, metavar="S", help="least seconds of warm-up")
    add(
        "--rounds",
        type=natural,
        help="rounds in which groups of networks are timed, a few runs each; 0: each in a row "
        "(CPU runtimes: one round per 6 runs, at least 4; others: 0)",
    )
    add("--group-size", type=positive, default=Protocol.group_size, help="networks in a group")
    add(
        "--reduction",
        choices=REDUCTIONS,
        help="statistic of the times (in rounds: lower quartile of CPU times, minimum of wall "
        "times; in a row: median)",
    )
    add(
        "--clock",
        choices=tuple(CLOCKS),
        help="CPU runtimes: wall time, or the process's CPU time, which other processes hardly "
        "affect (cpu if there is one thread)",
    )
    add_seed(add, "what is drawn")


def host_of(args):
    """Return the Host that the arguments name; None for this machine."""
    if args.host is None:
        refuse_idle(args, "--host", remote_shell=SSH, remote_python=PYTHON)
        return None
    return Host(args.host, args.remote_shell, args.remote_python)


def measuring(args, input_size, classes, timing_cache=None, begun=None):
    """Return the Workload and the Protocol that the arguments say, for networks of these sizes.

    begun: the Metadata of a samples file, whose rounds are gone on with; None where there is none
    """
    command = command_of(args)
    if command and args.device != "command":
        raise UserError(f"--command goes with --device command, not with {args.device}")
    for name, devices in ONLY_OF.items():
        if args.device not in devices:
            goes_with = f"--device {' or '.join(devices)}, not with {args.device}"
            refuse_idle(args, goes_with, **{name: getattr(Workload, name)})
    rounds, untimed = args.rounds, None
    if begun and begun.protocol.rounds is not UNSET:
        rounds = begun.protocol.rounds if rounds is None else rounds
        untimed = begun.protocol.untimed
    protocol = Protocol.for_device(
        args.device,
        args.threads,
        rounds,
        args.reduction,
        args.clock,
        iterations=args.iterations,
        warmup=args.warmup,
        untimed=untimed,
        warmup_time_s=args.warmup_time,
        group_size=args.group_size,
    )
    if not args.host:
        check_images_fit(args.batch_size, input_size, "--batch-size", "--input-size")
    workload = Workload(
        batch_size=args.batch_size,
        input_size=input_size,
        classes=classes,
        dtype=args.dtype,
        threads=args.threads,
        clock=protocol.clock,
        tf32=args.tf32,
        channels_last=args.channels_last,
        cuda_graph=args.cuda_graph,
        trt_builder=args.trt_builder,
        timing_cache=timing_cache,
        command=command,
    )
    return workload, protocol
