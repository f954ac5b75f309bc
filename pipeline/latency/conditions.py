"""Comparing the conditions that a latency table was made in with those of other measurements."""

from msgspec import UNSET

from utils.errors import UserError
from utils.metadata import HERE, Metadata
from utils.progress import warn

OF_THE_WORKLOAD = (
    *("dtype", "batch_size", "threads"),
    *("tf32", "channels_last", "cuda_graph", "trt_builder"),
)
CONDITIONS = ("device", "device_name", "command", "command_pattern", *OF_THE_WORKLOAD)
OF_THE_PROTOCOL = ("reduction", "clock")


def describe(device_name, device, workload, protocol, space, drawn):
    """Return the Metadata of measurements: what is measured, on what and how.

    device_name: as --device names it; drawn: {name: value} of how the networks are drawn
    """
    return Metadata.of(
        {
            "latency": "milliseconds per image: the time of a batch / the batch size",
            "device": device_name,
            **device.describe(),
            **{name: getattr(workload, name) for name in OF_THE_WORKLOAD},
            "protocol": {**protocol.as_dict(), "reference": space.description.reference},
            "search_space": space.as_dict(),
            **drawn,
        }
    )


def is_onnx(text):
    """Return whether a text names an ONNX file, not a configuration."""
    return text.lower().endswith(".onnx")


def refuse_other_networks(table, space, texts):
    """Raise UserError if a table is not of a SearchSpace's network, input size and classes.

    texts: the configurations and ONNX files that determine the space
    """
    files = [text for text in texts if is_onnx(text)]
    for name in ("network", "input_size", "classes"):
        its, ours = getattr(table, name), getattr(space, name)
        if its != ours:
            option = f"--{name.replace('_', '-')}"
            of = f", which {files[0]} has" if files else ""
            raise UserError(f"{table.source} was made for {option} {its}, not for {ours}{of}")


def warn_of_differences(model, measured):
    """Warn on standard error if a model was fitted to other conditions than were measured."""
    for name, fitted, now in condition_differences(model, measured):
        warn(f"the model was fitted to {name} {fitted!r}, this was measured with {now!r}")
    fitted = model.files or ()
    if any(drawn.seed is not UNSET and drawn in fitted for drawn in measured.files or ()):
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
    """Return the conditions in a file's Metadata that a latency depends on, if stated."""
    told = {name: getattr(metadata, name) for name in CONDITIONS}
    told |= {name: getattr(metadata.protocol, name) for name in OF_THE_PROTOCOL}
    told["host"] = metadata.host or (HERE if metadata.device else UNSET)
    return {name: value for name, value in told.items() if value is not UNSET}


def speed_ratio(model, measured):
    """Return the factor that scales measured latencies to the model's machine speed.

    It comes from the reference network: the same machine may be some per cent faster or slower for
    hours. 1 if either lacks the reference's latency, or if they are not of the same device.
    """
    if condition_differences(model, measured) or not (model.reference_ms and measured.reference_ms):
        return 1.0
    ratio = model.reference_ms / measured.reference_ms
    print(
        f"reference network: {measured.reference_ms:.4g} ms, "
        f"{model.reference_ms:.4g} ms when the table was measured: "
        f"measured latencies are multiplied by {ratio:.3f}"
    )
    return ratio
