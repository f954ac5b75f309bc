"""What the benchmarks read of a process's memory."""

import re
from pathlib import Path


def resident_mib(field):
    """Return this process's resident memory, VmRSS, or the greatest so far, VmHWM."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 2**10
