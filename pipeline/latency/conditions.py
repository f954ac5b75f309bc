"""Comparing the conditions that a latency table was made in with those of other measurements."""

from models.network import REFERENCE
from utils.errors import UserError
from utils.progress import warn

CONDITIONS = ("device", "device_name", "dtype", "batch_size", "threads")
OF_THE_PROTOCOL = ("reduction", "clock")


def refuse_other_networks(table, args):
    """Raise UserError if a table was made for another input size or number of classes.

    args: of `benchmark`; ONNX files among the configurations tell both
    """
    files = [text for text in args.configurations if text.endswith(".onnx")]
    for name in ("input_size", "classes"):
        its, ours = getattr(table, name), getattr(args, name)
        if its != ours:
            option = f"--{name.replace('_', '-')}"
            of = f", which {files[0]} has" if files else ""
            raise UserError(f"{table.source} was made for {option} {its}, not for {ours}{of}")


def warn_of_differences(model, measured):
    """Warn on standard error if a model was fitted to other conditions than were measured."""
    for name, fitted, now in condition_differences(model, measured):
        warn(f"the model was fitted to {name} {fitted!r}, this was measured with {now!r}")
    fitted = model.get("files", [])
    if any("seed" in drawn and drawn in fitted for drawn in measured.get("files", [])):
        warn(
            "these samples and the model's were drawn with the same seed, so they hold "
            "the same networks: give `generate` another --seed for validation"
        )


def condition_differences(model, measured):
    """Return the (name, value of the model, value measured) of the conditions that differ."""
    one, other = conditions(model), conditions(measured)
    return [
        (name, one[name], other[name]) for name in one if name in other and one[name] != other[name]
    ]


def conditions(metadata):
    """Return what of a file's metadata a latency depends on; what it does not tell is left out."""
    protocol = metadata.get("protocol", {})
    return {
        **{name: metadata[name] for name in CONDITIONS if name in metadata},
        **{name: protocol[name] for name in OF_THE_PROTOCOL if name in protocol},
    }


def speed_ratio(model, measured):
    """Return by what measured latencies are multiplied to hold at the model's machine speed.

    The reference network tells it: the same machine may be some per cent faster or slower for
    hours. 1 if either lacks the reference's latency, or if they are not of the same device.
    """
    if condition_differences(model, measured) or not (
        "reference_ms" in model and "reference_ms" in measured
    ):
        return 1.0
    ratio = model["reference_ms"] / measured["reference_ms"]
    print(
        f"reference network {REFERENCE}: {measured['reference_ms']:.4g} ms, "
        f"{model['reference_ms']:.4g} ms when the table was measured: "
        f"measured latencies are multiplied by {ratio:.3f}"
    )
    return ratio
