"""Ctrl-C: a process says "interrupted" in one line and ends with status 130, whatever it is doing.

Before main (imports take seconds) and after it the process ends at once. In main an interrupt is a
KeyboardInterrupt, so that clean-up runs; one that gets lost, in a library that catches everything
or in a call that does not return, ends the process PATIENCE_S later.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading

from utils.startup import INTERRUPTED, end_at_once

PATIENCE_S = 10  # for a KeyboardInterrupt to end the process


class Interrupts:
    """A context manager in which Ctrl-C raises KeyboardInterrupt.

    seen: whether it was pressed, even if another exception has replaced the interrupt
    Without effect outside the main thread, and where SIGINT is ignored or handled otherwise.
    """

    def __init__(self):
        self.seen = False
        self._is_lost = False

    def __enter__(self):
        self._previous = signal.getsignal(signal.SIGINT)
        ours = self._previous in {signal.default_int_handler, end_at_once}
        self._is_on = ours and threading.current_thread() is threading.main_thread()
        if self._is_on:
            # Written to even while the main thread is in a call that runs no Python.
            reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=[reader], daemon=True).start()
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._raise_later
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *exception):
        if self._is_on:
            signal.signal(signal.SIGINT, self._previous)
            sys.unraisablehook = self._unraisable
            signal.set_wakeup_fd(self._wakeup)
            if not self.seen:  # else the watching thread goes on until the process ends
                os.close(self._writer)

    def end_process(self):
        """End the process, which has reported the interrupt and cleaned up.

        Native libraries crash at interpreter shutdown if their imports were interrupted.
        """
        if self._previous is end_at_once:
            atexit._run_exitfuncs()
            os._exit(INTERRUPTED)
        sys.exit(INTERRUPTED)

    def _interrupt(self, *_):
        if self.seen and not self._is_lost:  # pressed again
            end_at_once()
        self.seen, self._is_lost = True, False
        raise KeyboardInterrupt

    def _raise_later(self, unraisable):
        """Raise again an interrupt that came where Python cannot raise it, as in __del__."""
        if unraisable.exc_type is not KeyboardInterrupt:
            self._unraisable(unraisable)
            return
        self._is_lost = True
        main = threading.main_thread().ident
        threading.Timer(0.05, signal.pthread_kill, [main, signal.SIGINT]).start()

    @staticmethod
    def _watch(reader):
        with open(reader, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] == signal.SIGINT:
                    threading.Event().wait(PATIENCE_S)
                    end_at_once()


@contextlib.contextmanager
def held_interrupts():
    """Defer Ctrl-C to the end of the block; processes started in it never see one.

    So no interrupt is lost halfway through starting or ending them, and they end when this process
    tells them to, without tracebacks of their own.
    """
    handler, main = signal.getsignal(signal.SIGINT), threading.main_thread()
    if handler in {signal.SIG_IGN, None} or threading.current_thread() is not main:
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))  # forked processes inherit this
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # and spawned ones this
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
