"""What latency.py says of a fit and of a validation, as text."""

import numpy as np

from nas.validation.conformal import Interval
from nas.validation.prediction_errors import prediction_errors, worst_networks
from utils.formatting import percent, rounded, rounded_up


def fit_as_text(table, path):
    """Return the lines that `fit` prints of a table that was written to `path`."""
    report = table.metadata["fit"]
    lines = [
        f"{path}: {len(table.entries)} variables fitted to {report['samples']} samples; "
        f"{report['solver']} reports {report['status']!r} after {report['iterations']} iterations, "
        f"{report['seconds']:.1f} s",
        f"prior: {report['prior']}, {_weight('K', 'regularize', report)}"
        + (f", {_weight('R', 'strength', report)}" if report["strength"] else ""),
    ]
    if best := report.get("cross_validation"):
        error = f"{percent(best['nrmse'])} ± {percent(best['standard_error'])} %"
        lines.append(f"cross-validated error: {error} of the mean latency ({best['folds']} folds)")
    if interval := Interval.of(table):
        lines.append(f"{interval.name}: prediction ± {percent(interval.half_width)} %")
    return "\n".join(lines)


def _weight(symbol, name, report):
    flat = report.get("cross_validation", {}).get(f"flat_{name}")
    text = f"{symbol} = {rounded(report[name])}"
    if flat is None:
        return text
    within = percent(report["cross_validation"]["flat_within"])
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
            f"inside the {interval.name} (prediction ± {percent(interval.half_width)} %): "
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

    metadata: what stands in <file>.meta.json
    """
    parts = [metadata.get("device"), metadata.get("device_name"), metadata.get("dtype")]
    for name, text in (("batch_size", "batch {}"), ("threads", "{} thread{}")):
        if name in metadata:
            value = metadata[name]
            parts.append(text.format(value, "" if value == 1 else "s"))
    return ", ".join(str(part) for part in parts if part) or "device unknown"
