"""`latency.py devices`: which devices can be used on this machine, and why the others cannot."""

from utils.devices import DEVICES, open_device
from utils.devices.printed_latencies import last_line
from utils.devices.workload import Workload
from utils.errors import UserError

SMALL = Workload(batch_size=1, input_size=32, classes=10)


def device_lines(names=DEVICES, open_one=open_device):
    """Yield a line for each device: its runtime and versions, or the reason why it is not usable.

    open_one: as open_device
    """
    for name in names:
        try:
            described = open_one(name, SMALL).describe()
        except UserError as error:
            yield _line(name, False, str(error).removeprefix(f"device {name}").lstrip(": "))
        except Exception as error:  # whatever a broken installation raises when it is imported
            yield _line(name, False, f"{type(error).__name__}: {last_line(str(error))}")
        else:
            versions = ", ".join(" ".join(pair) for pair in described["versions"].items())
            yield _line(name, True, f"{described['runtime']} ({versions})")


def _line(name, usable, text):
    return f"{name:<12} {'usable' if usable else '–':<7} {text}"
