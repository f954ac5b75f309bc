"""The options of train_final.py: gluon-cv's ImageNet options with its names, meanings, defaults.

Left out, because MobileNet-v1 has nothing that they could change: --model, --use-pretrained,
--use_se, --use-gn, --batch-norm, --last-gamma (it has no residual blocks).
Source: scripts/classification/imagenet/train_imagenet.py of gluon-cv 0.8.0.
"""

import argparse
from pathlib import Path

from models.mobilenet_v1 import parse_configuration
from utils.command_line import Parser, above_zero, natural, not_negative, positive, share
from utils.errors import UserError

IMAGENET = "~/.mxnet/datasets/imagenet"
LR_MODES = ("step", "poly", "cosine", "linear", "constant")


def parse_options(description, arguments=None):
    """Return train_final.py's options, checked against each other; UserError for a mistake."""
    options = build_parser(description).parse_args(arguments)
    if options.warmup_epochs > options.num_epochs:
        raise UserError(
            f"--warmup-epochs {options.warmup_epochs} is more than --num-epochs "
            f"{options.num_epochs}"
        )
    if options.resume_epoch and not options.resume_params:
        raise UserError(f"--resume-epoch {options.resume_epoch} needs --resume-params")
    if options.resume_states and not options.resume_params:
        raise UserError("--resume-states needs --resume-params")
    if options.resume_last and options.resume_params:
        raise UserError("--resume-last finds its files itself: leave out --resume-params")
    return options


def build_parser(description):
    """Return the parser of train_final.py."""
    parser = Parser(
        prog="train_final.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_optimiser(parser.add_argument_group("optimiser"))
    _add_targets(parser.add_argument_group("targets of the loss"))
    _add_files(parser.add_argument_group("files"))
    return parser


def _add_data(group):
    add = group.add_argument
    add(
        "--data-dir",
        default=IMAGENET,
        help=f"digits, glyphs, or a folder with train/ and val/ ({IMAGENET})",
    )
    add("--use-rec", action="store_true", help="read RecordIO files instead")
    for half in ("train", "val"):
        for name, suffix in ((f"--rec-{half}", "rec"), (f"--rec-{half}-idx", "idx")):
            default = f"{IMAGENET}/rec/{half}.{suffix}"
            add(name, default=default, help=f"RecordIO file ({default})")
    add(
        "-j",
        "--num-data-workers",
        dest="num_workers",
        type=natural,
        default=4,
        help="processes that read images; 0: none apart (4)",
    )
    add("--batch-size", type=positive, default=32, help="per device (32)")
    add("--input-size", type=positive, default=224, help="side of the input in pixels (224)")
    add(
        "--crop-ratio",
        type=float,
        default=0.875,
        help="validation: side of the centre crop / shorter side of the image (0.875)",
    )
    add("--num-classes", type=positive, help="default: as many as the data have")
    add("--seed", type=natural, default=0, help="of weights, order and augmentation (0)")


def _add_network(group):
    add = group.add_argument
    add(
        "--configuration",
        type=_configuration,
        required=True,
        help='widths: "(16, 32, …)", "16,32,…", MOBILENET or 0.5xMOBILENET',
    )
    add("--framework", choices=("mxnet", "pytorch"), default="mxnet", help="(mxnet)")
    add(
        "--mode",
        choices=("symbolic", "imperative", "hybrid"),
        default="imperative",
        help="mxnet: hybrid compiles the network; symbolic is imperative, as in gluon-cv "
        "(imperative); pytorch: without effect",
    )
    add("--compile", action="store_true", help="pytorch: compile the network by torch.compile")
    add(
        "--num-gpus",
        type=natural,
        default=0,
        help="0: train on the CPU; pytorch: 0 or 1, of each process (0)",
    )
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="float16 needs a GPU; bfloat16: pytorch only (float32)",
    )
    add(
        "--kv-store",
        choices=("device", "local", "dist_sync", "dist_device_sync"),
        default="device",
        help="mxnet: what adds up the gradients of devices, or, with dist, of machines (device); "
        "pytorch: without effect, start it by torchrun",
    )


def _add_optimiser(group):
    add = group.add_argument
    add("--num-epochs", type=positive, default=3, help="(3)")
    add("--lr", type=not_negative, default=0.1, help="learning rate after the warm-up (0.1)")
    add("--momentum", type=not_negative, default=0.9, help="Nesterov momentum (0.9)")
    add("--wd", type=not_negative, default=0.0001, help="weight decay (0.0001)")
    add("--no-wd", action="store_true", help="no weight decay of biases and of BatchNorm")
    add("--lr-mode", choices=LR_MODES, default="step", help="schedule after the warm-up (step)")
    add("--lr-decay", type=not_negative, default=0.1, help="factor of each step (0.1)")
    add("--lr-decay-period", type=natural, default=0, help="epochs between steps; 0: none (0)")
    add("--lr-decay-epoch", type=_epochs, default=(40, 60), help="epochs of the steps (40,60)")
    add("--warmup-lr", type=not_negative, default=0.0, help="learning rate at the start (0.0)")
    add("--warmup-epochs", type=natural, default=0, help="epochs of linear warm-up (0)")


def _add_targets(group):
    add = group.add_argument
    add("--mixup", action="store_true", help="mix each image with another one of its batch")
    add("--mixup-alpha", type=above_zero, default=0.2, help="of the Beta distribution (0.2)")
    add("--mixup-off-epoch", type=natural, default=0, help="last epochs without mixup (0)")
    add("--label-smoothing", action="store_true", help="of 0.1, spread over all classes")
    add(
        "--teacher",
        help="network to distil: a .params file written by this script with the same --framework, "
        "or, mxnet only, the name of a gluon-cv network, which is downloaded",
    )
    add(
        "--teacher-configuration",
        type=_configuration,
        default="MOBILENET",
        help="widths of a teacher from a file (MOBILENET)",
    )
    add("--temperature", type=above_zero, default=20.0, help="of the teacher's softmax (20)")
    add(
        "--hard-weight",
        type=share,
        default=0.5,
        help="weight of the labels against the teacher, 0 to 1 (0.5)",
    )


def _add_files(group):
    add = group.add_argument
    add(
        "--save-dir",
        type=Path,
        default=Path("params"),
        help="folder of parameters, optimiser states and results.jsonl; those of an earlier run "
        "are moved to a folder earlier-N in it (params)",
    )
    add(
        "--save-frequency",
        type=natural,
        default=10,
        help="epochs between saved parameters; 0: only the last and the best (10)",
    )
    add(
        "--logging-file", type=Path, default=Path("train_imagenet.log"), help="(train_imagenet.log)"
    )
    add("--tensorboard", metavar="DIR", help="folder that TensorBoard's curves are written to")
    add("--log-interval", type=natural, default=50, help="batches between log lines (50)")
    add("--resume-epoch", type=natural, default=0, help="epochs that are done (0)")
    add("--resume-params", default="", help="parameters to start from")
    add("--resume-states", default="", help="states of the optimiser to start from")
    add(
        "--resume-last",
        action="store_true",
        help="go on from the newest epoch in --save-dir; from the start if there is none",
    )
    add(
        "--keep",
        type=positive,
        metavar="N",
        help="keep the files of the newest N saved epochs and of the best (all)",
    )


def _configuration(text):
    try:
        return parse_configuration(text)
    except UserError as error:  # argparse would replace the message of a ValueError
        raise argparse.ArgumentTypeError(str(error)) from None


def _epochs(text):
    return tuple(natural(part) for part in text.split(",") if part.strip())
