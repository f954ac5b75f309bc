"""How much memory a process uses."""

import re
from pathlib import Path


def resident_mib(field):
    """Return this process's resident memory now (VmRSS) or at its peak (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 2**10
