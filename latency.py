"""Measure networks on a device, and model its latency: the first step of AOWS.

  latency.py generate -D cpu -N 8000 output/samples.jsonl             time networks of random widths
  latency.py generate -D cpu --until 1.5 output/samples.jsonl         until the error is 1.5 %
  latency.py fit output/samples.jsonl output/model.jsonl              fit the latency table
  latency.py fit output/samples.jsonl output/model.jsonl -K 100       the same by Eq. (7) alone
  latency.py validate output/val.jsonl output/model.jsonl output/plot.png
  latency.py report output/model.jsonl output/model.html              all about the table, one page
  latency.py benchmark -D cpu "(16, 32, …)" 0.5xMOBILENET             time single configurations
  latency.py benchmark -D onnxruntime output/final/mobilenet-best.onnx  time a network as exported
  latency.py generate -D command --command "./time {onnx} {runs}" -N 100 output/samples.jsonl
  latency.py devices                                                  which devices are usable here
  latency.py generate -D onnxruntime --host pi@kitchen -N 100 output/samples.jsonl  on another one

Latency is in milliseconds per image: the time of a batch / the batch size. Every samples
file and every model has a <file>.meta.json beside it, which says what was measured and how.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import contextlib
import itertools
import os
import sys
from pathlib import Path

import numpy as np

from nas.latency_table import LatencyTable
from nas.sampling import draw_configurations
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated, number_of_fits
from pipeline.latency.benchmark import (
    as_json,
    as_text,
    fastest_first,
    of_all_precisions,
    open_networks,
    predict,
    result,
    warn_of_changed_speed,
)
from pipeline.latency.conditions import (
    describe,
    refuse_other_networks,
    speed_ratio,
    warn_of_differences,
)
from pipeline.latency.device_list import device_lines
from pipeline.latency.fit_report import (
    device_name,
    errors_as_text,
    fit_as_text,
    kinds_of,
    validation_as_text,
)
from pipeline.latency.measuring_options import host_of, measuring
from pipeline.latency.options import (
    add_benchmark,
    add_devices,
    add_fit,
    add_generate,
    add_report,
    add_validate,
    design_of,
    drawing,
    fit_prior,
    fit_weights,
    search_space,
)
from pipeline.latency.page import write_report
from pipeline.latency.plots import plot_correlation
from pipeline.latency.plots_of_fit import plot_cross_validation
from pipeline.latency.progress import fitting_progress, timing_progress
from pipeline.latency.samples import (
    answers_in,
    drawn_in,
    drift,
    first_timings,
    load_samples,
    sample_line,
    warn_of_still_clock,
)
from pipeline.latency.samples_file import SamplesFile, begun_metadata
from pipeline.latency.stopping_check import StoppingCheck
from pipeline.latency.target import open_target, resolution_as_text
from pipeline.latency.verdict import reference_of
from utils.atomic_files import is_special, own_descriptor, remove_leftovers
from utils.command_line import Parser
from utils.devices import open_device
from utils.devices.bench import Bench
from utils.devices.timing import NOISY
from utils.errors import UserError, exits_with_one_line
from utils.json_lines import real_path
from utils.memory import naming_what_needs_memory
from utils.output_paths import PAGE, PICTURE, TABLE, refuse_overwriting
from utils.progress import warn


def generate(args):
    """Time `count` networks, less those that the samples file holds, or until there are enough."""
    remove_leftovers(Path(args.samples).parent)
    space = search_space(args)
    cache = None if is_special(args.samples) else f"{args.samples}.timing_cache"
    begun = begun_metadata(args.samples)
    sizes = space.input_size, space.classes
    workload, protocol = measuring(args, *sizes, timing_cache=cache, begun=begun)
    device = open_device(args.device, workload, host_of(args))
    drawn = drawing(args, begun)
    metadata = describe(args.device, device, workload, protocol, space, drawn)
    check = StoppingCheck(args.until, space, bool(protocol.rounds), args.seed)
    with SamplesFile(args.samples, metadata, space, args.save_every) as file:
        done, total = len(file.samples), args.count * args.repetitions
        if done < total and not check.stops(file.samples):
            recorded = drawn_in(file.samples)
            draws = draw_configurations(
                space, args.seed, design_of(drawn), args.repetitions, recorded
            )
            networks = map(
                space.network_of, itertools.islice(draws, min(total - done, sys.maxsize))
            )
            largest = space.network_of(space.largest)
            rng = np.random.default_rng((args.seed, done, 1))  # the order within the rounds
            file.note(state_before=device.state())
            with (
                Bench(device, space.reference, workload, protocol, rng) as bench,
                timing_progress(done, total, protocol, at_most=bool(args.until)) as advance,
            ):
                for group, timed in bench.time_groups(networks, largest, advance):
                    pairs = zip(group, timed, strict=True)
                    file.append([sample_line(*pair, workload, protocol) for pair in pairs])
                    if check.stops(file.samples, last=len(file.samples) == total):
                        break
            references_ms = [details["reference_ms"] for *_, details in file.samples]
            file.note(drift=drift(references_ms), state_after=device.state())
    report_samples(args.samples, file.samples, space.description.reference)


def report_samples(path, samples, name):
    """Print how many samples a file holds, how noisy they are, and the drift of a reference."""
    seen = drift([details["reference_ms"] for *_, details in samples])
    level = seen["median_ms"]
    print(f"{path}: {len(samples)} samples")
    warn_of_still_clock(samples)
    print(
        f"reference network {name}: {level:.4g} ms per image, from "
        f"{seen['min_ms'] / level - 1:+.1%} to {seen['max_ms'] / level - 1:+.1%} over the run"
    )
    spreads = ((details.get("iqr_ms", 0), details.get("median_ms", 1)) for *_, details in samples)
    noisy = sum(iqr_ms > NOISY * median_ms for iqr_ms, median_ms in spreads)
    if noisy:
        warn(
            f"in {noisy} of {len(samples)} samples the interquartile range of the times "
            f"exceeds {NOISY:.0%} of their median"
        )


def fit(args):
    """Fit a latency table to the samples of one or several files; it states its own error."""
    curve = args.curve or (
        os.devnull if is_special(args.model) else f"{args.model}.cross_validation.png"
    )
    prepare_outputs(args.samples, [(args.model, TABLE), (curve, PICTURE)])
    samples, space, metadata = load_samples(args.samples)
    weights = fit_weights(args)
    rng = np.random.default_rng(args.seed)
    with fitting_progress(number_of_fits(*weights), "fitting") as tick:
        table = fit_validated(samples, space, rng, *weights, metadata, tick, fit_prior(args))
    folder = Path(args.model).parent.resolve()
    files = [os.path.relpath(real_path(path), folder) for path in args.samples]
    table = table.with_metadata(table.metadata.stating_of_fit(samples_files=files))
    table.save(args.model)
    print(fit_as_text(table, args.model))
    if table.metadata.fit.cross_validation:
        plot_cross_validation(table.metadata.fit, curve)
        print(f"{curve}: cross-validated error over R, K and the number of samples")
    elif not args.curve and not is_special(curve):
        Path(curve).unlink(missing_ok=True)  # that of the table that was here before


def validate(args):
    """Compare a latency table with samples that it was not fitted to; draws their correlation."""
    prepare_outputs([*args.samples, args.model], [(args.plot, PICTURE)])
    table = LatencyTable.load(args.model)
    samples, space, metadata = load_samples(args.samples)
    table.values(space)  # raises if the table was made for another search space
    warn_of_differences(table.metadata, metadata)
    timings_ms = first_timings(samples)
    configurations = list(timings_ms)
    measured_ms = np.array(list(timings_ms.values())) * speed_ratio(table.metadata, metadata)
    predicted_ms = np.array([table.predict(configuration) for configuration in configurations])
    interval = Interval.of(table)
    kinds = kinds_of(configurations, space, answers_in(args.samples, space))
    title = device_name(metadata)
    plot_correlation(predicted_ms, measured_ms, args.plot, title, interval, kinds)
    print(validation_as_text(configurations, predicted_ms, measured_ms, interval))
    print(errors_as_text(predicted_ms, measured_ms, interval, kinds))
    print(f"{args.plot}: measured against predicted latency, ms per image")


def report(args):
    """Write all that is known about a latency table as one page of HTML."""
    prepare_outputs([args.model], [(args.page, PAGE)])
    write_report(LatencyTable.load(args.model), args.page)
    print(f"{args.page}: open it in a browser")


def benchmark(args):
    """Time configurations and ONNX files, and print what they cost."""
    networks, space = open_networks(
        args.configurations, args.device, args.network, args.input_size, args.classes
    )
    sizes = space.input_size, space.classes
    table = LatencyTable.load(args.latency_model) if args.latency_model else None
    if table:
        refuse_other_networks(table, space, args.configurations)
    target_ms = open_target(args.latency_target, table)
    predictions_ms = [predict(table, network) if table else None for network in networks]
    workload, protocol = measuring(args, *sizes)
    device = open_device(args.device, workload, host_of(args))
    drawn = {"seed": args.seed}
    metadata = describe(args.device, device, workload, protocol, space, drawn)
    if table:
        warn_of_differences(table.metadata, of_all_precisions(metadata, networks))
    reference_ms = reference_of(table, of_all_precisions(metadata, networks), target_ms)
    metadata = metadata.stating(state_before=device.state())
    largest = max(networks, key=lambda network: network.bytes(workload.batch_size))
    timed, rng = [], np.random.default_rng(args.seed)
    with (
        Bench(device, space.reference, workload, protocol, rng) as bench,
        timing_progress(0, len(networks), protocol) as advance,
    ):
        for _, group in bench.time_groups(networks, largest, advance):
            timed += group
    results = [
        result(*each, workload, protocol, reference_ms, target_ms)
        for each in zip(networks, timed, predictions_ms, strict=True)
    ]
    results = fastest_first(results)
    if protocol.rounds:  # in a row the reference network is timed a few times only
        warn_of_changed_speed(results)
    metadata = of_all_precisions(metadata.stating(state_after=device.state()), networks)
    if args.json:
        print(as_json(results, metadata))
    else:
        print(as_text(results, metadata))
        if target_ms and (text := resolution_as_text(args.latency_target, target_ms, table)):
            print(text)
    for name, one in zip(args.configurations, timed, strict=True):
        if one.measurement.warning:
            warn(f"{name}: {one.measurement.warning}")


def devices(args):
    """Tell which devices can be used on this machine, and why the others cannot."""
    for line in device_lines():
        print(line, flush=True)  # each runtime takes seconds to load


def prepare_outputs(inputs, outputs):
    """Refuse to write over what is read, and remove what killed runs left in the folders."""
    refuse_overwriting(inputs, outputs)
    for path, _ in outputs:
        folder = Path(path).parent
        if not is_special(path) and folder.is_dir() and not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written to")  # now, not after a fit
        remove_leftovers(folder)


def build_parser():
    """Return the parser of the stages; `run` is the function of the chosen stage."""
    parser = Parser(prog="latency.py", description=__doc__)
    stages = parser.add_subparsers(required=True, metavar="STAGE")
    add_generate(stages).set_defaults(run=generate)
    add_fit(stages).set_defaults(run=fit)
    add_validate(stages).set_defaults(run=validate)
    add_report(stages).set_defaults(run=report)
    add_benchmark(stages).set_defaults(run=benchmark)
    add_devices(stages).set_defaults(run=devices)
    return parser


@exits_with_one_line
@naming_what_needs_memory("--group-size", "--batch-size", "--input-size")
def main(argv=None):
    """Run the stage that the command line names.

    Where it writes a file to /dev/stdout, what it prints goes to the standard error.
    """
    args = build_parser().parse_args(argv)
    is_output = 1 in map(own_descriptor, vars(args).values())
    with contextlib.redirect_stdout(sys.stderr) if is_output else contextlib.nullcontext():
        args.run(args)


if __name__ == "__main__":
    main()
