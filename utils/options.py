"""What the command lines of the three scripts share."""

import argparse

from utils.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all of a user's mistakes are."""

    def error(self, message):
        """Raise UserError instead of printing the usage."""
        raise UserError(f"{message} (see {self.prog} --help)")
