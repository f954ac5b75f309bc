"""The options of train_nas.py: the reference's, with its names and defaults, and ours."""

import argparse
import os

from nas.ows import METHODS
from utils.options import Parser


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

    add("--data", required=True, help="folder with train/ and val/ class folders, or: digits")
    add("-j", "--workers", type=int, default=os.cpu_count(), help="data loading processes")
    add("--input-size", type=int, help="side of the images; default: the latency model's")
    add("--epochs", type=int, default=20, help="epochs to train")
    add("-b", "--batch-size", type=int, default=512, help="images per step")
    add("--lr", type=float, default=0.1, help="learning rate per 256 images of a batch")
    add("--lr-schedule", choices=("constant", "cosine", "linear"), default="constant",
        help="course of the learning rate; cosine and linear end at 0")  # fmt: skip
    add("--momentum", type=float, default=0.9, help="momentum of SGD")
    add("--wd", type=float, default=1e-5, help="weight decay")
    add("--no-cuda", action="store_true", help="train on the CPU even if there is a GPU")
    add("--num-gpus", type=int, help="GPUs to train on; default: all there are, else the CPU")
    add("--seed", type=int, default=0, help="seed of weights, data order and widths")
    add("--print-freq", type=int, default=10, help="steps between two lines of aows.jsonl")
    add("--resume", metavar="FILE", help="continue from this checkpoint")
    add("--resume-last", action="store_true", help="continue from the last checkpoint, if any")
    add("--min-width", type=float, help="least width multiplier; default: the latency model's")
    add("--max-width", type=float, help="greatest width multiplier; default: likewise")
    add("--levels", type=int, help="number of width multipliers; default: likewise")
    add("--latency-target", type=float, required=True, help="milliseconds per image")
    add("--latency-model", required=True, help="latency table written by latency.py fit")
    add("--window", type=int, default=100_000, help="images averaged per width of a layer")
    add("--search", choices=METHODS, default="exact",
        help="exact proves the answers; lagrangian bisects, as the reference does")  # fmt: skip
    add("--gamma-iter", type=int, default=12, help="bisections of the latency multiplier")
    add("--AOWS", action="store_true", help="draw widths by the search's own probabilities")
    add("--AOWS-warmup", type=int, default=5, help="epochs that draw widths uniformly first")
    add("--AOWS-min-temp", type=float, default=0.0005, help="temperature at the end")
    add("--expname", required=True, help="folder that everything is written to")
    options = parser.parse_args(arguments)
    for name in ("epochs", "batch_size", "window", "gamma_iter", "print_freq"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    for name in ("lr", "latency_target", "AOWS_min_temp"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be greater than 0")
    return options
