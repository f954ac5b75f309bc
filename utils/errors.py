"""How a user's mistake ends: one clear line on standard error and exit status 2."""

import functools
import sys
import time

from utils.ranks import rank

PATIENCE_S = 30  # for torchrun to end this process


class UserError(ValueError):
    """A mistake that the user can mend; its message names the file, line or layer, and teaches."""


def exits_with_one_line(main):
    """Wrap a script's main: UserError and OSError end in one line on stderr and status 2.

    Of several processes that train together each may meet the same error: the first one reports
    it at once; the others wait until torchrun has ended them, and report it if it does not.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except UserError as error:
            message = str(error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            message = f"{where}{error.strerror or error}"
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        if rank():
            time.sleep(PATIENCE_S)
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)

    return wrapped
