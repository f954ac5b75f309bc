"""The processes that train together, as torchrun tells each of them; no framework is needed."""

import contextlib
import os


def rank():
    """Return this process's number among those that train together, 0 to ranks() - 1."""
    return int(os.environ.get("RANK", "0"))


def ranks():
    """Return how many processes train together; 1 for a process on its own."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def silent_unless_first():
    """Print nothing in the block, unless this process is the first of those that train together."""
    if rank() == 0:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
