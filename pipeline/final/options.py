"""The options of train_final.py: gluon-cv's ImageNet options with its names, meanings, defaults.

Left out, because the networks are described and have none of it: --model, --use-pretrained,
--use_se, --use-gn, --batch-norm, --last-gamma.
Source: scripts/classification/imagenet/train_imagenet.py of gluon-cv 0.8.0.
"""

from pathlib import Path

from models.execution import Execution
from models.recipe import SUPERNET, Schedule, Targets
from networks import CHOICES, MOBILENET_V1, named, open_network
from pipeline.final.files import EXPORTS
from pipeline.final.settings import Data, Files, Options
from utils.command_line import (
    Parser,
    above_zero,
    add_framework,
    add_input_size,
    add_precision,
    add_seed,
    add_tensorboard,
    checked,
    chosen,
    natural,
    not_negative,
    positive,
    share,
)
from utils.errors import UserError

IMAGENET = "~/.mxnet/datasets/imagenet"
LR_MODES = ("step", "poly", "cosine", "linear", "constant")


def parse_options(description, arguments=None):
    """Return train_final.py's Options, checked against each other; UserError for a mistake."""
    args = build_parser(description).parse_args(arguments)
    _check_supernet(args)
    if args.configuration is not None:
        args.configuration = _configuration(args, "configuration")
    args.teacher_configuration = _configuration(args, "teacher_configuration")
    if args.warmup_epochs > args.num_epochs:
        raise UserError(
            f"--warmup-epochs {args.warmup_epochs} is more than --num-epochs {args.num_epochs}"
        )
    if args.resume_epoch and not args.resume_params:
        raise UserError(f"--resume-epoch {args.resume_epoch} needs --resume-params")
    if args.resume_epoch and args.resume_epoch > args.num_epochs:
        raise UserError(
            f"--resume-epoch {args.resume_epoch} is beyond --num-epochs {args.num_epochs}"
        )
    if args.resume_states and not args.resume_params:
        raise UserError("--resume-states needs --resume-params")
    if args.resume_last and args.resume_params:
        raise UserError("--resume-last finds its files itself: leave out --resume-params")
    return Options(
        network=args.network,
        configuration=args.configuration,
        data=chosen(Data, args),
        execution=chosen(Execution, args),
        schedule=chosen(Schedule, args),
        targets=chosen(Targets, args),
        files=chosen(Files, args),
    )


def _check_supernet(args):
    """Raise UserError for what contradicts --from-supernet, or needs it."""
    if args.configuration is None and not args.from_supernet:
        raise UserError("--configuration is missing, and so is --from-supernet, which may state it")
    if args.teacher == SUPERNET and not args.from_supernet:
        raise UserError("--teacher supernet needs --from-supernet")
    if args.teacher_configuration and not args.teacher:
        raise UserError("--teacher-configuration needs --teacher")
    if args.teacher == SUPERNET and args.teacher_configuration:
        raise UserError("--teacher supernet is the widest network: no --teacher-configuration")
    if args.from_supernet and args.resume_params and not args.resume_states:
        raise UserError(
            "--from-supernet and --resume-params both say where the weights come from: give "
            "--resume-states too, to resume a run, or leave one out"
        )


def build_parser(description):
    """Return the parser of train_final.py."""
    parser = Parser(prog="train_final.py", description=description)
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
        help="digits, glyphs, or a folder with train/ and val/",
    )
    add("--use-rec", action="store_true", help="read RecordIO files instead")
    for half in ("train", "val"):
        for name, suffix in ((f"--rec-{half}", "rec"), (f"--rec-{half}-idx", "idx")):
            default = f"{IMAGENET}/rec/{half}.{suffix}"
            add(name, default=default, help="RecordIO file")
    add(
        "-j",
        "--num-data-workers",
        dest="num_workers",
        type=natural,
        default=4,
        help="processes that read images; 0: the training process reads them",
    )
    add("--batch-size", type=positive, default=32, help="per device")
    add_input_size(add, "side of the input in pixels", 224)
    add(
        "--crop-ratio",
        type=float,
        default=0.875,
        help="validation: side of the centre crop / shorter side of the image",
    )
    add("--num-classes", type=positive, help="default: as many as the data have")
    add_seed(add, "weights, order and augmentation")


