"""What the command lines of the three scripts share: errors, types of arguments, options."""

import argparse

import msgspec

from utils.errors import UserError
from utils.json_types import Classes, InputSize, Levels, WidthMultiplier


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all of a user's mistakes are."""

    def error(self, message):
        """Raise UserError instead of printing the usage."""
        raise UserError(f"{message} (see {self.prog} --help)")


def checked(kind, holds, wanted):
    """Return an argument type: kind(text), or an error says what is wanted."""

    def parse(text):
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not holds(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return number

    return parse


def whole_number(minimum):
    """Return an argument type: whole numbers of at least `minimum`."""
    return checked(int, lambda n: n >= minimum, f"a whole number of at least {minimum}")


natural, positive = whole_number(0), whole_number(1)
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


def add_width_options(add, defaults=(None, None, None)):
    """Add --min-width, --max-width and --levels, which set the search space's widths.

    add: as ArgumentParser.add_argument; defaults: of the three, None for the latency model's
    """
    for name, kind, text, default in zip(
        ("--min-width", "--max-width", "--levels"),
        (width_multiplier, width_multiplier, levels),
        ("least width multiplier", "greatest width multiplier", "number of width multipliers"),
        defaults,
        strict=True,
    ):
        says = "; default: the latency model's" if default is None else f" ({default})"
        add(name, type=kind, default=default, help=text + says)
