"""The options of train_nas.py: the reference's, with its names and defaults, and ours."""

import os

from models.execution import Execution
from models.supernet import TrainingSchedule
from nas.aows import SAMPLINGS
from nas.latency_target import parse_target
from nas.ows import METHODS
from nas.supernet_search import SCORES, Schedule
from networks import CHOICES, named
from pipeline.search.settings import Options, Question, Reports, Run
from utils.command_line import (
    Parser,
    above_zero,
    add_command,
    add_framework,
    add_input_size,
    add_precision,
    add_seed,
    add_tensorboard,
    add_ways_to_a_host,
    add_width_options,
    checked,
    chosen,
    command_of,
    explained,
    natural,
    not_negative,
    positive,
)
from utils.devices.remote_pipe import PYTHON, SSH
from utils.processes import world_size

latency_target = explained(parse_target)
confidence = checked(float, lambda p: 0.5 <= p < 1, "a number of at least 0.5, less than 1")


def parse_options(description, arguments=None):
    """Return train_nas.py's Options; UserError for a mistake."""
    parser = Parser(prog="train_nas.py", description=description)
    for add_some in (
        *(_add_data, _add_training, _add_framework, _add_run),
        *(_add_limits, _add_scores, _add_adaptive, _add_reports),
    ):
        add_some(parser.add_argument)
    args = parser.parse_args(arguments)
    _check(parser, args)
    return _options(args)


def _options(args):
    """Return the Options that parsed arguments ask for."""
    adaptive = Schedule(args.epochs, args.AOWS_warmup, args.AOWS_min_temp, args.sampling)
    return Options(
        data=args.data,
        workers=args.workers,
        question=chosen(Question, args, adaptive=adaptive if args.AOWS else None),
        schedule=chosen(TrainingSchedule, args),
        execution=chosen(Execution, args, num_gpus=0 if args.no_cuda else args.num_gpus),
        run=chosen(Run, args),
        reports=chosen(Reports, args, command=command_of(args)),
    )


def _add_data(add):
    add("--data", required=True, help="digits, glyphs, folder with train/ and val/, or .rec prefix")
    add("-j", "--workers", type=natural, default=os.cpu_count(), help="data loading processes")
    add_input_size(add, "side of the images; default: the latency model's")


def _add_training(add):
    add("--epochs", type=positive, default=20, help="epochs to train")
    add("-b", "--batch-size", type=positive, default=512, help="images per step")
    add("--lr", type=above_zero, default=0.1, help="learning rate per 256 images of a batch")
    add(
        "--lr-schedule",
        choices=("constant", "cosine", "linear"),
        default="constant",
        help="schedule of the learning rate; cosine and linear end at 0",
    )
    add("--momentum", type=not_negative, default=0.9, help="momentum of SGD")
    add("--wd", type=not_negative, default=1e-5, help="weight decay")


def _add_framework(add):
    add_framework(add)
    add_precision(add, "precision of PyTorch's forward passes, by autocast; float16 needs a GPU")
    add("--compile", action="store_true", help="compile PyTorch's passes at full width")
    add(
        "--configurations-per-batch",
        type=natural,
        metavar="G",
        default=0,
        help="draw G configurations per step, each for an equal part of the batch, which passes "
        "on the network cut out for it (PyTorch); 0: every image its own",
    )
    add("--no-cuda", action="store_true", help="train on the CPU even if there is a GPU")
    add(
        "--num-gpus",
        type=natural,
        help="GPUs to train on; default: all there are, else the CPU. PyTorch has one per process: "
        "torchrun --nproc-per-node N train_nas.py …",
    )


def _add_run(add):
    add_seed(add, "weights, data order and widths")
    add("--print-freq", type=positive, default=10, help="steps between two lines of aows.jsonl")
    add("--expname", required=True, help="folder that everything is written to")
    add_tensorboard(add)
    add(
        "--init",
        metavar="FILE",
        help="start at a trained network of the greatest widths: .params, .npz and .onnx of these "
        "scripts; .pt, .pth and .safetensors of torchvision's and timm's MobileNet-v2 and ResNets. "
        "Channels are sorted once, the most important first",
    )
    add("--resume", metavar="FILE", help="continue from this checkpoint")
    add("--resume-last", action="store_true", help="continue from the last checkpoint, if any")
    add(
        "--checkpoint-steps",
        type=natural,
        metavar="N",
        default=0,
        help="also write a checkpoint every N steps; 0: only after epochs",
    )
    add("--keep", type=positive, default=2, help="number of newest checkpoints to keep")


