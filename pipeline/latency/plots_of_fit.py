"""Pictures of how a latency table was chosen: the cross-validated error, and the learning curve."""

from nas.validation.trials import scan_of
from utils.figures import legend_above, new_figure, save_figure
from utils.formatting import rounded

WEIGHTS = {"strength": "strength R of the prior", "regularize": "weight K of monotonicity"}
ERROR = "cross-validated relative error (%)"


def plot_cross_validation(report, path):
    """Draw the error over R, over K and over the number of samples, each on its own scale.

    report: the fit of a fitted table's Metadata
    A weight that was given, not searched, has no curve.
    """
    best = report.cross_validation
    scans = [
        (name, scan_of(best.trials, name)) for name in WEIGHTS if getattr(best, f"flat_{name}")
    ]
    scans = [(name, scanned) for name, scanned in scans if scanned]
    figure = new_figure(4.3 * (len(scans) + 1), 4.2)
    axes = figure.subplots(1, len(scans) + 1, squeeze=False)[0]
    for one, (name, scanned) in zip(axes, scans, strict=False):
        draw_scan(one, name, scanned, best)
    draw_learning_curve(axes[-1], report.learning_curve)
    axes[0].set_ylabel(ERROR)
    title = f"K = {rounded(best.regularize)}, R = {rounded(best.strength)}: "
    title += f"{100 * best.nrmse:.2f} ± {100 * best.standard_error:.2f} %"
    figure.suptitle(f"{title} ({best.folds} folds)", fontsize=11)
    save_figure(figure, path)


def draw_scan(axes, name, scanned, best):
    """Draw the error over one weight; mark the choice and how flat it is.

    scanned: Trials in order; best: the CrossValidation of the Metadata
    """
    axes.set_xscale("log")
    low, high = getattr(best, f"flat_{name}")
    share = f"within {100 * best.flat_within:g} % of the least"
    axes.axvspan(low / 1.3, high * 1.3, color="tab:green", alpha=0.15, lw=0, label=share)
    _draw_errors(axes, [getattr(trial, name) for trial in scanned], scanned)
    chosen = {"color": "tab:red", "zorder": 4, "linestyle": "none", "label": "chosen"}
    axes.plot(getattr(best, name), 100 * best.nrmse, "o", **chosen)
    axes.set_xlabel(_scanned_weight(name, scanned))
    legend_above(axes, columns=2)


def _scanned_weight(name, scanned):
    """Return what a scan is over, and at which value of the other weight.

    The choice lies beside the curve where the other weight was scanned afterwards.
    """
    letter, other = ("K", "regularize") if name == "strength" else ("R", "strength")
    return f"{WEIGHTS[name]}, at {letter} = {rounded(getattr(scanned[0], other))}"


def draw_learning_curve(axes, points):
    """Draw the error over the number of samples that the tables were fitted to."""
    axes.set_xscale("log")
    sizes = [point.samples for point in points]
    _draw_errors(axes, sizes, points)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("samples that a table was fitted to")


def _draw_errors(axes, values, points):
    axes.errorbar(
        values,
        [100 * point.nrmse for point in points],
        yerr=[100 * point.standard_error for point in points],
        marker=".",
        capsize=2,
        color="tab:blue",
        elinewidth=0.8,
    )
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
