"""The page about a latency table: one HTML file with all pictures inside."""

import json
from pathlib import Path

import numpy as np

from nas.validation.conformal import Interval
from nas.width_steps import CLIFF, FREE, WidthCosts
from pipeline.latency.fit_report import (
    ERRORS,
    THIRDS,
    cross_validated_thirds,
    device_name,
    error_cells,
)
from pipeline.latency.page_html import details, note, page, paragraph, picture, table_of
from pipeline.latency.plots import MEANINGS, plot_coverage, plot_latency_table, plot_width_costs
from pipeline.latency.plots_of_fit import plot_cross_validation
from utils.atomic_files import atomic_write
from utils.formatting import percent, rounded, rounded_up
from utils.metadata import refuse_partial_fit
from utils.progress import progress_bar

ROWS = 25  # of the table of notable steps


def write_report(table, path):
    """Write the page about a LatencyTable, whole or not at all.

    What the table's metadata do not state (a table of another program) is left out, and the page
    says so. Raises UserError if the table lacks variables of its search space, or states its fit
    only in part.
    """
    space = table.space
    if table.metadata.has_fit:
        refuse_partial_fit(table.metadata, table.source)
    costs = WidthCosts(table.values(space), space)
    fitted = table.metadata.fit
    parts = {
        "How far to trust it": lambda: trust(table),
        "What a step of width costs": lambda: steps(costs),
        "Dominated widths": lambda: dominated(costs),
        "The table, layer by layer": lambda: heat_maps(table, space),
        "Coverage": lambda: coverage(fitted, space),
        "Metadata": lambda: metadata(table),
    }
    bar = progress_bar(parts.items(), desc="drawing", leave=False, delay=1)
    sections = {heading: part() for heading, part in bar}
    text = page(
        title=f"Latency table {Path(table.source).name}",
        subtitle=f"{device_name(table.metadata)} · input {space.input_size}×{space.input_size}, "
        f"{space.classes} classes · latency in ms per image",
        cards=summary(table, costs),
        sections=sections,
    )
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "replace"))  # a file's name need not be UTF-8


def summary(table, costs):
    """Return what the cards at the top say: (number, what it is) pairs."""
    space = costs.space
    fastest, slowest = (table.predict(c) for c in (space.smallest, space.largest))
    facts = [
        (f"{rounded_up(fastest)} to {rounded_up(slowest)} ms", "narrowest to widest network"),
        (f"{costs.mean_ms:.4g} ms", "mean network"),
    ]
    fitted = table.metadata.fit
    if best := fitted.cross_validation:
        error = f"{percent(best.nrmse)} ± {percent(best.standard_error)} %"
        facts.append((error, "cross-validated error"))
    if interval := Interval.of(table):
        facts.append((f"± {interval.width}", interval.name))
    if table.metadata.has_fit:
        facts.append((str(fitted.samples), "samples"))
        weights = f"K = {rounded(fitted.regularize)}"
        if fitted.strength:
            weights += f", R = {rounded(fitted.strength)}"
        facts.append((weights, f"prior: {fitted.prior}"))
        facts.append((fitted.status, f"solver {fitted.solver}"))
    return facts


def trust(table):
    """Return the section on cross-validated errors, intervals and the learning curve."""
    fitted = table.metadata.fit
    if not fitted.cross_validation:
        text = (
            "This table does not state how it was validated: it comes from another program, or was "
            "fitted to too few samples. Use latency.py validate on networks it was not fitted to."
        )
        return [note(text)]
    parts = [
        paragraph(
            "Errors of networks that a table was not fitted to, over the strength R of the "
            "prior, the weight K of monotonicity, and the number of samples. Bars are one standard "
            "error; each panel has its own scale. In the green range the choice hardly matters."
        ),
        picture(lambda file: plot_cross_validation(fitted, file), "cross-validated error"),
        paragraph(_learning(fitted.learning_curve)),
    ]
    if interval := Interval.of(table):
        parts.append(
            paragraph(
                f"{interval.name}: of new networks drawn and timed like the samples, "
                f"{100 * interval.level:g} % are within {interval.width} of their "
                f"prediction, either side (conformal, from {interval.residuals} cross-validated "
                "errors, wider where these are larger). It knows no drift that the samples do not "
                "show."
            )
        )
    if thirds := cross_validated_thirds(table):
        parts.append(paragraph("The relative errors by thirds of the latency range:"))
        rows = [(n, *error_cells(each)) for n, each in zip(THIRDS, thirds, strict=True)]
        parts.append(table_of(("", *ERRORS), rows))
    return parts


