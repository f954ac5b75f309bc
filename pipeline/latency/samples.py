"""Reading samples files: lines [configuration, latency_ms, details], and their drift."""

import itertools
import os
import reprlib
from functools import partial

import numpy as np
from msgspec import UNSET, Struct, UnsetType

from nas.search_space import SearchSpace
from utils.atomic_files import is_special
from utils.errors import UserError
from utils.json_lines import read_lines, read_metadata
from utils.json_types import LEAST_MS, MOST_MS, NotNegative, checked
from utils.metadata import Drawing, first_difference
from utils.progress import warn

FAR = 100  # times the usual latency, and latency per operation: another unit rather than a network
OF_ONE_FILE = ("seed", "biased", "design")  # settings in which the files of a fleet may differ
# In the details of a network that generate did not draw: --verify added it, and has it answered?
ADDED, ANSWER = "added", "answer"


class Details(Struct, frozen=True):
    """The third element of a samples file's line: statistics and times in ms per image."""

    mean_ms: NotNegative | UnsetType = UNSET
    median_ms: NotNegative | UnsetType = UNSET
    min_ms: NotNegative | UnsetType = UNSET
    iqr_ms: NotNegative | UnsetType = UNSET
    times_ms: list[NotNegative] | UnsetType = UNSET
    added: bool | UnsetType = UNSET
    answer: bool | UnsetType = UNSET


def read_samples(path, space):
    """Return the (configuration, latency in ms, details) of each line of a samples file.

    Raises UserError that names the file and the line of anything that is not a sample.
    """
    samples = []
    for number, line in read_lines(path):
        try:
            samples.append(_checked_sample(line, space))
        except UserError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
    return samples


def _checked_sample(line, space):
    if (
        not isinstance(line, list)
        or len(line) not in (2, 3)
        or not isinstance(line[0], list)
        or any(isinstance(width, list | dict) for width in line[0])
    ):
        raise UserError("expected [[widths], latency_ms] or [[widths], latency_ms, {details}]")
    widths, latency_ms, details = line if len(line) == 3 else (*line, {})
    configuration = space.configuration(space.states(widths))
    if isinstance(latency_ms, bool) or not isinstance(latency_ms, int | float):
        raise UserError(f"the latency {latency_ms!r} is not a number")
    if not LEAST_MS <= latency_ms <= MOST_MS:
        raise UserError(
            f"the latency {reprlib.repr(latency_ms)} must be positive and finite, from "
            f"{LEAST_MS:g} to {MOST_MS:g} ms"
        )
    if not isinstance(details, dict):
        raise UserError("the third element must be an object of details")
    checked(details, Details, "the details")
    return configuration, float(latency_ms), details


def drawn_in(samples):
    """Return the configurations that generate drew, in order, of a file's samples."""
    return [c for c, _, details in samples if not (details.get(ADDED) or details.get(ANSWER))]


def load_samples(paths):
    """Return (samples, space, metadata) of one or several samples files.

    samples:  (configuration, latency in ms per image) pairs; if they were timed in rounds, the
              drift of the machine is divided out
    metadata: the settings that the files share, `files`: how each was drawn, and, without drift,
              `reference_ms`: the reference network's latency on the machine that they hold for
    Raises UserError for bad lines, and for files that were not measured alike.
    """
    by_file, metadatas = {}, []
    for one, other in itertools.combinations(paths, 2):
        if not is_special(one) and os.path.samefile(one, other):
            raise UserError(f"{one} and {other} are the same file: its samples would count twice")
    for path in paths:
        os.stat(path)  # a missing file is the error, not its missing metadata
        metadata = read_metadata(path).settings
        if metadatas:
            _refuse_other_measuring(metadatas[0], metadata, paths[0], path)
        metadatas.append(metadata)
        space = SearchSpace.of(metadata, path)
        samples = read_samples(path, space)
        if is_in_rounds(metadata):
            refuse_missing_reference(path, samples)
            _warn_of_other_references(path, samples)
        _warn_of_other_units(path, samples, space)
        by_file[path] = samples
    _warn_of_other_files(by_file, space)
    recorded = [*itertools.chain.from_iterable(by_file.values())]
    warn_of_still_clock(recorded)
    files = [Drawing(each.seed, each.biased, each.design) for each in metadatas]
    metadata = metadatas[0].without(*OF_ONE_FILE).stating(files=files)
    if is_in_rounds(metadata):
        samples, reference_ms = without_drift(recorded)
        metadata = metadata.stating(reference_ms=reference_ms)
    else:
        _warn_of_mixed_references(recorded)
        samples = [(configuration, latency_ms) for configuration, latency_ms, _ in recorded]
    return samples, space, metadata


def first_timings(samples):
    """Return {configuration: latency in ms} of samples: a repeated network's first latency.

    A network's repeated timings have dependent errors: a validation counts it once, as a fit does.
    """
    found = {}
    for configuration, latency_ms in samples:
        found.setdefault(configuration, latency_ms)
    return found


def answers_in(paths, space):
    """Return the set of configurations in samples files that a search has answered with.

    Pipes contribute none: they have been read already.
    """
    files = [path for path in paths if not is_special(path)]
    samples = itertools.chain.from_iterable(read_samples(path, space) for path in files)
    return {configuration for configuration, _, details in samples if details.get(ANSWER)}


