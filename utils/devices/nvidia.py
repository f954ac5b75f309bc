"""What the NVIDIA driver tells of a GPU's clocks; it is only read, never set."""

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

    Texts as the driver gives them; an empty dictionary where it tells nothing. `query` runs the
    command, with subprocess.run's arguments.
    """
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = query(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = answer.strip().splitlines()
    values = [value.strip() for value in lines[0].split(",")] if lines else []
    return dict(zip(FIELDS, values, strict=True)) if len(values) == len(FIELDS) else {}