def _add_network(group):
    add = group.add_argument
    add(
        "--configuration",
        help='widths: "(16, 32, …)", "16,32,…", MOBILENET or 0.5xMOBILENET (0.5xRESNET for ResNet);'
        " with --from-supernet by default its answer",
    )
    add("--network", type=named, default=MOBILENET_V1, help=CHOICES)
    add_framework(add)
    add(
        "--mode",
        choices=("symbolic", "imperative", "hybrid"),
        default="imperative",
        help="mxnet: hybrid compiles the network; symbolic is imperative, as in gluon-cv "
        "(imperative); pytorch: no effect",
    )
    add("--compile", action="store_true", help="pytorch: compile the network by torch.compile")
    add(
        "--num-gpus",
        type=natural,
        default=0,
        help="GPUs, 0 for the CPU; pytorch: 0 or 1 per process",
    )
    add_precision(add, "float16 needs a GPU; bfloat16: pytorch only")
    add(
        "--kv-store",
        choices=("device", "local", "dist_sync", "dist_device_sync"),
        default="device",
        help="mxnet: what adds up the gradients of devices, or, with dist, of machines (device); "
        "pytorch: no effect, start it with torchrun",
    )


def _add_optimiser(group):
    add = group.add_argument
    add("--num-epochs", type=positive, default=3, help="epochs to train")
    add("--lr", type=not_negative, default=0.1, help="learning rate after the warm-up")
    add("--momentum", type=not_negative, default=0.9, help="Nesterov momentum")
    add("--wd", type=not_negative, default=0.0001, help="weight decay")
    add("--no-wd", action="store_true", help="no weight decay of biases and of BatchNorm")
    add("--lr-mode", choices=LR_MODES, default="step", help="schedule after the warm-up")
    add("--lr-decay", type=not_negative, default=0.1, help="factor of each step")
    add("--lr-decay-period", type=natural, default=0, help="epochs between steps; 0: none")
    add("--lr-decay-epoch", type=_epochs, default="40,60", help="epochs of the steps")
    add("--warmup-lr", type=not_negative, default=0.0, help="learning rate at the start")
    add("--warmup-epochs", type=natural, default=0, help="epochs of linear warm-up")
    # Differs from gluon-cv, which averages nothing.
    add(
        "--average",
        type=checked(float, lambda x: 0 <= x < 1, "a number from 0 to less than 1"),
        metavar="DECAY",
        help="average the weights, too, over about the last 1 / (1 - DECAY) updates, but at most a "
        "tenth of all: the averaged network is validated and exported beside the last one",
    )


def _add_targets(group):
    add = group.add_argument
    add("--mixup", action="store_true", help="mix each image with another one of its batch")
    add(
        "--mixup-alpha", type=above_zero, default=0.2, help="parameter of mixup's Beta distribution"
    )
    add("--mixup-off-epoch", type=natural, default=0, help="last epochs without mixup")
    add(
        "--label-smoothing",
        action="store_true",
        help="smooth the labels by 0.1, spread over all classes",
    )
    add(
        "--teacher",
        help="network to distil: a .params file written by this script with the same --framework, "
        "`supernet` for the widest network of --from-supernet, or, mxnet only, the name of a "
        "gluon-cv network, which is downloaded",
    )
    add(
        "--teacher-configuration",
        help="widths of a teacher from a file; default: the network's own",
    )
    add("--temperature", type=above_zero, default="20", help="temperature of the teacher's softmax")
    add(
        "--hard-weight",
        type=share,
        default=0.5,
        help="weight of the labels against the teacher, 0 to 1",
    )


def _add_files(group):
    add = group.add_argument
    add(
        "--save-dir",
        type=Path,
        default=Path("params"),
        help="folder of parameters, optimiser states and results.jsonl; those of an earlier run "
        "are moved to a folder earlier-N in it",
    )
    add(
        "--save-frequency",
        type=natural,
        default=10,
        help="epochs between saved parameters; 0: only the last and the best",
    )
    add("--logging-file", type=Path, default=Path("train_imagenet.log"), help="file of the log")
    add_tensorboard(add)
    add("--log-interval", type=natural, default=50, help="batches between log lines")
    add("--resume-epoch", type=natural, default=0, help="number of epochs already trained")
    add("--resume-params", default="", help="parameters to start from")
    add("--resume-states", default="", help="states of the optimiser to start from")
    add(
        "--resume-last",
        action="store_true",
        help="resume from the newest epoch in --save-dir, or start if there is none",
    )
    add(
        "--from-supernet",
        metavar="FOLDER",
        help="start at the weights of the sub-network in the last checkpoint of train_nas.py: its "
        "--expname, of either framework",
    )
    add(
        "--keep",
        type=positive,
        metavar="N",
        help="keep the files of the newest N saved epochs and of the best (all)",
    )
    add(
        "--export",
        choices=EXPORTS,
        default="onnx",
        help="tflite: also write a .tflite file, for LiteRT, beside each .onnx file (onnx)",
    )


def _configuration(args, name):
    """Return the widths that an option names, the network's base widths if it is not given."""
    network = open_network(args.network, args.num_classes)
    try:
        return network.parse(getattr(args, name) or network.family)
    except UserError as error:
        raise UserError(f"--{name.replace('_', '-')}: {error}") from None


def _epochs(text):
    return tuple(natural(part) for part in text.split(",") if part.strip())
