"""`generate --until`: checks after each group of networks whether enough are collected."""

import numpy as np
from tqdm import tqdm

from nas.validation.stopping import judge, judge_fits, next_check
from pipeline.latency.progress import fitting_progress
from pipeline.latency.samples import without_drift
from utils.progress import warn


class StoppingCheck:
    """Says when the samples collected so far reach a target error, or no longer lower it.

    target:    the wanted cross-validated relative error, of all samples and of each third of the
               latency range; None: never stop
    in_rounds: the samples were timed in rounds, so that the machine's drift is divided out
    """

    def __init__(self, target, space, in_rounds, seed):
        self.target, self.space = target, space
        self._in_rounds, self._seed = in_rounds, seed
        self._due = next_check(0)

    def stops(self, recorded, last=False):
        """Return whether to stop; prints the verdict whenever a check is due, or it is the last.

        recorded: (configuration, latency in ms, details) of the samples so far
        """
        count = len({configuration for configuration, *_ in recorded})  # repetitions say little
        if self.target is None:
            return False
        if count < (next_check(0) if last else self._due):
            if last:
                warn(
                    f"{count} different networks are too few to check --until "
                    f"{100 * self.target:g}: {next_check(0)} are needed"
                )
            return False
        if self._in_rounds:
            samples, _ = without_drift(recorded)
        else:
            samples = [(configuration, latency_ms) for configuration, latency_ms, _ in recorded]
        rng = np.random.default_rng((self._seed, count))
        title = "checking the error"
        with fitting_progress(judge_fits(), title) as tick:
            verdict = judge(samples, self.space, self.target, rng, tick)
        tqdm.write(str(verdict))
        self._due = next_check(count)
        return verdict.stop
