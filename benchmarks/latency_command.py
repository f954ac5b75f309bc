"""What latency.py benchmark measures, for benchmarks that time networks as a user would."""

import json
import subprocess
import sys


def latency_benchmark(*arguments):
    """Return {"results": …, "metadata": …} that latency.py benchmark prints for its arguments."""
    command = [sys.executable, "latency.py", "benchmark", "--json", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
