"""What latency.py prints about a fit and about a validation."""

import math

import numpy as np

from nas.latency_target import all_multipliers
from nas.validation.conformal import Interval, Residuals
from nas.validation.prediction_errors import (
    errors_by_thirds,
    prediction_errors,
    relative_errors,
    worst_networks,
)
from utils.formatting import percent, rounded, rounded_up


def fit_as_text(table, path):
    """Return the lines that `fit` prints of a table that was written to `path`."""
    report = table.metadata.fit
    lines = [
        f"{path}: {len(table.entries)} variables fitted to {report.samples} samples; "
        f"{report.solver} reports {report.status!r} after {report.iterations} iterations, "
        f"{report.seconds:.1f} s",
        f"prior: {report.prior}, {_weight('K', 'regularize', report)}"
        + (f", {_weight('R', 'strength', report)}" if report.strength else ""),
    ]
    if best := report.cross_validation:
        error = f"{percent(best.nrmse)} ± {percent(best.standard_error)} %"
        lines.append(f"cross-validated error: {error}, relative ({best.folds} folds)")
    if interval := Interval.of(table):
        lines.append(f"{interval.name}: prediction ± {interval.width}")
    if thirds := cross_validated_thirds(table):
        lines += rows_as_text(dict(zip(THIRDS, thirds, strict=True)))
    return "\n".join(lines)


THIRDS = ("fastest third", "middle third", "slowest third")  # of the latency range
ERRORS = ("networks", "from, ms", "to, ms", "error, %", "mean, %", "largest, %", "inside, %")


def cross_validated_thirds(table):
    """Return the RelativeErrors, by thirds, of networks left out of a fit; None if not stated."""
    if table.metadata.fit.residuals_predicted_ms is None:
        return None
    residuals, interval = Residuals.of(table), Interval.of(table)
    return errors_by_thirds(residuals.predicted_ms, residuals.measured_ms, interval)


def kinds_of(configurations, space, answers):
    """Return {kind: mask} of uniform networks and answers of searches, without empty kinds.

    answers: configurations that a search has returned
    """
    uniform = {space.description.scaled(multiplier) for multiplier in all_multipliers(space)}
    kinds = {"uniform networks": uniform, "answers of searches": answers}
    masks = {kind: np.array([c in known for c in configurations]) for kind, known in kinds.items()}
    return {kind: mask for kind, mask in masks.items() if mask.any()}


def errors_as_text(predicted_ms, measured_ms, interval, kinds):
    """Return a table of relative errors: by thirds of the latency range, and by kinds of networks.

    kinds: {name: mask of the networks}
    """
    thirds = errors_by_thirds(predicted_ms, measured_ms, interval=interval)
    rows = dict(zip(THIRDS, thirds, strict=True))
    for kind, mask in kinds.items():
        chosen = predicted_ms[mask], measured_ms[mask]
        rows[kind] = relative_errors(chosen[0].min(), chosen[0].max(), *chosen, interval)
    return "\n".join(rows_as_text(rows))


def rows_as_text(rows):
    """Return the lines of a table of {name: RelativeErrors}."""
    lines = [f"{'':20}" + "".join(f"{name:>12}" for name in ERRORS)]
    return lines + [
        f"{name:20}" + "".join(f"{cell:>12}" for cell in error_cells(errors))
        for name, errors in rows.items()
    ]


def error_cells(errors):
    """Return the cells of RelativeErrors under the heading ERRORS, as text."""
    shares = (errors.rms, errors.mean, errors.largest, errors.inside)
    formats = (".2f", "+.2f", "+.1f", ".0f")
    return (
        str(errors.networks),
        f"{errors.low_ms:.4g}",
        f"{errors.high_ms:.4g}",
        *(
            "–" if math.isnan(each) else f"{100 * each:{how}}"
            for each, how in zip(shares, formats, strict=True)
        ),
    )


def _weight(symbol, name, report):
    text = f"{symbol} = {rounded(getattr(report, name))}"
    best = report.cross_validation
    flat = best and getattr(best, f"flat_{name}")
    if not flat:
        return text
    within = percent(best.flat_within)
    low, high = map(rounded, flat)
    return f"{text} (error within {within} % of the least from {low} to {high})"


def validation_as_text(configurations, predicted_ms, measured_ms, interval):
    """Return the lines that `validate` prints: errors, interval, the five worst networks.

    predicted_ms, measured_ms: arrays (networks,) in ms per image; interval: an Interval or None
    """
    errors = prediction_errors(predicted_ms, measured_ms)
    lines = [
        f"{errors.networks} networks, mean latency {np.mean(measured_ms):.4g} ms per image",
        f"NRMSE {percent(errors.nrmse)} % of the mean, RMSE {errors.rmse_ms:.3g} ms, largest error "
        f"{errors.largest_ms:.3g} ms, rank correlation {errors.rank_correlation:.4f}",
    ]
    if interval:
        share = interval.coverage(predicted_ms, measured_ms)
        lines.append(
            f"inside the {interval.name} (prediction ± {interval.width}): "
            f"{percent(share)} % of the networks"
        )
    else:
        lines.append("the model states no interval")
    lines.append("the worst predictions, ms per image:")
    for index in worst_networks(predicted_ms, measured_ms):
        widths = ", ".join(map(str, configurations[index]))
        error = predicted_ms[index] / measured_ms[index] - 1
        lines.append(
            f"  {rounded_up(predicted_ms[index])} predicted, "
            f"{rounded_up(measured_ms[index])} measured "
            f"({100 * error:+.1f} %): ({widths})"
        )
    return "\n".join(lines)


def device_name(metadata):
    """Return a short text of what a table or a file was measured on; "device unknown" if unknown.

    metadata: Metadata
    """
    parts = [metadata.device, metadata.device_name, metadata.host, metadata.dtype]
    if metadata.batch_size:
        parts.append(f"batch {metadata.batch_size}")
    if metadata.threads:
        parts.append(f"{metadata.threads} thread{'' if metadata.threads == 1 else 's'}")
    return ", ".join(part for part in parts if part) or "device unknown"
