"""What <file>.meta.json may hold: how a samples file was measured, how a table was fitted.

Every field may be missing, and is then UNSET, which is false; unknown ones are kept as they are.
A field that is present has the type and range declared here.
"""

import itertools
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from utils.devices.timing import ONE_UNTIMED, REDUCTIONS
from utils.devices.workload import CLOCKS, DTYPES
from utils.errors import UserError
from utils.json_types import Milliseconds, Natural, NotNegative, Positive, checked

Range = Annotated[list[NotNegative], Meta(min_length=2, max_length=2)]
Text = Annotated[str, Meta(pattern=r"^[^\ud800-\udfff]*$")]  # halves of a character: not UTF-8
OBSERVED = ("drift", "state_before", "state_after", "client")  # by a run; all else is its settings
HERE = "this machine"  # where the metadata name no host
NETWORK_DIGEST = "network_sha256"  # of what a FILE.py described then
OF_A_FIT = ("samples", "regularize", "strength", "prior", "solver", "status")
Counts = Annotated[str, Meta(pattern=r"^(\d{1,15}( \d{1,15})*)?$")]


class Protocol(Struct, frozen=True):
    """How each network was timed: see utils.devices.bench.Protocol."""

    iterations: Positive | UnsetType = UNSET
    warmup: Natural | UnsetType = UNSET
    warmup_time_s: NotNegative | UnsetType = UNSET
    rounds: Natural | UnsetType = UNSET
    group_size: Positive | UnsetType = UNSET
    reduction: Literal[REDUCTIONS] | UnsetType = UNSET
    clock: Literal[tuple(CLOCKS)] | UnsetType = UNSET
    untimed: Natural = ONE_UNTIMED  # files from before there was a choice do not state it


class Drawing(Struct, frozen=True):
    """How the networks of one samples file were drawn."""

    seed: Natural | UnsetType = UNSET
    biased: bool | UnsetType = UNSET
    design: Literal["covering"] | UnsetType = UNSET  # unset: as `biased` says, or uniform


class Interval(Struct, frozen=True):
    """See nas.validation.conformal.Interval."""

    level: Annotated[float, Meta(gt=0, lt=1)]
    half_width: NotNegative
    residuals: Positive
    latencies_ms: list[Milliseconds] = []
    sizes: list[Annotated[float, Meta(gt=0, le=1e12)]] = []

    def __post_init__(self):
        if len(self.latencies_ms) != len(self.sizes):
            raise ValueError("`latencies_ms` and `sizes` are of different lengths")
        if any(after <= before for before, after in itertools.pairwise(self.latencies_ms)):
            raise ValueError("`latencies_ms` do not increase")


class Trial(Struct, frozen=True):
    """See nas.validation.trials.Trial."""

    regularize: NotNegative
    strength: NotNegative
    nrmse: NotNegative
    standard_error: NotNegative


class LearningPoint(Struct, frozen=True):
    """See nas.validation.trials.LearningPoint."""

    samples: Positive
    nrmse: NotNegative
    standard_error: NotNegative


class CrossValidation(Trial, frozen=True):
    """The chosen trial, all that were made, and how flat the error is around it."""

    folds: Positive
    trials: Annotated[list[Trial], Meta(min_length=1)]
    flat_within: NotNegative
    flat_regularize: Range | None
    flat_strength: Range | None


class Fit(Struct, frozen=True):
    """How a table was fitted, and how far to trust it."""

    samples: Positive | UnsetType = UNSET
    regularize: NotNegative | UnsetType = UNSET
    strength: NotNegative | UnsetType = UNSET
    prior: Text | UnsetType = UNSET
    solver: Text | UnsetType = UNSET
    status: Text | UnsetType = UNSET
    objective: Any = UNSET
    iterations: Any = UNSET
    seconds: Any = UNSET
    cross_validation: CrossValidation | UnsetType = UNSET
    learning_curve: Annotated[list[LearningPoint], Meta(min_length=2)] | UnsetType = UNSET
    interval: Interval | UnsetType | None = UNSET
    residuals_per_mille: str | UnsetType = UNSET
    residuals_at_ms: str | UnsetType = UNSET
    coverage: Counts | UnsetType = UNSET
    samples_files: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET

    @property
    def times_seen(self):
        """How many times samples hold each variable, ints (variables,); empty if not stated."""
        return np.array((self.coverage or "").split(), dtype=np.int64)

    @property
    def residuals(self):
        """The relative errors of networks left out of the fit, floats (n,); None if not stated."""
        values = _numbers(self.residuals_per_mille)
        return None if values is None else values / 1e3

    @property
    def residuals_predicted_ms(self):
        """The predictions that the residuals belong to, floats (n,) in ms; None if not stated."""
        values, latencies_ms = self.residuals, _numbers(self.residuals_at_ms)
        if values is None or latencies_ms is None or len(values) != len(latencies_ms):
            return None
        return latencies_ms if (latencies_ms > 0).all() else None

    def __post_init__(self):
        if self.cross_validation is not UNSET and self.learning_curve is UNSET:
            raise ValueError("Object missing required field `learning_curve`")


def times_seen_as_text(counts):
    """Return Fit.times_seen as text, for Fit.coverage."""
    return " ".join(str(int(count)) for count in counts)


