"""What benchmarks.accuracy compares: ways to choose widths, and the supernets that they ask."""

from dataclasses import dataclass

from benchmarks.retraining.peer_jobs import PEERS


@dataclass(frozen=True)
class Method:
    """How train_nas.py is asked for widths: one line of its baselines.jsonl."""

    supernet: str  # one of SUPERNETS
    line: str  # the line's method
    options: tuple[str, ...]


@dataclass(frozen=True)
class SupernetKind:
    """How a supernet is trained."""

    options: tuple[str, ...]
    is_adaptive: bool = False  # by AOWS, one for each target; else all targets share it
    starts_trained: bool = False  # at the weights of the widest network, in half the epochs


PAPER = ("--scores", "means", "--search", "lagrangian")
BY_FITTED = ("--scores", "fitted")
SUPERNETS = {
    "OWS": SupernetKind(PAPER),
    "OWS, trained": SupernetKind(BY_FITTED, starts_trained=True),
    "AOWS, paper": SupernetKind(PAPER, is_adaptive=True),
    "AOWS": SupernetKind(BY_FITTED, is_adaptive=True),
    "AOWS, trained": SupernetKind(BY_FITTED, is_adaptive=True, starts_trained=True),
}
WITH_FITTED = ("OWS", "AOWS", "OWS, trained", "AOWS, trained")
SEARCHED = {
    "random": Method("OWS", "random", PAPER),
    "greedy": Method("OWS", "greedy", PAPER),
    "OWS, paper": Method("OWS", "lagrangian", PAPER),
    "AOWS, paper": Method("AOWS, paper", "lagrangian", PAPER),
    **{name: Method(name, "exact", BY_FITTED) for name in WITH_FITTED},
    # The supernet of "OWS, trained", asked by other scores: which ones should be the default?
    "OWS, trained, means": Method("OWS, trained", "exact", ("--scores", "means")),
    "OWS, trained, monotone": Method("OWS, trained", "exact", ("--scores", "monotone")),
    # A simpler search of the same scores.
    "OWS, trained, greedy": Method("OWS, trained", "greedy", ("--scores", "monotone")),
}
UNIFORM, WIDEST = "uniform", "widest"
METHODS = (UNIFORM, *SEARCHED, *PEERS)
# The others are compared with both: with fitted scores, and with the default ones.
FITTED, DEFAULT = "OWS, trained", "OWS, trained, monotone"
OURS = (FITTED, DEFAULT)
