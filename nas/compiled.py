"""Numba's compiler with a disk cache: a damaged or missing cache only costs time."""

import contextlib

import numba
from numba.core import sigutils
from numba.core.caching import FunctionCache


def njit(function):
    """Return a function compiled at its first call; the machine code is kept for other processes.

    It is compiled again if no cache folder is writable or a cached file cannot be read.
    """
    kernel = numba.njit(function)
    with contextlib.suppress(RuntimeError):  # no folder for the cache can be written
        kernel._cache = _Cache(function)  # as numba.njit(cache=True) does
    return kernel


class _Cache(FunctionCache):
    def load_overload(self, sig, target_context):
        """Return the compiled code, or None if it is not there or its files are damaged.

        Two processes that compile for different types at the same time may overwrite each other's
        file, so the types of what is read are checked.
        """
        with contextlib.suppress(Exception):
            loaded = super().load_overload(sig, target_context)
            if loaded is None or loaded.signature.args == sigutils.normalize_signature(sig)[0]:
                return loaded
        with contextlib.suppress(Exception):
            self.flush()
        return None

    def save_overload(self, sig, data):
        """Save compiled code, unless the disk is full or not writable."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)
