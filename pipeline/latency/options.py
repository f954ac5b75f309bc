"""The command line of latency.py, and what it says of the workload and the protocol."""

import argparse

from nas.search_space import SearchSpace
from nas.validation.cross_validation import AUTO
from utils.command_line import (
    Parser,
    add_width_options,
    classes,
    input_size,
    natural,
    not_negative,
    positive,
)
from utils.devices import DEVICES
from utils.devices.bench import Protocol
from utils.devices.timing import REDUCTIONS
from utils.devices.workload import CLOCKS, DTYPES, Workload
from utils.errors import UserError
from utils.memory import check_images_fit


def per_cent(text):
    """An argument type: per cent, greater than 0, as a share."""
    share = not_negative(text) / 100
    if not share:
        raise argparse.ArgumentTypeError("0 per cent cannot be reached")
    return share


def weight(text):
    """An argument type: finite numbers of at least 0, or "auto"."""
    return AUTO if text == AUTO else not_negative(text)


def parse_args(description, argv=None):
    """Return the arguments of latency.py; args.stage is the name of the stage."""
    parser = Parser(
        prog="latency.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    add_generate(stages.add_parser("generate", help="time networks of random widths"))
    add_fit(stages.add_parser("fit", help="fit a latency table to samples"))
    add_validate(stages.add_parser("validate", help="compare a table with other samples"))
    add_report(stages.add_parser("report", help="write a page about a table"))
    add_benchmark(stages.add_parser("benchmark", help="time single configurations"))
    return parser.parse_args(argv)


def add_generate(stage):
    """Add the options of `generate`."""
    add = stage.add_argument
    add("samples", help="file to write, or to continue: one JSON line per sample")
    add_measuring_options(stage)
    add("--biased", action="store_true", help="prefer variables that were seen least often")
    add("-N", "--count", type=positive, default=8000, help="networks in the end (8000)")
    add(
        "--until",
        type=per_cent,
        metavar="PERCENT",
        help="stop before --count networks when the cross-validated error of a table fitted to "
        "them is at most so much of the mean latency, or when more networks do not lower it",
    )
    add(
        "-R",
        "--repetitions",
        type=positive,
        default=1,
        help="build and time each network so often; each time is one sample (1)",
    )
    add(
        "--save-every",
        type=positive,
        default=1,
        help="force samples to the disk after every so many (1); a killed run loses no finished "
        "sample whatever this is, a power cut at most so many",
    )
    usual = SearchSpace()
    add_width_options(add, (usual.min_width, usual.max_width, usual.levels))


def add_fit(stage):
    """Add the options of `fit`."""
    add = stage.add_argument
    add("samples", nargs="+", help="samples files, measured alike")
    add("model", help="file to write: one JSON line per variable")
    add(
        "-K",
        "--regularize",
        type=weight,
        metavar="K",
        help="weight of monotonicity; alone: Eq. (7) without a prior. auto: by cross-validation, "
        "with the prior (auto)",
    )
    add(
        "--prior",
        choices=("linear", "none"),
        help="pull the table towards a law that is linear in the channels of each layer type "
        "(linear, unless -K is a number)",
    )
    add("--strength", type=weight, metavar="R", help="weight of the prior, or auto (auto)")
    add("--seed", type=natural, default=0, help="seed of the folds (0)")
    add("--curve", metavar="PNG", help="picture to write (MODEL.cross_validation.png)")


def add_validate(stage):
    """Add the options of `validate`."""
    add = stage.add_argument
    add("samples", nargs="+", help="samples files, measured alike")
    add("model", help="a fitted latency table")
    add("plot", help="picture to write: predicted against measured latency")


def add_report(stage):
    """Add the options of `report`."""
    stage.add_argument("model", help="a fitted latency table")
    stage.add_argument("page", help="page to write: HTML with all pictures inside")


def fit_weights(args):
    """Return (K, R) of the arguments of `fit`, each a number or "auto"; R = 0: no prior."""
    plain = args.regularize not in {None, AUTO} and args.strength is None
    prior = args.prior or ("none" if plain else "linear")
    if prior == "none" and args.strength not in {None, 0}:
        raise UserError("--strength is the weight of the prior, but there is --prior none")
    strength = 0.0 if prior == "none" else args.strength
    return tuple(AUTO if value is None else value for value in (args.regularize, strength))


def add_benchmark(stage):
    """Add the options of `benchmark`."""
    add = stage.add_argument
    add(
        "configurations",
        nargs="+",
        help='"(16, 32, …)", "16,32,…", MOBILENET, 0.5xMOBILENET, or an ONNX file written by '
        "train_final.py, for onnxruntime and openvino; its batch size becomes --batch-size",
    )
    add_measuring_options(stage)
    stage.set_defaults(input_size=None, classes=None)  # an ONNX file may tell them
    add("--latency-model", metavar="MODEL", help="a fitted latency table, to compare with")
    add("--json", action="store_true", help="print JSON")


def add_measuring_options(stage):
    """Add the options that say what is timed, on what and how."""
    network = stage.add_argument_group("network and device")
    add = network.add_argument
    add(
        "-D",
        "--device",
        choices=DEVICES,
        required=True,
        help="cpu: PyTorch; gpu: PyTorch on CUDA; onnxruntime and openvino: on the CPU; "
        "trt: TensorRT",
    )
    add("--dtype", choices=DTYPES, default="fp32", help="precision (fp32)")
    add("-B", "--batch-size", type=positive, default=64, help="images per batch (64)")
    add("--input-size", type=input_size, default=224, help="side of the images (224)")
    add("--classes", type=classes, default=1000, help="number of classes (1000)")
    add("--threads", type=positive, default=1, help="threads of a CPU runtime (1)")
    add("--tf32", action="store_true", help="allow TensorFloat-32 in fp32 on CUDA devices")
    add("--channels-last", action="store_true", help="gpu: NHWC memory format")
    add("--cuda-graph", action="store_true", help="gpu, trt: replay a CUDA graph")
    add(
        "--trt-builder",
        choices=("network", "torch2trt"),
        default="network",
        help="trt: build layer by layer (network), or by torch2trt (TensorRT 10)",
    )
    protocol = stage.add_argument_group("protocol")
    add = protocol.add_argument
    add("-I", "--iterations", type=positive, default=60, help="timed runs (60)")
    add("-W", "--warmup", type=natural, default=10, help="untimed runs before them (10)")
    add(
        "--warmup-time",
        type=not_negative,
        default=0,
        metavar="S",
        help="at least so long (0)",
    )
    add(
        "--rounds",
        type=natural,
        help="time networks in groups, a few runs each, in so many rounds; 0: each in a row "
        "(CPU runtimes: one round per 3 runs; others: 0)",
    )
    add("--group-size", type=positive, default=20, help="networks of a group (20)")
    add(
        "--reduction",
        choices=REDUCTIONS,
        help="statistic of the times (in rounds: lower quartile of CPU times, minimum of wall "
        "times; in a row: median)",
    )
    add(
        "--clock",
        choices=tuple(CLOCKS),
        help="CPU runtimes: wall time, or the process's CPU time, which other processes do not "
        "stretch (cpu if there is one thread)",
    )
    add("--seed", type=natural, default=0, help="seed of what is drawn (0)")


def search_space(args):
    """Return the search space of the arguments, of the usual widths where they say none."""
    given = ("input_size", "classes", "min_width", "max_width", "levels")
    return SearchSpace(**{name: getattr(args, name) for name in given if hasattr(args, name)})


def measuring(args, timing_cache=None):
    """Return the workload and the protocol of the arguments."""
    protocol = Protocol.for_device(
        args.device,
        args.threads,
        args.rounds,
        args.reduction,
        args.clock,
        iterations=args.iterations,
        warmup=args.warmup,
        warmup_time_s=args.warmup_time,
        group_size=args.group_size,
    )
    check_images_fit(args.batch_size, args.input_size, "--batch-size", "--input-size")
    workload = Workload(
        batch_size=args.batch_size,
        input_size=args.input_size,
        classes=args.classes,
        dtype=args.dtype,
        threads=args.threads,
        clock=protocol.clock,
        tf32=args.tf32,
        channels_last=args.channels_last,
        cuda_graph=args.cuda_graph,
        trt_builder=args.trt_builder,
        timing_cache=timing_cache,
    )
    return workload, protocol
