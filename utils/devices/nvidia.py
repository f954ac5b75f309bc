"""What the NVIDIA driver reports about a GPU: clocks are only read, never set."""

import subprocess

FIELDS = (
    "clocks.sm",
    "clocks.mem",
    "temperature.gpu",
    "power.draw",
    "clocks_throttle_reasons.active",
)


def gpu_state(query=subprocess.run):
    """Return the clocks (MHz), temperature (°C), power (W) and throttle reasons of the first GPU.

    Values are the driver's own strings; the dictionary is empty where it reports nothing. `query`
    runs the command, with subprocess.run's arguments.
    """
    values = _asked(FIELDS, query)
    # Without strict=True: an agent's Python may be older than 3.10.
    return dict(zip(FIELDS, values)) if len(values) == len(FIELDS) else {}  # noqa: B905


def driver_version(query=subprocess.run):
    """Return the version of the NVIDIA driver, None if unknown; query: as for gpu_state."""
    return next(iter(_asked(("driver_version",), query)), None)


def _asked(fields, query):
    """Return what nvidia-smi reports for the first GPU's fields, an empty list if it fails."""
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        answer = query(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    lines = answer.strip().splitlines()
    return [value.strip() for value in lines[0].split(",")] if lines else []
