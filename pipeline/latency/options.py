"""The stages of latency.py: their own options, and what these say of sampling and fitting.

Each add_… adds a stage to those of latency.py and returns its parser.
"""

import argparse

from nas.latency_target import parse_target
from nas.prior import PRIORS, SHARED
from nas.sampling import BIASED, COVERING, UNIFORM
from nas.search_space import SearchSpace
from nas.validation.cross_validation import AUTO
from networks import named
from pipeline.latency.measuring_options import add_measuring_options
from utils.command_line import (
    add_width_options,
    chosen,
    explained,
    natural,
    not_negative,
    positive,
    repetitions,
    within,
)
from utils.errors import UserError
from utils.json_types import NotNegative


def per_cent(text):
    """An argument type: per cent, greater than 0, as a share."""
    share = not_negative(text) / 100
    if not share:
        raise argparse.ArgumentTypeError("0 per cent cannot be reached")
    return share


def weight(text):
    """An argument type: the numbers that a table's metadata hold, or "auto"."""
    return AUTO if text == AUTO else within(NotNegative)(text)


def add_generate(stages):
    """Add the stage `generate`."""
    stage = stages.add_parser("generate", help="time networks of random widths")
    add = stage.add_argument
    add("samples", help="file to write, or to continue: one JSON line per sample")
    add_measuring_options(stage)
    add(
        "--biased",
        action="store_true",
        help="prefer variables that were seen least often, as the reference does; default: cover "
        "the whole range of latencies, too (a file that was begun without goes on uniformly)",
    )
    add("-N", "--count", type=positive, default=8000, help="total number of networks")
    add(
        "--until",
        type=per_cent,
        metavar="PERCENT",
        help="stop before --count networks when a table fitted to them has a cross-validated error "
        "of at most PERCENT of each latency, also in each third of the latency range, or when more "
        "networks do not lower it",
    )
    add(
        "-R",
        "--repetitions",
        type=repetitions,
        default=1,
        help="how many times each network is built and timed; each time is one sample",
    )
    add(
        "--save-every",
        type=positive,
        default=1,
        help="samples between two forced writes to the disk (1): a power cut loses at most this "
        "many; a killed run never loses a finished sample",
    )
    usual = SearchSpace()
    add_width_options(add, (usual.min_width, usual.max_width, usual.levels))
    return stage


def add_fit(stages):
    """Add the stage `fit`."""
    stage = stages.add_parser("fit", help="fit a latency table to samples")
    add = stage.add_argument
    add("samples", nargs="+", help="samples files, measured alike")
    add("model", help="file to write: one JSON line per variable")
    _add_network(add)
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
        choices=(*PRIORS, "none"),
        help="pull the table towards a law of the channels: shared, of costs that layers share, "
        "with relative errors; linear, of each layer type by itself, with absolute ones "
        "(shared, unless -K is a number)",
    )
    add("--strength", type=weight, metavar="R", help="weight of the prior, or auto (auto)")
    add("--seed", type=natural, default=0, help="seed of the folds")
    add("--curve", metavar="PNG", help="picture to write (MODEL.cross_validation.png)")
    return stage


def add_validate(stages):
    """Add the stage `validate`."""
    stage = stages.add_parser("validate", help="compare a table with other samples")
    add = stage.add_argument
    add("samples", nargs="+", help="samples files, measured alike")
    add("model", help="a fitted latency table")
    add("plot", help="picture to write: predicted against measured latency")
    _add_network(add)
    return stage


def add_report(stages):
    """Add the stage `report`."""
    stage = stages.add_parser("report", help="write a page about a table")
    stage.add_argument("model", help="a fitted latency table")
    stage.add_argument("page", help="page to write: HTML that includes all pictures")
    _add_network(stage.add_argument)
    return stage


def _add_network(add):
    """Add the option that lets a network's own file be run; other networks need none."""
    add("--network", type=named, metavar="FILE.py", help="the network, if a file describes it")


def fit_weights(args):
    """Return (K, R) of the arguments of `fit`, each a number or "auto"; R = 0: no prior."""
    plain = args.regularize not in {None, AUTO} and args.strength is None
    prior = args.prior or ("none" if plain else SHARED)
    if prior == "none" and args.strength not in {None, 0}:
        raise UserError("--strength is the weight of the prior, but there is --prior none")
    strength = 0.0 if prior == "none" else args.strength
    return tuple(AUTO if value is None else value for value in (args.regularize, strength))


def fit_prior(args):
    """Return which of PRIORS the arguments of `fit` ask for, if they ask for one."""
    return args.prior if args.prior in PRIORS else SHARED


def add_benchmark(stages):
    """Add the stage `benchmark`."""
    stage = stages.add_parser("benchmark", help="time single configurations")
    add = stage.add_argument
    add(
        "configurations",
        nargs="+",
        help='"(16, 32, …)", "16,32,…", MOBILENET, 0.5xMOBILENET (of a ResNet 0.5xRESNET), or an '
        "ONNX file written by train_final.py, for onnxruntime, openvino and command; its batch "
        "size becomes --batch-size",
    )
    add_measuring_options(stage, sizes=(None, None))  # an ONNX file may state them
    add("--latency-model", metavar="MODEL", help="a fitted latency table, to compare with")
    add(
        "--latency-target",
        type=explained(parse_target),
        metavar="TARGET",
        help="say whether it is met, at the machine speed of the --latency-model: 0.04 (ms per "
        "image), 60%% (of the widest network's predicted latency) or 0.6xMOBILENET",
    )
    add("--json", action="store_true", help="print JSON")
    return stage


def add_devices(stages):
    """Add the stage `devices`."""
    return stages.add_parser("devices", help="tell which devices can be used here")


def drawing(args, begun):
    """Return the metadata's fields of how `generate` draws; begun: Metadata of the file, or None.

    A file begun before the covering design existed goes on uniformly.
    """
    drawn = {name: getattr(args, name) for name in ("seed", "biased", "repetitions")}
    if args.biased or (begun and not begun.design):
        return drawn
    return drawn | {"design": COVERING}


def design_of(drawn):
    """Return the design that fields of the metadata state."""
    return drawn.get("design") or (BIASED if drawn["biased"] else UNIFORM)


def search_space(args):
    """Return the search space of `generate`."""
    return chosen(SearchSpace, args)
