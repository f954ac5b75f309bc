"""Numba's compiler, whose cache on the disk may be damaged or missing: that costs time only."""

import contextlib

import numba
from numba.core import sigutils
from numba.core.caching import FunctionCache


def njit(function):
    """Return a function compiled at its first call; the machine code is kept for other processes.

    Where no folder can be written, and for files that cannot be read, it is compiled again.
    """
    kernel = numba.njit(function)
    with contextlib.suppress(RuntimeError):  # no folder for the cache can be written
        kernel._cache = _Cache(function)  # as numba.njit(cache=True) does
    return kernel


class _Cache(FunctionCache):
    def load_overload(self, sig, target_context):
        """Return the compiled code, or None if it is not there or its files are damaged.

        Of two processes that compile different types at the same time, one may overwrite the
        other's file: what is read must have the wanted types.
        """
        with contextlib.suppress(Exception):
            loaded = super().load_overload(sig, target_context)
            if loaded is None or loaded.signature.args == sigutils.normalize_signature(sig)[0]:
                return loaded
        with contextlib.suppress(Exception):
            self.flush()
        return None

    def save_overload(self, sig, data):
        """Keep compiled code, unless the disk is full or may not be written."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)
