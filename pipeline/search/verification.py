"""The loop closed by measurement: search, measure the answers, fit again, until the target is met.

Candidates of a round are the best configurations under the target and under somewhat stricter
ones: the answer and its runners-up. If none of them meets the target when it is measured, the
samples join the table's own, and the table is fitted again. A few samples among hundreds change a
table little, so what it still gets wrong on all candidates measured so far, the median ratio, is
allowed for in the next round.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nas.constraint import InfeasibleError
from nas.ows import SearchResult
from nas.search_space import SearchSpace
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated
from pipeline.latency.conditions import condition_differences
from pipeline.latency.measuring_again import measure_again, workload_of
from pipeline.latency.samples import load_samples
from pipeline.search.limits import LatencyLimit
from utils.errors import UserError
from utils.formatting import as_typed, rounded_up
from utils.json_lines import Appender, write_lines
from utils.metadata import refuse_partial_fit

ROUNDS = 5
CANDIDATES = 5
SPREAD = 0.05  # how much stricter the strictest target of a round is, if the table does not tell
STREAM = 3  # sets the random numbers apart from those of training


@dataclass(frozen=True)
class Candidate:
    """A configuration that was predicted to meet the target, and its measurement."""

    configuration: tuple[int, ...]
    score: float
    predicted_ms: float
    measured_ms: float  # at the machine speed that the table holds for
    meets: bool


@dataclass(frozen=True)
class Verified:
    """An answer that meets the target when it is measured."""

    result: SearchResult  # its bound is the last round's, whatever the target it answered
    limits: list[LatencyLimit]  # the first of them with the table of the last round
    measured_ms: float
    rounds: int


def verify(options, search, limits, measure=measure_again):
    """Return the Verified answer of a SupernetSearch under LatencyLimits, the first one measured.

    measure: as pipeline.latency.measuring_again.measure_again, which runs on the device
    Writes verification.jsonl, a line per round, adds the samples to their file, which it names, and
    writes the table that was fitted again, if there is one, to verified_model.jsonl.
    Raises UserError if no round finds a configuration that meets the target when measured.
    """
    folder = Path(options.expname)
    first, *other_limits = limits
    now, factor = first, 1.0
    paths = samples_to_extend(options, first.table)
    measured, rounds = [], []
    for number in range(1, ROUNDS + 1):
        left_out = {candidate.configuration for candidate in measured}
        chosen = candidates(search, now, factor, left_out)
        if not chosen:
            break
        lines = measure(first.table.metadata, list(chosen), (options.seed, STREAM, number))
        with Appender(paths[0]) as samples:
            samples.append(lines)
        tqdm.write(f"{paths[0]}: {len(lines)} samples added")
        of_round = [_candidate(line, chosen, first, now) for line in lines]
        measured += of_round
        rounds.append({"round": number, "target_ms": first.target_ms, "factor": factor})
        rounds[-1]["candidates"] = [asdict(candidate) for candidate in of_round]
        write_lines(folder / "verification.jsonl", rounds)
        tqdm.write(_as_text(rounds[-1]))
        meeting = [candidate for candidate in of_round if candidate.meets]
        if meeting:
            best = max(meeting, key=lambda candidate: candidate.score)
            bound = next(iter(chosen.values())).bound
            result = replace(chosen[best.configuration], bound=bound)
            return Verified(result, [now, *other_limits], best.measured_ms, number)
        now = replace(now, table=fit_again(now.table, paths, options.seed))
        now.table.save(folder / "verified_model.jsonl")
        ratios = [c.measured_ms / now.table.predict(c.configuration) for c in measured]
        factor = max(1.0, float(np.median(ratios)))
    fastest = min((candidate.measured_ms for candidate in measured), default=np.nan)
    raise UserError(
        f"in {len(rounds)} rounds no configuration was found that meets "
        f"{as_typed(first.target_ms)} ms "
        f"when measured; the fastest one that was measured takes {rounded_up(fastest)} ms"
    )


def candidates(search, limit, factor, left_out):
    """Return {configuration: SearchResult} of the best ones under ever stricter targets.

    factor: by which the table is too low on what was measured; left_out: configurations
    """
    interval = Interval.of(limit.table)
    spread = interval.half_width if interval else SPREAD
    chosen = {}
    for stricter in np.linspace(1, 1 + spread, CANDIDATES):
        constraint = limit.constraint(search.space, factor * stricter)
        with suppress(InfeasibleError):  # of the strictest targets
            result = search.best([constraint, *search.constraints[1:]])
            configuration = search.space.configuration(result.states)
            if configuration not in left_out:
                chosen.setdefault(configuration, result)
    return chosen


def _candidate(line, chosen, first, now):
    """Return the Candidate of a sample; first, now: the limit of the beginning and of the round."""
    configuration, latency_ms, details = tuple(line[0]), *line[1:]
    measured_ms = latency_ms * at_speed_of(first.table, details)
    return Candidate(
        configuration,
        chosen[configuration].score,
        now.table.predict(configuration),
        measured_ms,
        bool(measured_ms <= first.target_ms),
    )


def refuse_unverifiable(options, table):
    """Raise UserError if the table does not tell how to measure, or where its samples are."""
    workload_of(table.metadata)
    refuse_partial_fit(table.metadata, table.source)
    samples_to_extend(options, table)


def samples_to_extend(options, table):
    """Return the paths of the samples files; samples of --verify are added to the first one.

    Raises UserError if one of them is no samples file that reads as one, or was measured otherwise
    than the table's.
    """
    paths = [options.samples] if options.samples else samples_of(table)
    _, space, metadata = load_samples(paths)
    of_table = SearchSpace.of(table.metadata, table.source)
    differences = [("search space", of_table, space)] if space != of_table else []
    differences += condition_differences(table.metadata, metadata)
    for name, ours, theirs in differences:
        raise UserError(
            f"{paths[0]}: no sample can be added, {name} is {theirs!r} there and {ours!r} in the "
            f"metadata of {table.source}"
        )
    return paths


def samples_of(table):
    """Return the paths of the samples files that a table was fitted to, as its metadata names them.

    Raises UserError if it does not, or if a file is missing.
    """
    folder = Path(table.source).parent
    names = table.metadata.get("fit", {}).get("samples_files")
    if not names:
        raise UserError(f"{table.source} does not name its samples file: give --samples FILE")
    paths = [folder / name for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}, which {table.source} was fitted to, is gone: --samples FILE")
    return paths


def at_speed_of(table, details):
    """Return by what a sample's latency is multiplied to hold at the table's machine speed."""
    if "reference_ms" not in table.metadata:
        return 1.0
    return table.metadata["reference_ms"] / details["reference_ms"]


def fit_again(table, paths, seed):
    """Return a table fitted to samples files by the weights of an earlier one."""
    samples, space, metadata = load_samples(paths)
    report = table.metadata["fit"]
    rng = np.random.default_rng(seed)
    fitted = fit_validated(samples, space, rng, report["regularize"], report["strength"], metadata)
    fitted.metadata["fit"]["samples_files"] = [str(Path(path).resolve()) for path in paths]
    return fitted


def _as_text(line):
    first = line["candidates"][0]
    number = sum(candidate["meets"] for candidate in line["candidates"])
    return (
        f"round {line['round']}: the answer was predicted to take "
        f"{rounded_up(first['predicted_ms'])} ms and takes {rounded_up(first['measured_ms'])} ms, "
        f"target {as_typed(line['target_ms'])} ms; {number} of {len(line['candidates'])} "
        "candidates meet it"
    )
