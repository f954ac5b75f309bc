"""An estimate of how long training will take, printed once, after its first few steps."""

import time

WARM_UP = 2  # steps that do not count: they compile, and wait for the first images
STEPS = 5  # that are timed, for at least LEAST_S
LEAST_S = 2
LONG_S = 60  # a shorter training ends before the line has been read
UNITS = {"days": 24 * 3600, "hours": 3600, "minutes": 60, "seconds": 1}


class TimeEstimate:
    """Counts the steps of a training run, and says how long the rest will take if that is long."""

    def __init__(self, steps, say, clock=time.monotonic):
        """steps: of the whole training; say: takes the line; clock: seconds"""
        self._left, self._say, self._clock = steps, say, clock
        self._timed, self._begun = -WARM_UP, None

    def step(self):
        """Count a step that has been made."""
        self._left -= 1
        self._timed += 1
        if self._timed == 0:
            self._begun = self._clock()
        if self._say is None or self._timed < STEPS:
            return
        took_s = self._clock() - self._begun
        if took_s < LEAST_S:
            return
        left_s = self._left * took_s / self._timed
        if left_s > LONG_S:
            self._say(f"about {duration(left_s)} of training to go, not counting evaluation")
        self._say = None


def duration(seconds):
    """Return seconds as text with two significant digits: "25 minutes", "3.5 hours"."""
    name = next((name for name, unit_s in UNITS.items() if seconds >= 2 * unit_s), "seconds")
    return f"{float(f'{seconds / UNITS[name]:.2g}'):g} {name}"
