"""Measure networks on a device, and model its latency: the first step of AOWS.

  latency.py generate -D cpu --biased -N 8000 output/samples.jsonl    time networks of random widths
  latency.py generate -D cpu --biased --until 1.5 output/samples.jsonl  until the error is 1.5 %
  latency.py fit output/samples.jsonl output/model.jsonl              fit the latency table
  latency.py fit output/samples.jsonl output/model.jsonl -K 100       the same by Eq. (7) alone
  latency.py validate output/val.jsonl output/model.jsonl output/plot.png
  latency.py report output/model.jsonl output/model.html              all about the table, one page
  latency.py benchmark -D cpu "(16, 32, …)" 0.5xMOBILENET             time single configurations
  latency.py benchmark -D onnxruntime output/final/mobilenet-best.onnx  time a network as exported

Latency is in milliseconds per image: the time of a batch / the batch size. Beside every file of
samples and every model stands <file>.meta.json, which says what was measured and how.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import itertools
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.network import REFERENCE, Network
from nas.latency_table import LatencyTable
from nas.sampling import draw_configurations
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated, number_of_fits
from pipeline.latency.benchmark import as_json, as_text, open_networks, predict, result
from pipeline.latency.conditions import refuse_other_networks, speed_ratio, warn_of_differences
from pipeline.latency.fit_report import device_name, fit_as_text, validation_as_text
from pipeline.latency.options import fit_weights, measuring, parse_args, search_space
from pipeline.latency.page import write_report
from pipeline.latency.plots import plot_correlation
from pipeline.latency.plots_of_fit import plot_cross_validation
from pipeline.latency.samples import drift, load_samples, sample_line
from pipeline.latency.samples_file import SamplesFile
from pipeline.latency.stopping_check import StoppingCheck
from utils.atomic_files import is_special, remove_leftovers
from utils.devices import open_device
from utils.devices.bench import Bench
from utils.devices.timing import NOISY
from utils.errors import exits_with_one_line
from utils.memory import naming_what_needs_memory
from utils.output_paths import PAGE, PICTURE, TABLE, refuse_overwriting
from utils.progress import progress_bar, warn


def generate(args):
    """Time `count` networks, less those that the samples file holds, or until they are enough."""
    remove_leftovers(Path(args.samples).parent)
    space = search_space(args)
    cache = None if is_special(args.samples) else f"{args.samples}.timing_cache"
    workload, protocol = measuring(args, timing_cache=cache)
    device = open_device(args.device, workload)
    metadata = describe(args, device, space, protocol)
    check = StoppingCheck(args.until, space, bool(protocol.rounds), args.seed)
    with SamplesFile(args.samples, metadata, space, args.save_every) as file:
        done, total = len(file.samples), args.count * args.repetitions
        if done < total and not check.stops(file.samples):
            recorded = [configuration for configuration, *_ in file.samples]
            draws = draw_configurations(space, args.seed, args.biased, args.repetitions, recorded)
            sizes = space.input_size, space.classes
            networks = (Network(draw, *sizes) for draw in itertools.islice(draws, total - done))
            largest = Network(space.largest, *sizes)
            rng = np.random.default_rng((args.seed, done, 1))  # the order within the rounds
            file.note(state_before=device.state())
            with (
                Bench(device, Network.reference(*sizes), workload, protocol, rng) as bench,
                networks_bar(done, total, args.iterations) as bar,
            ):
                for group, timed in bench.time_groups(networks, largest, bar.update):
                    pairs = zip(group, timed, strict=True)
                    file.append([sample_line(*pair, workload, protocol) for pair in pairs])
                    if check.stops(file.samples, last=len(file.samples) == total):
                        break
            references_ms = [details["reference_ms"] for *_, details in file.samples]
            file.note(drift=drift(references_ms), state_after=device.state())
    report_samples(args.samples, file.samples)


def report_samples(path, samples):
    """Print how many samples a file holds, how noisy they are, and the reference's drift."""
    seen = drift([details["reference_ms"] for *_, details in samples])
    level = seen["median_ms"]
    print(f"{path}: {len(samples)} samples")
    print(
        f"reference network {REFERENCE}: {level:.4g} ms per image, from "
        f"{seen['min_ms'] / level - 1:+.1%} to {seen['max_ms'] / level - 1:+.1%} over the run"
    )
    spreads = (details.get("iqr_ms", 0) / details.get("median_ms", 1) for *_, details in samples)
    noisy = sum(spread > NOISY for spread in spreads)
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
    with progress_bar(total=number_of_fits(*weights), desc="fitting", leave=False, delay=1) as bar:
        table = fit_validated(samples, space, rng, *weights, metadata, bar.update)
    folder = Path(args.model).parent
    table.metadata["fit"]["samples_files"] = [os.path.relpath(p, folder) for p in args.samples]
    table.save(args.model)
    print(fit_as_text(table, args.model))
    if "cross_validation" in table.metadata["fit"]:
        plot_cross_validation(table.metadata["fit"], curve)
        print(f"{curve}: cross-validated error over R, K and the number of samples")


