"""--scores fitted: sub-networks of the trained network are evaluated, and scores fitted to them.

Training images are used, so that validation images stay unseen by the choice.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nas.fitted_scores import LEVEL
from nas.thompson import Evaluated
from nas.validation.prediction_errors import partial_spearman, spearman, spearman_interval
from pipeline.search.sub_networks import RandomPart, evaluate
from utils.images.batches import REESTIMATION_IMAGES
from utils.json_lines import read_lines, write_lines
from utils.json_types import AboveZero, Finite, Natural, checked
from utils.processes import rank
from utils.random_streams import SUB_NETWORKS

IMAGES = 2_000  # of the training images, at most, that a sub-network is evaluated on
MOST = 150  # sub-networks; more hardly improve the fit
FILE = "sub_networks.jsonl"


@dataclass(frozen=True)
class Line:
    """A sub-network that was evaluated, in sub_networks.jsonl."""

    epoch: Natural  # that the network was trained for
    seed: Natural  # of the images
    images: Natural
    configuration: list[Natural]
    loss: AboveZero
    left_out: Finite  # the loss that the fit to other sub-networks predicts
    training: str = ""  # what identifies it; files from before that lack it


@dataclass(frozen=True)
class Validation:
    """How well scores fitted to some sub-networks predict others' losses, by cross-validation."""

    sub_networks: int
    images: int
    rmse: float  # of the losses, nats
    rank_correlation: float
    low: float  # where the rank correlation lies with probability LEVEL
    high: float
    at_equal_latency: float  # rank correlation with the latency's taken out

    @classmethod
    def of(cls, losses, left_out, latencies_ms, images, rng):
        """losses; left_out: as the fits to others predict them; all (n,)"""
        low, high = spearman_interval(left_out, losses, rng, LEVEL)
        return cls(
            sub_networks=len(losses),
            images=images,
            rmse=float(np.sqrt(np.mean(np.square(left_out - losses)))),
            rank_correlation=float(spearman(left_out, losses)),
            low=low,
            high=high,
            at_equal_latency=partial_spearman(left_out, losses, latencies_ms),
        )

    def as_dict(self):
        """Return the fields; None for a correlation that is not defined."""
        return {n: None if np.isnan(value) else value for n, value in asdict(self).items()}

    def __str__(self):
        return (
            f"scores fitted to {self.sub_networks} sub-networks on {self.images} training images; "
            f"left out, their losses rank as the scores do with {self.rank_correlation:.3f} "
            f"({LEVEL:.0%} interval {self.low:.3f} to {self.high:.3f}), at equal latency with "
            f"{self.at_equal_latency:.3f}, and are off by {self.rmse:.3g}"
        )


def most_sub_networks(epochs, train, images):
    """Return how many sub-networks a question may evaluate: about a tenth of the training's time.

    epochs: of the training; train: its number of images; images: of an evaluation
    An image of the training passes forward and backward through three networks, the widest among
    them; one of an evaluation passes forward through one that is narrower. (A few are evaluated in
    any case: see nas.thompson.)
    """
    return min(MOST, epochs * train // (images + REESTIMATION_IMAGES))


def fit_scores(reports, net, search, train, epochs):
    """Fit the scores of a SupernetSearch to sub-networks of its supernet; return the Validation.

    reports: the Reports that are asked for; train: training images
    epochs: that net was trained for
    Sub-networks of the same training that an earlier run evaluated are reused. Writes
    sub_networks.jsonl, a line each.
    """
    rng = np.random.default_rng((reports.seed, SUB_NETWORKS))
    images = RandomPart(train, min(len(train), IMAGES), rng)
    about = {"epoch": epochs, "seed": reports.seed, "images": len(images)}
    about["training"] = search.digest()
    path, space = Path(reports.expname, FILE), search.space

    def losses(states):
        configurations = [space.configuration(row) for row in states]
        return [each.loss for each in evaluate(net, configurations, train, images)]

    known = _known(path, about)
    states = [tuple(space.states(line.configuration).tolist()) for line in known]
    evaluated = Evaluated(losses, states, [line.loss for line in known])
    most = most_sub_networks(epochs, len(train), len(images))
    fitted = search.fit(evaluated, rng, most, whole_front=reports.pareto)
    left_out = fitted.left_out(rng)
    if rank() == 0:
        write_lines(path, _lines(about, space, fitted, left_out))
    nodes = space.chain.states(fitted.states)
    latencies_ms = [search.constraints[0].value(row) for row in nodes]
    validation = Validation.of(fitted.losses, left_out, latencies_ms, len(images), rng)
    tqdm.write(f"{path}: {validation}")
    return validation


def _known(path, about):
    """Return the Lines of what was evaluated before, of the same training on the same images."""
    if not path.is_file():
        return []
    lines = [checked(line, Line, f"{path}, line {number}") for number, line in read_lines(path)]
    return [line for line in lines if {name: getattr(line, name) for name in about} == about]


def _lines(about, space, fitted, left_out):
    rows = zip(fitted.states, fitted.losses, left_out, strict=True)
    return [
        about
        | {
            "configuration": space.configuration(states),
            "loss": float(loss),
            "left_out": float(predicted),
        }
        for states, loss, predicted in rows
    ]
