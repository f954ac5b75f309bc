"""How repeatable and how even times are, in one precision; prints a JSON line per Timing.

python -m benchmarks.gpu_stages.timing_probe fp16 [--device trt] [--miniature]

disagreement_percent  root mean square of log(first / second) of two passes over the networks
spread_percent        median interquartile range / median of a network's times
s_per_network         seconds to build, warm up and time one
cliffs                ms per image of MobileNet-v1 by the width of one of its layers
"""

import argparse
import json
import time
from dataclasses import replace

import numpy as np

from benchmarks.gpu_stages.settings import CLIFF_LAYER, FULL, MINIATURE, PRECISIONS
from benchmarks.measurement_repeatability import disagreement
from nas.search_space import SearchSpace
from utils.devices import open_device
from utils.devices.bench import Bench, Protocol


def measured(timing, settings):
    """Return what one Timing gives, as the module says."""
    workload = timing.workload(settings)
    space = SearchSpace(settings.input_size, settings.classes)
    rng = np.random.default_rng(0)
    networks = [space.network_of(space.draw_uniform(rng)) for _ in range(settings.networks)]
    device = open_device(timing.device, workload)
    found = {"timing": str(timing), "state_before": device.state()}
    protocol = Protocol(settings.iterations, warmup=5)
    with Bench(device, space.reference, workload, protocol, rng) as bench:

        def timed(these):
            groups = bench.time_groups(these, space.network_of(space.largest))
            return [one for _, group in groups for one in group]

        start = time.perf_counter()
        passes = [timed(networks), timed(networks)]
        found["s_per_network"] = (time.perf_counter() - start) / 2 / len(networks)
        if timing.batch == settings.batches[0]:
            found["cliffs"] = cliffs(timed, settings)
    first, second = (np.array([one.measurement.median_s for one in each]) for each in passes)
    every = [one.measurement for each in passes for one in each]
    reference_s = np.median([one.reference.median_s for each in passes for one in each])
    return found | {
        "reference_ms": float(reference_s) * 1e3 / timing.batch,
        "disagreement_percent": float(disagreement(first, second)),
        "spread_percent": 100 * float(np.median([one.iqr_s / one.median_s for one in every])),
        "state_after": device.state(),
    }


def cliffs(timed, settings):
    """Return {"widths": of CLIFF_LAYER in MobileNet-v1, "ms": per image of each}."""
    space = SearchSpace(settings.input_size, settings.classes)
    configurations = [list(space.description.base_widths) for _ in settings.cliff_widths]
    for configuration, width in zip(configurations, settings.cliff_widths, strict=True):
        configuration[CLIFF_LAYER] = width
    times = timed([space.network_of(each) for each in configurations])
    batch = settings.batches[0]
    ms = [one.measurement.median_s * 1e3 / batch for one in times]
    return {"widths": list(settings.cliff_widths), "ms": ms}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("precision", choices=tuple(PRECISIONS))
    parser.add_argument("--device", help="gpu, trt; default: the settings'")
    parser.add_argument("--miniature", action="store_true", help="little, on the CPU")
    args = parser.parse_args(arguments)
    settings = MINIATURE if args.miniature else FULL
    if args.device == "trt":  # building an engine takes seconds
        settings = replace(settings, networks=2, cliff_widths=settings.cliff_widths[-3:])
    for timing in settings.timings(args.precision, args.device):
        try:
            found = measured(timing, settings)
        except (RuntimeError, MemoryError, ValueError) as error:
            found = {"timing": str(timing), "why": str(error).partition("\n")[0]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