def residuals_as_text(values):
    """Return Fit.residuals as text with two decimals, for Fit.residuals_per_mille."""
    return " ".join(f"{1e3 * value:.2f}" for value in np.sort(values))


def latencies_as_text(latencies_ms):
    """Return latencies in ms as text, in their order, for Fit.residuals_at_ms."""
    return " ".join(f"{ms:.4g}" for ms in latencies_ms)


def _numbers(text):
    """Return the finite numbers in a text, floats (n,); None if UNSET or anything else."""
    try:
        values = np.array((text or "none").split(), dtype=np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


class Fields(Struct, frozen=True):
    """The fields of Metadata; the search space is checked by nas.search_space.SearchSpace."""

    device: Text | UnsetType = UNSET
    device_name: Text | UnsetType = UNSET
    host: Text | UnsetType = UNSET  # unset: the machine that measured
    client: dict[str, Any] | UnsetType = UNSET  # the machine that measured on the host
    runtime: Text | UnsetType = UNSET
    versions: Any = UNSET
    command: Text | UnsetType = UNSET
    command_pattern: Text | UnsetType | None = UNSET
    dtype: Literal[DTYPES] | UnsetType = UNSET
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    threads: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType = UNSET
    tf32: bool | UnsetType = UNSET
    channels_last: bool | UnsetType = UNSET
    cuda_graph: bool | UnsetType = UNSET
    trt_builder: Literal["network", "torch2trt"] | UnsetType = UNSET
    protocol: Protocol = Protocol()
    search_space: Any = {}
    seed: Natural | UnsetType = UNSET
    biased: bool | UnsetType = UNSET
    design: Literal["covering"] | UnsetType = UNSET
    repetitions: Positive | UnsetType = UNSET
    files: list[Drawing] | UnsetType = UNSET
    reference_ms: Milliseconds | UnsetType = UNSET
    drift: dict[str, Any] | UnsetType = UNSET
    state_before: dict[str, Any] | UnsetType = UNSET
    state_after: dict[str, Any] | UnsetType = UNSET
    fit: Fit = Fit()
    table_sha256: str | UnsetType = UNSET


class Metadata(Fields, frozen=True):
    """The metadata beside a samples file or a latency table.

    stated: the JSON object itself, as it is written, with unknown fields
    """

    stated: dict[str, Any] = {}

    @classmethod
    def of(cls, value, place="the metadata"):
        """Return the Metadata of a JSON value; place: its file.

        Raises UserError that names the file and the invalid field.
        """
        if not isinstance(value, dict):
            raise UserError(f"{place} does not hold a JSON object")
        fields = checked(value, Fields, place)
        for name, content in value.items():
            try:
                json.dumps(content, allow_nan=False)
            except (ValueError, RecursionError) as error:  # NaN, 1e999
                raise UserError(f"{place}: {name}: {error}") from None
        return cls(**msgspec.structs.asdict(fields), stated=value)

    def stating(self, **fields):
        """Return this metadata with these fields changed; values: JSON, Structs or dataclasses."""
        return self.of({**self.stated, **msgspec.to_builtins(fields)})

    def without(self, *names):
        """Return this metadata without some fields."""
        return self.of({name: value for name, value in self.stated.items() if name not in names})

    @property
    def settings(self):
        """The metadata without what the run observed."""
        return self.without(*OBSERVED)

    def stating_of_fit(self, **fields):
        """Return this metadata with these fields of the fit changed; values: as for `stating`."""
        return self.stating(fit={**self.stated.get("fit", {}), **fields})

    @property
    def has_fit(self):
        """Whether it describes a fit."""
        return "fit" in self.stated


def first_difference(ours, theirs, name=""):
    """Return (name, our value, their value) of the first field that differs, or None.

    ours, theirs: Metadata, or JSON objects in them; of two hosts, that difference is the first
    """
    if not name:
        stated = (getattr(each, "stated", each) for each in (ours, theirs))
        ours, theirs = ({"host": HERE, **each} for each in stated)
    for key in dict.fromkeys([*ours, *theirs]):
        full_name = f"{name}.{key}" if name else key
        one, other = ours.get(key), theirs.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            difference = first_difference(one, other, full_name)
            if difference:
                return difference
        elif one != other and not _may_be_the_same(key, one, other):
            if key == NETWORK_DIGEST:
                return "description in the network's file", str(one)[:12], str(other)[:12]
            return full_name, one, other
    return None


def _may_be_the_same(key, one, other):
    """Return whether two values that differ name one network, as far as the files state it."""
    if key == NETWORK_DIGEST:
        return None in (one, other)
    return key == "network" and same_network(one, other)


def same_network(one, other):
    """Return whether two names are of the same network; a FILE.py may have moved."""
    return Path(one or "").name == Path(other or "").name


def refuse_partial_fit(metadata, path):
    """Raise UserError that names what a table's Metadata does not say about its fit."""
    missing = [name for name in OF_A_FIT if getattr(metadata.fit, name) is UNSET]
    if missing:
        raise UserError(
            f"{path}: its metadata do not say how it was fitted (fit.{missing[0]} is missing): fit "
            "it anew by latency.py fit"
        )
