"""Progress bars of timing and of fitting, which say once roughly how long it will take."""

import sys
import time
from contextlib import contextmanager

from tqdm import tqdm

from utils.progress import progress_bar
from utils.time_estimate import duration

LISTENS_S = 10  # before it says how long
LONG_S = 60  # shorter work is not worth a line


class Forecast:
    """Called as work goes on; says once, above the bar, roughly how long it takes, if it is long.

    what:  as in "timing 100 networks"; steps: runs or fits of all the work
    group: steps that are prepared together: the time before the first step comes once per group
    clock: returns seconds
    """

    def __init__(self, what, steps, group=None, clock=time.monotonic):
        self._what, self._steps, self._group = what, steps, group or steps
        self._clock, self._start = clock, clock()
        self._first_s, self._before, self._done = None, 0, 0
        self._is_open = True

    def __call__(self, steps=1):
        """Take note of `steps` finished steps."""
        now = self._clock()
        self._done += steps
        if self._first_s is None:
            self._first_s, self._before = now, self._done
        elif self._is_open and now - self._first_s >= LISTENS_S:
            self._is_open = False
            left_s = self._left_s(now)
            if left_s > LONG_S:
                line = f"{self._what} will take about {duration(left_s)} more"
                tqdm.write(line, file=sys.stderr)

    def _left_s(self, now):
        per_step_s = (now - self._first_s) / (self._done - self._before)
        left_s = per_step_s * (self._steps - self._done)
        if self._done <= self._group:  # else it is in per_step_s
            left_s += (self._first_s - self._start) * (self._steps / self._group - 1)
        return left_s


@contextmanager
def timing_progress(done, total, protocol, at_most=False):
    """Yield a function to call after every n timed runs of networks; it draws the progress.

    done, total: networks timed before, and in the end; at_most: fewer may be enough
    """
    runs = protocol.iterations
    left = total - done
    what = f"timing {'at most ' if at_most else ''}{left} networks"
    forecast = Forecast(what, left * runs, (protocol.group_size if protocol.rounds else 1) * runs)
    with progress_bar(
        initial=done * runs,
        total=total * runs,
        unit_scale=1 / runs,
        desc="timing networks",
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}]",
    ) as bar:

        def advance(steps=1):
            bar.update(steps)
            forecast(steps)

        yield advance


@contextmanager
def fitting_progress(fits, title):
    """Yield a function to call after every fit; there are at most `fits`."""
    forecast = Forecast(title, fits)
    with progress_bar(total=fits, desc=title, leave=False, delay=1) as bar:

        def advance():
            bar.update()
            forecast()

        yield advance
