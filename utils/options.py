"""What the command lines of the three scripts share: errors, and types of arguments."""

import argparse

from utils.errors import UserError


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
