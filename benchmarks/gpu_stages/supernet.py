"""Stages that time training steps of the supernet, and run its other precisions."""

from functools import partial

from benchmarks.gpu_stages.commands import StageFailed
from benchmarks.gpu_stages.stage import Stage, json_lines, number, table

MOST_OUTSIDE = 0.03  # of a step, outside the network
MOST_MEMORY = 1.1  # full-width passes
MOST_DIFFERENT = 1e-6  # gradients from the CPU's, relative, in double precision


def step_stages(settings):
    """Return the stages: one per precision, and whether it is compiled."""
    return [
        Stage(
            f"supernet step, {dtype}{', compiled' if compiled else ''}",
            cost_s=160 if compiled else 80,
            run=partial(time_steps, dtype, compiled),
            show=partial(show_steps, settings),
        )
        for dtype, compiled in settings.dtypes
    ]


def time_steps(dtype, compiled, context):
    """Return what the supernet probe says, as one dictionary."""
    options = ("--compile",) if compiled else ()
    probe = ("-m", "benchmarks.gpu_stages.supernet_probe", dtype, *options, *context.miniature)
    outcome = context.commands.attempt(*probe)
    lines = json_lines(outcome.output)
    result = {key: value for line in lines for key, value in line.items() if key not in KEPT_APART}
    result["first"] = [line for line in lines if "first" in line]
    result["outside"] = [line for line in lines if "outside" in line]
    lacking = [f"{line['first']}: {line['why']}" for line in result["first"] if "why" in line]
    lacking += [
        f"gradients of G = {groups} differ from the CPU's by {difference:.0e}"
        for groups, difference in result.get("gradients", {}).items()
        if not difference <= MOST_DIFFERENT
    ]
    if outcome.why or lacking:
        raise StageFailed("; ".join([*lacking, *([outcome.why] if outcome.why else [])]), result)
    return result


KEPT_APART = ("first", "outside", "seconds", "why", "ms", "share")


def show_steps(settings, result):
    """Return a table of the passes, and how the gradients compare with the CPU's."""
    rates, peaks = result.get("images_per_s", {}), result.get("peak_mib", {})
    first = {line["first"]: line.get("seconds") for line in result["first"]}
    outside = {f"G = {line['outside']}": line["share"] for line in result["outside"]}
    rows = []
    for name in ("plain", "G = 0", "G = 4", "full pass"):
        rate, peak = rates.get(name), peaks.get(name)
        ratio = rate / rates["plain"] if rate and "plain" in rates else None
        memory = peak / peaks["full pass"] if peak and "full pass" in peaks else None
        share = outside.get(name)
        rows.append(
            (
                name,
                number(rate, ".0f"),
                number(ratio, ".2f"),
                "–" if share is None else f"{share:.2%}",
                number(peak, ".0f"),
                number(memory, ".2f"),
                number((first.get(name) or [None])[0], ".1f"),
            )
        )
    size, batch = settings.step
    header = (
        "",
        "images/s",
        "× plain",
        "outside the network",
        "MiB",
        "× full pass",
        "first call, s",
    )
    lines = [
        f"{size}×{size} pixels, {batch} images a batch; asked for: at most {MOST_OUTSIDE:.0%} "
        f"outside the network, at most {MOST_MEMORY} full-width passes of memory.",
        "",
        *table(header, rows),
    ]
    if "gradients" in result:
        told = ", ".join(f"G = {g}: {d:.0e}" for g, d in result["gradients"].items())
        lines += ["", f"Gradients against the CPU's, in double precision: {told}"]
    return lines