def validate(args):
    """Compare a latency table with samples that it was not fitted to; draws their correlation."""
    prepare_outputs([*args.samples, args.model], [(args.plot, PICTURE)])
    table = LatencyTable.load(args.model)
    samples, space, metadata = load_samples(args.samples)
    table.values(space)  # raises if the table was made for another search space
    warn_of_differences(table.metadata, metadata)
    configurations, measured_ms = zip(*samples, strict=True)
    measured_ms = np.array(measured_ms) * speed_ratio(table.metadata, metadata)
    predicted_ms = np.array([table.predict(configuration) for configuration in configurations])
    interval = Interval.of(table)
    plot_correlation(predicted_ms, measured_ms, args.plot, device_name(metadata), interval)
    print(validation_as_text(configurations, predicted_ms, measured_ms, interval))
    print(f"{args.plot}: measured against predicted latency, ms per image")


def report(args):
    """Write all that is known about a latency table as one page of HTML."""
    prepare_outputs([args.model], [(args.page, PAGE)])
    write_report(LatencyTable.load(args.model), args.page)
    print(f"{args.page}: open it in a browser")


def benchmark(args):
    """Time configurations and ONNX files, and print what they cost."""
    networks, args.input_size, args.classes = open_networks(args)
    table = LatencyTable.load(args.latency_model) if args.latency_model else None
    if table:
        refuse_other_networks(table, args)
    predictions_ms = [predict(table, network) if table else None for network in networks]
    workload, protocol = measuring(args)
    device = open_device(args.device, workload)
    metadata = describe(args, device, search_space(args), protocol)
    precisions = {network.precision or workload.dtype for network in networks}
    metadata["dtype"] = ", ".join(sorted(precisions))  # files have their own
    if table:
        warn_of_differences(table.metadata, metadata)
    metadata["state_before"] = device.state()
    reference = Network.reference(args.input_size, args.classes)
    largest = max(networks, key=lambda network: network.bytes(workload.batch_size))
    timed = []
    with (
        Bench(device, reference, workload, protocol, np.random.default_rng(args.seed)) as bench,
        networks_bar(0, len(networks), args.iterations) as bar,
    ):
        for _, group in bench.time_groups(networks, largest, bar.update):
            timed += group
    results = [
        result(*each, workload, protocol)
        for each in zip(networks, timed, predictions_ms, strict=True)
    ]
    results.sort(key=lambda each: each["latency_ms"])
    metadata["state_after"] = device.state()
    print(as_json(results, metadata) if args.json else as_text(results, metadata))
    for name, one in zip(args.configurations, timed, strict=True):
        if one.measurement.warning:
            warn(f"{name}: {one.measurement.warning}")


def prepare_outputs(inputs, outputs):
    """Refuse to write over what is read, and remove what killed runs left in the folders."""
    refuse_overwriting(inputs, outputs)
    for path, _ in outputs:
        remove_leftovers(Path(path).parent)


def describe(args, device, space, protocol):
    """Return the metadata of measurements: what is measured, on what and how."""
    options = ("dtype", "batch_size", "threads", "tf32", "channels_last", "cuda_graph")
    sampling = ("seed", "biased", "repetitions")
    return {
        "latency": "milliseconds per image: the time of a batch / the batch size",
        "device": args.device,
        **device.describe(),
        **{name: getattr(args, name) for name in options},
        "trt_builder": args.trt_builder,
        "protocol": {**asdict(protocol), "reference": REFERENCE},
        "search_space": space.as_dict(),
        **{name: getattr(args, name) for name in sampling if hasattr(args, name)},
    }


def networks_bar(done, total, iterations):
    """Return a progress bar over networks that advances with every timed run."""
    return progress_bar(
        initial=done * iterations,
        total=total * iterations,
        unit_scale=1 / iterations,
        desc="timing networks",
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}]",
    )


@exits_with_one_line
@naming_what_needs_memory("--batch-size", "--input-size")
def main(argv=None):
    """Run the stage that the command line names."""
    args = parse_args(__doc__, argv)
    stages = (generate, fit, validate, report, benchmark)
    {stage.__name__: stage for stage in stages}[args.stage](args)


if __name__ == "__main__":
    main()
