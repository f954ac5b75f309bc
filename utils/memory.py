"""Running out of memory: what libraries raise, and a check for when they would just end."""

import contextlib
import errno
import os
import resource
from pathlib import Path

from utils.devices.cpu_runtimes import CGROUPS
from utils.errors import UserError

# What the messages of the frameworks' own exceptions, mostly RuntimeErrors, have in common.
PHRASES = (
    "out of memory",  # CUDA, in PyTorch and MXNet
    "not enough memory",  # PyTorch on a CPU: "DefaultCPUAllocator: not enough memory"
    "cannot allocate memory",
    "can't allocate memory",
    "failed to allocate",  # ONNX Runtime; MXNet: "Failed to allocate CPU Memory"
    "bad_alloc",
    "can't start new thread",  # a thread needs memory for its stack
)
FLOAT_BYTES = 4


def lacks_memory(error):
    """Return whether an exception says that there is not enough memory."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, RuntimeError | SystemError):
        return any(phrase in str(error).lower() for phrase in PHRASES)
    return isinstance(error, MemoryError)


@contextlib.contextmanager
def naming_what_needs_memory(*options):
    """Raise UserError that names the options to lower if the block, or function, lacks memory."""
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        reason = _line_of_reason(error)
    else:
        return
    raise UserError(f"not enough memory{reason and f' ({reason})'}: lower {_either(options)}")


def _line_of_reason(error):
    """Return the line of a message that says what is missing; MXNet's begins with a traceback."""
    lines = str(error).strip().splitlines()
    telling = [line for line in lines if any(phrase in line.lower() for phrase in PHRASES)]
    return (telling or lines or [""])[0].strip()


def _either(options):
    """Return names as text: a, b or c."""
    return " or ".join(filter(None, (", ".join(options[:-1]), options[-1])))


def check_images_fit(batch_size, input_size, *options):
    """Raise UserError that names the options if one batch of images alone exceeds the memory.

    MXNet and ONNX Runtime would end the process where no code can report it.
    """
    needed, present = 3 * FLOAT_BYTES * batch_size * input_size**2, memory_limit()
    if needed > present:
        raise UserError(
            f"{batch_size} images of {input_size}×{input_size} pixels take "
            f"{needed / 1e9:.3g} GB, this process can have {present / 1e9:.3g} GB: "
            f"lower {_either(options)}"
        )


def memory_limit():
    """Return the bytes of memory that this process can have: the machine's, or a lower limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for path, _ in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int(Path(path).read_text()))
    return min(limits)
