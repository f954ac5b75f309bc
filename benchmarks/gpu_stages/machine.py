"""What the machine is, its clocks before and after, and the project's own tests on it."""

import re

from benchmarks.gpu_stages.commands import StageFailed
from benchmarks.gpu_stages.machine_probe import NEEDED
from benchmarks.gpu_stages.stage import Stage, json_lines
from utils.devices.nvidia import gpu_state

MACHINE, CLOCKS = "machine", "clocks afterwards"


def first_stages():
    """Return the stages that come first."""
    return [
        Stage(MACHINE, 20, look, show_machine, on_gpu=False),
        Stage("GPU tests", 20, gpu_tests, show_tests),
    ]


def last_stages(settings):
    """Return the stages that come last, if there is time."""
    stages = [Stage(CLOCKS, 0, lambda _: gpu_state(), show_state, on_gpu=False)]
    if settings.cuda:
        stages.insert(0, Stage("all tests", 150, all_tests, show_tests))
    return stages


def look(context):
    """Return what the machine has; StageFailed if a GPU or a package that is needed is missing."""
    outcome = context.commands.attempt("-m", "benchmarks.gpu_stages.machine_probe")
    told = dict(item for line in json_lines(outcome.output) for item in line.items())
    if outcome.why:
        raise StageFailed(outcome.why, told)
    found = told["packages"]
    lacking = [name for name in NEEDED if "load" in (found.get(name) or "does not load")]
    if lacking:
        raise StageFailed(f"not installed, or does not load: {', '.join(lacking)}", told)
    if context.settings.cuda and "why" in told["gpu"]:
        raise StageFailed(f"no CUDA device: {told['gpu']['why']}", told)
    return told


def show_machine(told):
    """Return the lines of what `look` found."""
    gpu = told.get("gpu", {})
    if "name" in gpu:
        lines = [
            f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB ({gpu['free_gib']:.0f} free), compute "
            f"capability {gpu['capability']}, driver {told['driver']}, CUDA {told['cuda']}, cuDNN "
            f"{told['cudnn']}"
        ]
    else:
        lines = [f"No GPU: {gpu.get('why', 'unknown')}; driver: {told.get('driver') or 'none'}"]
    packages = [f"{n} {found or 'not there'}" for n, found in told.get("packages", {}).items()]
    lines += [
        "",
        f"Python {told['python']}, {told['system']}, {told['cores']} cores; {', '.join(packages)}",
    ]
    return [*lines, *(["", *show_state(told["state"])] if told["state"] else [])]


def show_state(state):
    """Return the lines of a GPU's clocks."""
    if not state:
        return ["The driver tells no clocks."]
    return [", ".join(f"{name} {value}" for name, value in state.items())]


def gpu_tests(context):
    """Run the tests that need a GPU; return their counts."""
    return _tests(context, "-m", "gpu", "tests/utils/devices", "tests/models")


def all_tests(context):
    """Run all tests, several at a time; return their counts."""
    return _tests(context, "-n", "auto", "--dist", "worksteal")


def _tests(context, *options):
    words = ("-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", *options)
    outcome = context.commands.attempt(*words)
    lines = outcome.output.strip().splitlines() or ["nothing"]
    result = {
        "counts": {what: int(n) for n, what in re.findall(r"(\d+) ([a-z]+)", lines[-1])},
        "last_line": lines[-1].strip("= "),
        "failed": [line for line in lines if line.startswith(("FAILED", "ERROR"))],
    }
    if outcome.why:
        raise StageFailed(f"pytest: {result['last_line']}", result)
    return result


def show_tests(result):
    """Return the lines of a run of pytest."""
    return [result["last_line"], *(f"- `{line[:300]}`" for line in result["failed"][:40])]
