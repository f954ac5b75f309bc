"""Finding the limit of another tool at which what it chooses meets a latency target."""

import math

from utils.errors import UserError

ACCURACY = 0.25  # per cent


class Bisection:
    """Bisects a limit, in per cent, to the greatest whose widths meet a latency target.

    widths_within: percent -> a configuration, or None if none is within the limit; the latency of
    what it returns must not decrease with the limit. It is asked for each limit once, whatever the
    number of targets.
    latency: configuration -> its predicted latency in ms
    """

    def __init__(self, widths_within, latency):
        self._widths_within, self._latency = widths_within, latency
        self._known = {}  # {limit: (latency in ms, configuration)}

    def best(self, target_ms):
        """Return (limit, configuration); UserError if no limit meets the target."""
        if self._ask(100.0)[0] <= target_ms:
            return 100.0, self._known[100.0][1]
        while True:
            over = min(limit for limit, (ms, _) in self._known.items() if ms > target_ms)
            under = max((x for x, (ms, _) in self._known.items() if ms <= target_ms), default=0.0)
            if over - under <= ACCURACY:
                break
            self._ask((under + over) / 2)
        if not under or self._known[under][1] is None:
            raise UserError(f"no limit makes the network take {target_ms:g} ms or less")
        return under, self._known[under][1]

    def _ask(self, percent):
        if percent not in self._known:
            configuration = self._widths_within(percent)
            latency_ms = -math.inf if configuration is None else self._latency(configuration)
            self._known[percent] = latency_ms, configuration
        return self._known[percent]
