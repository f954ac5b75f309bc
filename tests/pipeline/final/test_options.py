"""The options of train_final.py."""

import shlex
from types import SimpleNamespace

import pytest

from pipeline.final.options import parse_options
from utils.errors import UserError

REFERENCE_COMMAND = """
   --rec-train /imagenet/imagenet_train.rec
   --rec-train-idx /imagenet/imagenet_train.idx
   --rec-val /ramdisk/imagenet_val.rec
   --rec-val-idx /ramdisk/imagenet_val.idx
   --use-rec --mode hybrid --lr 0.4 --lr-mode cosine
   --num-epochs 200 --batch-size 256 -j 32 --num-gpus 4
   --dtype float16 --warmup-epochs 5 --no-wd
   --label-smoothing --mixup
   --save-dir params_mymobilenet --logging-file mymobilenet.log
   --configuration "(16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304)"
"""
WIDTHS = (16, 32, 64, 112, 360, 48, 464, 664, 152, 664, 256, 208, 816, 304)


def parse(*arguments):
    """Return the options of arguments and a configuration."""
    return parse_options("", [*arguments, "--configuration", "MOBILENET"])


def flat(options):
    """Return options by their names alone."""
    return SimpleNamespace(**options.as_dict())


def test_the_reference_command_parses():
    """Oracle: the command's own text, value by value."""
    options = flat(parse_options("", shlex.split(REFERENCE_COMMAND)))
    assert options.configuration == WIDTHS
    assert options.rec_train == "/imagenet/imagenet_train.rec"
    assert options.rec_train_idx == "/imagenet/imagenet_train.idx"
    assert options.rec_val == "/ramdisk/imagenet_val.rec"
    assert options.rec_val_idx == "/ramdisk/imagenet_val.idx"
    assert options.use_rec
    assert options.no_wd
    assert options.label_smoothing
    assert options.mixup
    assert (options.mode, options.lr_mode, options.dtype) == ("hybrid", "cosine", "float16")
    assert (options.lr, options.num_epochs, options.batch_size) == (0.4, 200, 256)
    assert (options.num_workers, options.num_gpus, options.warmup_epochs) == (32, 4, 5)
    assert str(options.save_dir) == "params_mymobilenet"
    assert str(options.logging_file) == "mymobilenet.log"


def test_defaults_are_those_of_gluon_cv():
    """Oracle: the defaults of gluon-cv 0.8.0's ImageNet script, written down by hand."""
    options = flat(parse())
    defaults = {
        "data_dir": "~/.mxnet/datasets/imagenet",
        "rec_val_idx": "~/.mxnet/datasets/imagenet/rec/val.idx",
        "use_rec": False,
        "batch_size": 32,
        "dtype": "float32",
        "num_gpus": 0,
        "num_workers": 4,
        "num_epochs": 3,
        "lr": 0.1,
        "momentum": 0.9,
        "wd": 1e-4,
        "lr_mode": "step",
        "lr_decay": 0.1,
        "lr_decay_period": 0,
        "lr_decay_epoch": (40, 60),
        "warmup_lr": 0.0,
        "warmup_epochs": 0,
        "input_size": 224,
        "crop_ratio": 0.875,
        "mixup": False,
        "mixup_alpha": 0.2,
        "mixup_off_epoch": 0,
        "label_smoothing": False,
        "no_wd": False,
        "teacher": None,
        "temperature": 20,
        "hard_weight": 0.5,
        "log_interval": 50,
        "save_frequency": 10,
        "resume_epoch": 0,
        "resume_params": "",
        "resume_states": "",
    }
    assert {name: getattr(options, name) for name in defaults} == defaults
    assert str(options.save_dir) == "params"
    assert str(options.logging_file) == "train_imagenet.log"


@pytest.mark.parametrize(
    ("text", "first"), [("MOBILENET", 32), ("0.5xMOBILENET", 16), (",".join(["24"] * 14), 24)]
)
def test_configurations_are_accepted_in_every_form(text, first):
    """Oracle: the first width, by hand."""
    options = parse_options("", ["--configuration", text])
    assert len(options.configuration) == 14
    assert options.configuration[0] == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--configuration", "(1, 2)"], "--configuration: configuration has 2 widths"),
        (["--lr", "fast"], "--lr: 'fast' is not a number"),
        (["--lr", "-1"], "--lr: '-1' is not a number of at least 0"),
        (["--lr", "nan"], "--lr: 'nan' is not"),
        (["--batch-size", "0"], "--batch-size: '0' is not a whole number of at least 1"),
        (["--lr-decay-epoch", "40;60"], "--lr-decay-epoch: '40;60' is not"),
        (["--hard-weight", "1.5"], "--hard-weight: '1.5' is not a number from 0 to 1"),
        (["--dtype", "int8"], "--dtype: invalid choice: 'int8'"),
        (["--last-gamma"], "unrecognized arguments: --last-gamma"),
        (["--warmup-epochs", "9"], "--warmup-epochs 9 is more than --num-epochs 3"),
        (["--resume-epoch", "2"], "--resume-epoch 2 needs --resume-params"),
        (
            ["--resume-epoch", "5", "--resume-params", "x", "--num-epochs", "4"],
            "--resume-epoch 5 is beyond --num-epochs 4",
        ),
        (["--resume-states", "a.states"], "--resume-states needs --resume-params"),
        (["--resume-last", "--resume-params", "a.params"], "leave out --resume-params"),
        (["--teacher-configuration", "MOBILENET"], "--teacher-configuration needs --teacher"),
        (["--keep", "0"], "--keep: '0' is not a whole number of at least 1"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, message):
    """Oracle: option and value are in the message, which is one line."""
    with pytest.raises(UserError) as caught:
        parse_options("", ["--configuration", "MOBILENET", *arguments])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_configuration_is_named():
    """Oracle: the option's name."""
    with pytest.raises(UserError, match="--configuration"):
        parse_options("", [])


@pytest.mark.parametrize("decay", ["1", "-0.1", "nan", "x"])
def test_a_decay_is_below_one(decay):
    """Oracle: the option and the value are in the message."""
    with pytest.raises(UserError, match=rf"--average: '{decay}' is not a number from 0 to less"):
        parse("--average", decay)
    assert parse("--average", "0.999").schedule.average == 0.999