def _add_limits(add):
    add(
        "--latency-model",
        required=True,
        action="append",
        help="latency table written by latency.py fit; may be given several times, each with its "
        "--latency-target: all targets are then met",
    )
    add(
        "--latency-target",
        type=latency_target,
        required=True,
        action="append",
        metavar="TARGET",
        help="0.04: milliseconds per image; 60%%: of the widest network's predicted latency; "
        "0.6xMOBILENET: as fast as that network is predicted to be",
    )
    add("--max-macs", type=above_zero, help="limit on multiply-accumulate operations per image")
    add("--max-params", type=above_zero, help="limit on the number of parameters")
    add(
        "--confidence",
        type=confidence,
        metavar="P",
        help="search on the table's upper bound, which a measured latency stays below with this "
        "probability, such as 0.9; default: on the prediction",
    )
    add(
        "--network",
        type=named,
        help=f"{CHOICES}; default: the latency model's; a FILE.py must be given",
    )
    add_width_options(add)


def _add_scores(add):
    add("--window", type=positive, default=100_000, help="images averaged per width of a layer")
    add(
        "--scores",
        choices=SCORES,
        default="monotone",
        help="what AOWS's draws and answers are based on: monotone scores never fall as a layer "
        "gets wider, which removes noise; fitted ones also go by sub-networks evaluated after the "
        "training, sub_networks.jsonl; means are those of the reference",
    )
    add(
        "--search",
        choices=METHODS,
        default="exact",
        help="exact proves the answers; lagrangian bisects, as the reference does",
    )
    add("--gamma-iter", type=positive, default=12, help="bisections of --search lagrangian")


def _add_adaptive(add):
    add("--AOWS", action="store_true", help="draw widths with the search's own probabilities")
    add("--AOWS-warmup", type=natural, default=5, help="first epochs, which draw widths uniformly")
    add("--AOWS-min-temp", type=above_zero, default=0.0005, help="final temperature")
    add(
        "--sampling",
        choices=SAMPLINGS,
        default="independent",
        help="AOWS draws each layer from its marginal, as the reference does, or whole "
        "configurations",
    )


def _add_reports(add):
    add(
        "--pareto",
        action="store_true",
        help="write the Pareto-optimal pairs of score and latency: pareto.jsonl, .png",
    )
    add(
        "--score-check",
        type=natural,
        nargs="?",
        const=30,
        default=0,
        metavar="N",
        help="evaluate N random sub-networks, 30 if no number is given, and report how their "
        "accuracies rank with their scores: score_check.jsonl, score_check.png",
    )
    add(
        "--verify",
        action="store_true",
        help="measure the answer on the device of the (first) latency model, add the samples to "
        "its file, fit and search again until the measured latency meets the target: "
        "verification.jsonl",
    )
    add(
        "--samples",
        metavar="FILE",
        help="samples file of --verify; default: the one that the model was fitted to",
    )
    add_command(add, "--verify with a latency model of device command, repeated word for word")
    add_ways_to_a_host(add)


def _check(parser, args):
    """End with an error for options that do not go together."""

    def refuse(name, why):
        parser.error(f"--{name.replace('_', '-')} {why}")

    models, targets = len(args.latency_model), len(args.latency_target)
    if models != targets:
        refuse("latency_target", f"was given {targets} times, --latency-model {models} times")
    if len({*map(os.path.realpath, args.latency_model)}) < models:
        refuse("latency_model", "was given twice with one file: the lower target is the limit")
    several = models > 1 or args.max_macs or args.max_params
    if args.search == "lagrangian" and several:
        refuse("search", "lagrangian knows one latency target only; exact takes several limits")
    if 0 < args.score_check < 3:
        refuse("score_check", "needs at least 3 sub-networks for a rank correlation")
    for name, default in (
        *(("samples", None), ("command", None)),
        *(("remote_shell", SSH), ("remote_python", PYTHON)),
    ):
        if getattr(args, name) != default and not args.verify:
            refuse(name, "goes with --verify")
    if args.framework == "mxnet":
        _check_mxnet(args, refuse)


def _check_mxnet(args, refuse):
    for name in ("dtype", "compile", "configurations_per_batch"):
        if getattr(args, name) not in {0, "float32"}:
            refuse(name, "needs --framework pytorch")
    if world_size() > 1:
        refuse("framework", "mxnet trains in one process; pytorch in those that torchrun starts")