def _warn_of_other_units(path, samples, space):
    """Warn, naming the first line, of latencies hundreds of times those of similar networks."""
    latencies_ms = np.array([latency_ms for _, latency_ms, _ in samples])
    usual_ms = np.median(latencies_ms)
    macs = partial(space.description.macs, input_size=space.input_size)
    usual = samples[int(np.abs(latencies_ms - usual_ms).argmin())][0]
    far = []
    for number in np.flatnonzero(np.abs(np.log(latencies_ms / usual_ms)) > np.log(FAR)):
        # A network as small as that may be as fast, though no more than it has fewer operations.
        ratio = latencies_ms[number] / usual_ms
        ratio_per_mac = ratio / (macs(samples[number][0]) / macs(usual))
        if min(ratio, ratio_per_mac) > FAR or max(ratio, ratio_per_mac) < 1 / FAR:
            far.append(number + 1)
    if far:
        warn(
            f"{path}, line {far[0]}: {latencies_ms[far[0] - 1]:g} ms per image, where others take "
            f"{usual_ms:g} ms ({len(far)} such lines): is their unit right?"
        )


def _warn_of_other_references(path, samples):
    """Warn, naming the first line, of a reference network far from the others' of a file."""
    references_ms = np.array([details["reference_ms"] for *_, details in samples])
    usual_ms = np.median(references_ms)
    far = np.flatnonzero(np.abs(np.log(references_ms / usual_ms)) > np.log(FAR))
    if len(far):
        warn(
            f"{path}, line {far[0] + 1}: reference_ms {references_ms[far[0]]:g}, where others have "
            f"{usual_ms:g}: is it right?"
        )


def _warn_of_other_files(by_file, space):
    """Warn of files with latencies hundreds of times the first one's, for as many operations."""
    if len(by_file) < 2:
        return
    macs = partial(space.description.macs, input_size=space.input_size)
    usual = [
        np.median([(ms, ms / macs(widths)) for widths, ms, _ in samples], axis=0)
        for samples in by_file.values()
    ]
    first, *others = by_file
    for path, ratios in zip(others, usual[1:] / usual[0], strict=True):
        if min(ratios) > FAR or max(ratios) < 1 / FAR:
            times = f"{ratios[0]:.3g} times those in {first}"
            warn(f"latencies in {path} are {times}: is their unit right?")


def warn_of_still_clock(samples):
    """Warn if several networks of recorded samples all have one latency."""
    networks = {tuple(widths) for widths, *_ in samples}
    latencies_ms = {latency_ms for _, latency_ms, _ in samples}
    if len(networks) > 1 and len(latencies_ms) == 1:
        warn(
            f"all {len(networks)} networks take {latencies_ms.pop():g} ms: the clock stands still, "
            "or what was read is not the latency"
        )


def _warn_of_mixed_references(recorded):
    lacking = sum("reference_ms" not in details for *_, details in recorded)
    if 0 < lacking < len(recorded):
        warn(
            f"{lacking} of {len(recorded)} samples lack the reference network's latency, "
            "reference_ms: the drift of the machine is divided out of none of them"
        )


def _refuse_other_measuring(first, second, first_path, second_path):
    difference = first_difference(*(each.without(*OF_ONE_FILE) for each in (first, second)))
    if difference:
        name, one, other = difference
        raise UserError(
            f"{first_path} and {second_path} were not measured alike: {name} is {one!r} in the "
            f"first and {other!r} in the second"
        )


def is_in_rounds(metadata):
    """Return whether samples were timed in rounds, together with the reference network."""
    return bool(metadata.protocol.rounds)


def refuse_missing_reference(path, samples):
    """Raise UserError, naming the line, if a sample lacks the reference network's latency."""
    for number, (_, _, details) in enumerate(samples, start=1):
        reference_ms = details.get("reference_ms")
        is_number = isinstance(reference_ms, float | int) and not isinstance(reference_ms, bool)
        if not is_number or not LEAST_MS <= reference_ms <= MOST_MS:
            raise UserError(
                f"{path}, line {number}: timed beside the reference network, but without its "
                "latency, reference_ms"
            )


def without_drift(recorded):
    """Return the (configuration, latency in ms) of samples without drift, and their level in ms.

    recorded: (configuration, latency in ms, details) of networks that were timed in rounds; the
    details' reference_ms is the reference network's latency in the same rounds. The level is its
    median; each latency is multiplied by the level over its own reference_ms, so that all hold for
    a machine that runs the reference network in level_ms.
    """
    references_ms = [details["reference_ms"] for _, _, details in recorded]
    level_ms = float(np.median(references_ms))
    samples = [
        (configuration, latency_ms * level_ms / reference_ms)
        for (configuration, latency_ms, _), reference_ms in zip(
            recorded, references_ms, strict=True
        )
    ]
    return samples, level_ms


def sample_line(network, timed, workload, protocol):
    """Return the line of a samples file: [widths, latency in ms per image, details].

    The details hold the statistics and the raw times of the network, ms per image, and
    reference_ms: the reference network's latency in the same minutes, by the same reduction.
    """
    measurement = timed.measurement

    def per_image_ms(seconds):
        return float(f"{1e3 * seconds / workload.batch_size:.6g}")

    details = {
        "mean_ms": per_image_ms(measurement.mean_s),
        "median_ms": per_image_ms(measurement.median_s),
        "min_ms": per_image_ms(measurement.min_s),
        "iqr_ms": per_image_ms(measurement.iqr_s),
        "reference_ms": per_image_ms(timed.reference.reduced_s(protocol.reduction)),
        "times_ms": [per_image_ms(seconds) for seconds in measurement.times_s],
    }
    latency_ms = per_image_ms(measurement.reduced_s(protocol.reduction))
    return [list(network.configuration), latency_ms, details]


def drift(references_ms):
    """Return how the reference network's latency varied over a file: median, min, max in ms."""
    return {
        "median_ms": float(np.median(references_ms)),
        "min_ms": float(np.min(references_ms)),
        "max_ms": float(np.max(references_ms)),
    }
