"""What <file>.meta.json may hold: how a samples file was measured, how a table was fitted.

Every field may be missing, and further ones are kept as they are; a field that is there is of the
type and in the range that this says.
"""

import json
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from utils.devices.timing import REDUCTIONS
from utils.devices.workload import CLOCKS, DTYPES
from utils.errors import UserError
from utils.json_types import Milliseconds, Natural, NotNegative, Positive, checked

Range = Annotated[list[NotNegative], Meta(min_length=2, max_length=2)]
Text = Annotated[str, Meta(pattern=r"^[^\ud800-\udfff]*$")]  # halves of a character: not UTF-8
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


class Drawing(Struct, frozen=True):
    """How the networks of one samples file were drawn."""

    seed: Natural | UnsetType = UNSET
    biased: bool | UnsetType = UNSET


class Interval(Struct, frozen=True):
    """See nas.validation.conformal.Interval."""

    level: Annotated[float, Meta(gt=0, lt=1)]
    half_width: NotNegative
    residuals: Positive


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
    cross_validation: CrossValidation | UnsetType = UNSET
    learning_curve: Annotated[list[LearningPoint], Meta(min_length=2)] | UnsetType = UNSET
    interval: Interval | UnsetType | None = UNSET
    residuals_per_mille: str | UnsetType = UNSET
    coverage: Counts | UnsetType = UNSET
    samples_files: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET

    def __post_init__(self):
        if self.cross_validation is not UNSET and self.learning_curve is UNSET:
            raise ValueError("Object missing required field `learning_curve`")


class Metadata(Struct, frozen=True):
    """What stands beside a samples file or a latency table.

    The search space is checked by nas.search_space.SearchSpace.
    """

    device: Text | UnsetType = UNSET
    device_name: Text | UnsetType = UNSET
    runtime: Text | UnsetType = UNSET
    dtype: Literal[DTYPES] | UnsetType = UNSET
    batch_size: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    threads: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType = UNSET
    tf32: bool | UnsetType = UNSET
    channels_last: bool | UnsetType = UNSET
    cuda_graph: bool | UnsetType = UNSET
    trt_builder: Literal["network", "torch2trt"] | UnsetType = UNSET
    protocol: Protocol | UnsetType = UNSET
    search_space: Any = UNSET
    seed: Natural | UnsetType = UNSET
    biased: bool | UnsetType = UNSET
    repetitions: Positive | UnsetType = UNSET
    files: list[Drawing] | UnsetType = UNSET
    reference_ms: Milliseconds | UnsetType = UNSET
    drift: dict[str, Any] | UnsetType = UNSET
    state_before: dict[str, Any] | UnsetType = UNSET
    state_after: dict[str, Any] | UnsetType = UNSET
    fit: Fit | UnsetType = UNSET
    table_sha256: str | UnsetType = UNSET


def check_metadata(value, path):
    """Raise UserError that names the file and the field if a JSON value is no such metadata."""
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold a JSON object")
    checked(value, Metadata, path)
    for field, content in value.items():
        try:
            json.dumps(content, allow_nan=False)
        except (ValueError, RecursionError) as error:  # NaN, 1e999
            raise UserError(f"{path}: {field}: {error}") from None


def refuse_partial_fit(metadata, path):
    """Raise UserError that names what the metadata of a table do not tell of its fit."""
    missing = [name for name in OF_A_FIT if name not in metadata.get("fit", {})]
    if missing:
        raise UserError(
            f"{path}: its metadata do not tell how it was fitted, fit.{missing[0]} is missing: fit "
            "it anew by latency.py fit"
        )
