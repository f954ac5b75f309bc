"""The options of train_nas.py: the reference's, with its names and defaults, and ours."""

import argparse
import os

from nas.aows import SAMPLINGS
from nas.ows import METHODS
from nas.supernet_search import SCORES
from utils.command_line import (
    Parser,
    above_zero,
    add_width_options,
    checked,
    input_size,
    natural,
    not_negative,
    positive,
)
from utils.processes import ranks

confidence = checked(float, lambda p: 0.5 <= p < 1, "a number of at least 0.5, less than 1")


def parse_options(description, arguments=None):
    """Return train_nas.py's options; UserError for a mistake."""
    parser = Parser(
        prog="train_nas.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(*names, **settings):
        if settings.get("default") is not None:
            settings["help"] += " (%(default)s)"
        parser.add_argument(*names, **settings)

    _add_data_and_training(add)
    _add_search(add)
    _add_reports(add)
    options = parser.parse_args(arguments)
    _check(parser, options)
    return options


def _add_data_and_training(add):
    add("--data", required=True, help="digits, glyphs, folder with train/ and val/, or .rec prefix")
    add("-j", "--workers", type=natural, default=os.cpu_count(), help="data loading processes")
    add("--input-size", type=input_size, help="side of the images; default: the latency model's")
    add("--epochs", type=positive, default=20, help="epochs to train")
    add("-b", "--batch-size", type=positive, default=512, help="images per step")
    add("--lr", type=above_zero, default=0.1, help="learning rate per 256 images of a batch")
    add("--lr-schedule", choices=("constant", "cosine", "linear"), default="constant",
        help="course of the learning rate; cosine and linear end at 0")  # fmt: skip
    add("--momentum", type=not_negative, default=0.9, help="momentum of SGD")
    add("--wd", type=not_negative, default=1e-5, help="weight decay")
    add("--framework", choices=("mxnet", "pytorch"), default="mxnet", help="that trains")
    add("--dtype", choices=("float32", "float16", "bfloat16"), default="float32",
        help="of PyTorch's forward passes, by autocast; float16 needs a GPU")  # fmt: skip
    add("--compile", action="store_true", help="compile PyTorch's passes at full width")
    add("--configurations-per-batch", type=natural, metavar="G", default=0,
        help="draw G configurations per step, each for an equal part of the batch, which passes "
        "on the network cut out for it (PyTorch); 0: every image its own")  # fmt: skip
    add("--no-cuda", action="store_true", help="train on the CPU even if there is a GPU")
    add("--num-gpus", type=natural,
        help="GPUs to train on; default: all there are, else the CPU. PyTorch has one per process: "
        "torchrun --nproc-per-node N train_nas.py …")  # fmt: skip
    add("--seed", type=natural, default=0, help="seed of weights, data order and widths")
    add("--print-freq", type=positive, default=10, help="steps between two lines of aows.jsonl")
    add("--expname", required=True, help="folder that everything is written to")
    add("--tensorboard", metavar="DIR", help="folder that TensorBoard's curves are written to")
    add("--resume", metavar="FILE", help="continue from this checkpoint")
    add("--resume-last", action="store_true", help="continue from the last checkpoint, if any")
    add("--checkpoint-steps", type=natural, metavar="N", default=0,
        help="write a checkpoint every N steps, too; 0: after epochs only")  # fmt: skip
    add("--keep", type=positive, default=2, help="checkpoints kept, the newest ones")


def _add_search(add):
    add("--latency-model", required=True, action="append",
        help="latency table written by latency.py fit; may be given several times, each with its "
        "--latency-target: all targets are then met")  # fmt: skip
    add("--latency-target", type=above_zero, required=True, action="append",
        help="milliseconds per image")  # fmt: skip
    add("--max-macs", type=above_zero, help="limit on multiply-accumulate operations per image")
    add("--max-params", type=above_zero, help="limit on the number of parameters")
    add("--confidence", type=confidence, metavar="P",
        help="search on the table's upper bound, which a measured latency stays below with this "
        "probability (0.9); default: on the prediction")  # fmt: skip
    add_width_options(add)
    add("--window", type=positive, default=100_000, help="images averaged per width of a layer")
    add("--scores", choices=SCORES, default="monotone",
        help="what answers are based on: monotone scores never fall as a layer gets wider, which "
        "takes noise out; means are the reference's")  # fmt: skip
    add("--search", choices=METHODS, default="exact",
        help="exact proves the answers; lagrangian bisects, as the reference does")  # fmt: skip
    add("--gamma-iter", type=positive, default=12, help="bisections of --search lagrangian")
    add("--AOWS", action="store_true", help="draw widths by the search's own probabilities")
    add("--AOWS-warmup", type=natural, default=5, help="epochs that draw widths uniformly first")
    add("--AOWS-min-temp", type=above_zero, default=0.0005, help="temperature at the end")
    add("--sampling", choices=SAMPLINGS, default="independent",
        help="AOWS draws each layer from its marginal, as the reference does, or whole "
        "configurations")  # fmt: skip
    add("--rerank", type=natural, nargs="?", const=30, default=0, metavar="N",
        help="evaluate N configurations (30) that may be the best, as far as the noise of the "
        "scores tells, on training images, and answer with the best: rerank.jsonl")  # fmt: skip


def _add_reports(add):
    add("--pareto", action="store_true",
        help="write the Pareto-optimal pairs of score and latency: pareto.jsonl, .png")  # fmt: skip
    add("--score-check", type=natural, nargs="?", const=30, default=0, metavar="N",
        help="evaluate N random sub-networks (30) and report how their accuracies rank with their "
        "scores: score_check.jsonl, score_check.png")  # fmt: skip
    add("--verify", action="store_true",
        help="measure the answer on the device of the (first) latency model, add the samples to "
        "its file, fit and search again until the measured latency meets the target: "
        "verification.jsonl")  # fmt: skip
    add("--samples", metavar="FILE",
        help="samples file of --verify; default: the one that the model was fitted to")  # fmt: skip


def _check(parser, options):
    """End with an error for options that do not go together."""

    def refuse(name, why):
        parser.error(f"--{name.replace('_', '-')} {why}")

    models, targets = len(options.latency_model), len(options.latency_target)
    if models != targets:
        refuse("latency_target", f"was given {targets} times, --latency-model {models} times")
    several = models > 1 or options.max_macs or options.max_params
    if options.search == "lagrangian" and several:
        refuse("search", "lagrangian knows one latency target only; exact takes several limits")
    if options.rerank and options.verify:
        refuse("rerank", "and --verify each choose an answer by themselves")
    if options.samples and not options.verify:
        refuse("samples", "goes with --verify")
    if options.framework == "mxnet":
        _check_mxnet(options, refuse)


def _check_mxnet(options, refuse):
    for name in ("dtype", "compile", "configurations_per_batch"):
        if getattr(options, name) not in {0, "float32"}:
            refuse(name, "needs --framework pytorch")
    if ranks() > 1:
        refuse("framework", "mxnet trains in one process; pytorch in those that torchrun starts")
