"""What the command lines of the three scripts share: errors, types of arguments, options.

Options are added by argparse itself: `add = group.add_argument`. A default is stated once, as
`default=`; the option's help ends in it. Options that several scripts share have a function here.
"""

import argparse
from dataclasses import fields

import msgspec

from utils.devices.printed_latencies import parse_pattern
from utils.devices.remote_pipe import PYTHON, SSH
from utils.devices.workload import Command
from utils.errors import UserError
from utils.json_types import Classes, InputSize, Levels, WidthMultiplier

FRAMEWORKS = ("mxnet", "pytorch")
PRECISIONS = ("float32", "float16", "bfloat16")  # of training


class Help(argparse.RawDescriptionHelpFormatter):
    """Prints the description as it is; an option's help ends in its default, if it has one.

    A help text that already states the default in parentheses stays as it is.
    """

    def _get_help_string(self, action):
        default = action.default
        is_flag = action.nargs == 0
        is_said = f"({default})" in action.help or "%(default)" in action.help
        if is_flag or is_said or default in (None, "", argparse.SUPPRESS):
            return action.help
        return f"{action.help} (%(default)s)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as for all user mistakes; Help formats its help.

    Its subparsers are Parsers too.
    """

    def __init__(self, **settings):
        super().__init__(**{"formatter_class": Help} | settings)

    def error(self, message):
        """Raise UserError instead of printing the usage."""
        raise UserError(f"{message} (see {self.prog} --help)")


def checked(kind, holds, wanted):
    """Return an argument type: kind(text), or an error that says what is wanted."""

    def parse(text):
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not holds(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return number

    return parse


def explained(parse):
    """Return an argument type: parse(text), whose UserError says what is wrong."""

    def parsed(text):
        try:
            return parse(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def whole_number(least, most=None):
    """Return an argument type: whole numbers of at least `least`, at most `most` unless None."""
    wanted = f"a whole number of at least {least}" + (f", at most {most}" if most else "")
    return checked(int, lambda n: least <= n <= (most or n), wanted)


natural, positive = whole_number(0), whole_number(1)
seed = whole_number(0, 2**63 - 1)  # that all frameworks take
repetitions = whole_number(1, 10**7)
not_negative = checked(float, lambda x: 0 <= x < float("inf"), "a number of at least 0")
above_zero = checked(float, lambda x: 0 < x < float("inf"), "a number greater than 0")
share = checked(float, lambda x: 0 <= x <= 1, "a number from 0 to 1")


def within(kind):
    """Return an argument type: the numbers of a type of utils.json_types."""
    base, limits = kind.__origin__, kind.__metadata__[0]
    wanted = "a whole number" if base is int else "a number"
    wanted += f" of at least {limits.ge}" if limits.ge is not None else f" greater than {limits.gt}"

    def holds(number):
        try:
            return msgspec.convert(number, kind) is not None
        except msgspec.ValidationError:
            return False

    return checked(base, holds, f"{wanted}, at most {limits.le}")


input_size, classes = within(InputSize), within(Classes)
width_multiplier, levels = within(WidthMultiplier), within(Levels)


def add_seed(add, of):
    """Add --seed; of: what it is the seed of. add, here and below: ArgumentParser.add_argument."""
    add("--seed", type=seed, default=0, help=f"seed of {of}")


def add_input_size(add, text="side of the images", default=None):
    """Add --input-size."""
    add("--input-size", type=input_size, default=default, help=text)


def add_width_options(add, defaults=(None, None, None)):
    """Add --min-width, --max-width and --levels, which set the search space's widths.

    defaults: of the three, None for the latency model's
    """
    for name, kind, text, default in zip(
        ("--min-width", "--max-width", "--levels"),
        (width_multiplier, width_multiplier, levels),
        ("least width multiplier", "greatest width multiplier", "number of width multipliers"),
        defaults,
        strict=True,
    ):
        says = "; default: the latency model's" if default is None else ""
        add(name, type=kind, default=default, help=text + says)


def add_command(add, goes_with):
    """Add --command, --command-pattern and --command-timeout; command_of reads them."""
    add(
        "--command",
        metavar="WORDS",
        help=f"{goes_with}: the program that times a network, such as './time {{onnx}} {{runs}}', "
        "started without a shell; {onnx}, or {tflite}, becomes the network's file, {runs} the "
        "number of timed runs; also {batch_size}, {threads} and {input_size}. It prints the "
        "milliseconds of a batch: a number per line, or a JSON array",
    )
    add(
        "--command-pattern",
        metavar="REGEX",
        type=explained(_pattern),
        help="what to take from what the command prints instead: the first group of every match "
        "is a latency in ms, or a group that is named after its unit: (?P<us>[0-9.]+)",
    )
    add(
        "--command-timeout",
        metavar="S",
        type=above_zero,
        default=Command.timeout_s,
        help="seconds that the command may take each time",
    )


def _pattern(text):
    parse_pattern(text)
    return text


def refuse_idle(args, goes_with, **defaults):
    """Raise UserError for the first option that is set, although what it goes with is not.

    defaults: {name of an option: what it is if it is not set}
    """
    for name, default in defaults.items():
        if getattr(args, name) != default:
            raise UserError(f"--{name.replace('_', '-')} goes with {goes_with}")


def command_of(args):
    """Return the Command that add_command's options give, None without one."""
    if args.command is None:
        timeout_s = Command.timeout_s
        refuse_idle(args, "--command", command_pattern=None, command_timeout=timeout_s)
        return None
    return Command(args.command, args.command_pattern, args.command_timeout)


def add_ways_to_a_host(add):
    """Add --remote-shell and --remote-python, the fields of a utils.devices.remote_pipe.Host."""
    add(
        "--remote-shell",
        metavar="COMMAND",
        default=SSH,
        help="what connects to a host instead: 'ssh -p 2222', 'docker exec -i', 'adb -s {host} "
        "shell', 'kubectl exec -i {host} --'; started without a shell, the host's name comes last "
        "unless it says {host}",
    )
    add(
        "--remote-python",
        metavar="COMMAND",
        default=PYTHON,
        help="Python on a host, such as venv/bin/python",
    )


def add_framework(add):
    """Add --framework, which trains."""
    add("--framework", choices=FRAMEWORKS, default="mxnet", help="framework to train with")


def add_precision(add, text):
    """Add --dtype, the precision of training."""
    add("--dtype", choices=PRECISIONS, default="float32", help=text)


def add_tensorboard(add):
    """Add --tensorboard."""
    add("--tensorboard", metavar="DIR", help="folder that TensorBoard's curves are written to")


def chosen(kind, args, **others):
    """Return a dataclass with its fields set from the parsed options of the same names.

    others: {field: value} of fields that are not options; the rest keep their defaults
    """
    names = [field.name for field in fields(kind) if hasattr(args, field.name)]
    return kind(**{name: getattr(args, name) for name in names} | others)