def _learning(points):
    half, full = (point.nrmse for point in points[-2:])
    gain = 1 - full / half if half else 0
    advice = "still help." if gain > 0.03 else "help little."
    return (
        f"From {points[-2].samples} to {points[-1].samples} samples the error changed from "
        f"{percent(half)} % to {percent(full)} %: more samples would {advice}"
    )


def steps(costs):
    """Return the section on cliffs and free steps."""
    notable = costs.notable_steps()
    parts = [
        paragraph(
            "Mean latency that a width adds to a network, over the widths of the neighbouring "
            "layers; this sum is what timings of whole networks determine. Coloured: steps to the "
            "next width that make the network faster, that are nearly free (less than "
            f"{FREE:g} of what so many channels cost in this layer on average), and cliffs (more "
            f"than {CLIFF:g} times that)."
        ),
        picture(lambda file: plot_width_costs(costs, file), "added latency per width"),
    ]
    if not notable:
        return [*parts, note("No step differs notably from its layer's usual step.")]
    rows = [
        (
            step.layer,
            f"{step.narrow} → {step.wide}",
            MEANINGS[step.kind],
            f"{step.mean_ms:+.4f}",
            f"{step.least_ms:+.4f} to {step.greatest_ms:+.4f}",
            f"{step.usual_ms:+.4f}",
        )
        for step in notable[:ROWS]
    ]
    names = ("layer", "width", "what", "mean, ms", "over the neighbours' widths, ms", "usual, ms")
    parts.append(table_of(names, rows))
    if len(notable) > ROWS:
        parts.append(paragraph(f"The {ROWS} largest of {len(notable)}."))
    return parts


def dominated(costs):
    """Return the section on widths that a wider one makes pointless."""
    found = costs.dominated()
    if not found:
        return [note("None: every wider width is slower, on average over the neighbours' widths.")]
    rows = [
        (
            each.layer,
            each.width,
            each.wider,
            f"{each.saved_ms:.4f}",
            "always" if each.always else "on average",
        )
        for each in found
    ]
    names = ("layer", "width", "not slower", "saves, ms", "for the neighbours' widths")
    text = (
        "A wider choice of the same layer is not slower: always, so that a search never needs the "
        "width, or on average over the neighbours' widths."
    )
    return [paragraph(text), table_of(names, rows)]


def heat_maps(table, space):
    """Return the section with the table itself."""
    return [picture(lambda file: plot_latency_table(table, space, file), "latency table heat maps")]


def coverage(fitted, space):
    """Return the section on how many times each variable was sampled."""
    counts = fitted.times_seen
    if len(counts) != len(space.variables):
        return [note("This table does not state how often its variables were sampled.")]
    own = counts[space.occurring]
    never = int((own == 0).sum())
    text = (
        f"How often each of the {len(own)} variables occurs in the samples: median "
        f"{np.median(own):g}, least {own.min()}, most {own.max()}. "
    )
    unseen = f"{never} were never seen (red): their values come from monotonicity and the prior."
    text += unseen if never else "Each was seen at least once."
    return [paragraph(text), picture(lambda file: plot_coverage(counts, space, file), "coverage")]


def metadata(table):
    """Return the section with the metadata, long lists left out."""
    if not table.metadata.stated:
        return [note("There is no metadata file beside this table: its device is not known.")]
    stated = {**table.metadata.stated}
    if "fit" in stated:
        left_out = ("cross_validation", "learning_curve", "coverage")
        left_out += ("residuals_per_mille", "residuals_at_ms")
        stated["fit"] = {k: v for k, v in stated["fit"].items() if k not in left_out}
    return [details("what was measured, on what and how", json.dumps(stated, indent=2))]
