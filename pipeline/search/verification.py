"""The loop closed by measurement: search, measure the answers, fit again, until the target is met.

Candidates of a round are the best configurations under the target and under somewhat stricter
ones: the answer and its runners-up. If none of them meets the target when it is measured, the
samples join the table's own, and the table is fitted again. A few samples among hundreds change a
table little elsewhere, so the next round allows for its error on this round's candidates, the
median ratio before it was fitted to them. Where the table has no samples near the target, further
networks are measured with the first candidates.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nas.answer import Answer
from nas.constraint import InfeasibleError
from nas.prior import PRIORS, SHARED
from nas.sampling import CoveringSampler
from nas.validation.conformal import Interval
from nas.validation.validated_fit import fit_validated
from pipeline.latency.conditions import condition_differences
from pipeline.latency.measuring_again import measure_again, workload_of
from pipeline.latency.samples import ADDED, ANSWER, load_samples
from pipeline.search.limits import NEAR, LatencyLimit, is_sampled
from utils.errors import UserError
from utils.formatting import as_typed, rounded_up
from utils.json_lines import Appender, real_path, write_lines
from utils.metadata import refuse_partial_fit
from utils.random_streams import VERIFICATION

ROUNDS = 5
CANDIDATES = 5
SPREAD = 0.05  # how much stricter the strictest target of a round is, if the table does not say
NEIGHBOURS = 10  # measured with the first candidates where the table was not sampled
DRAWS = 2000  # at most, to find them


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

    result: Answer  # its bound is the last round's, whatever the target it answered
    limits: list[LatencyLimit]  # the first of them with the table of the last round
    measured_ms: float
    rounds: int


def verify(reports, search, limits, measure=None):
    """Return the Verified answer of a SupernetSearch under LatencyLimits, the first one measured.

    measure: as pipeline.latency.measuring_again.measure_again, the default, which uses the device
    Writes verification.jsonl, a line per round, adds the samples to their file, which it names, and
    writes the table that was fitted again, if there is one, to verified_model.jsonl.
    Raises UserError if no round finds a configuration that meets the target when measured.
    """
    folder = Path(reports.expname)
    measure = measure or _measure_as(reports)
    first, *other_limits = limits
    now, factor = first, 1.0
    paths = samples_to_extend(reports, first.table)
    measured, rounds = [], []
    for number in range(1, ROUNDS + 1):
        left_out = {candidate.configuration for candidate in measured}
        chosen, bound = candidates(search, now, factor, left_out)
        if not chosen:
            break
        seed = (reports.seed, VERIFICATION, number)
        extra = [] if number > 1 or is_sampled(first) else neighbours(search.space, first, seed)
        lines = measure(first.table.metadata, [*chosen, *extra], seed)
        _add(lines, len(chosen), paths[0])
        newest = [_candidate(line, chosen, first, now) for line in lines[: len(chosen)]]
        measured += newest
        rounds.append({"round": number, "target_ms": first.target_ms, "factor": factor})
        rounds[-1]["candidates"] = [asdict(candidate) for candidate in newest]
        write_lines(folder / "verification.jsonl", rounds)
        tqdm.write(_as_text(rounds[-1]))
        meeting = [candidate for candidate in newest if candidate.meets]
        if meeting:
            good = search.as_good([chosen[candidate.configuration] for candidate in meeting])
            best = min((meeting[index] for index in good), key=lambda each: each.measured_ms)
            result = replace(chosen[best.configuration], bound=bound)
            return Verified(result, [now, *other_limits], best.measured_ms, number)
        now = replace(now, table=fit_again(now.table, paths, reports.seed))
        now.table.save(folder / "verified_model.jsonl")
        ratios = [c.measured_ms / c.predicted_ms for c in newest]  # before they were fitted
        factor = max(1.0, float(np.median(ratios)))
    fastest = min((candidate.measured_ms for candidate in measured), default=np.nan)
    raise UserError(
        f"in {len(rounds)} rounds no configuration was found that meets "
        f"{as_typed(first.target_ms)} ms "
        f"when measured; the fastest one that was measured takes {rounded_up(fastest)} ms"
    )


def _measure_as(reports):
    """Return measure_again with the options of how the table's device is reached."""
    ways = {"shell": reports.remote_shell, "python": reports.remote_python}
    return partial(measure_again, command=reports.command, **ways)


def _add(lines, answers, path):
    """Add sample lines to their file; as many of the first ones are marked as answers."""
    for number, (_, _, details) in enumerate(lines):
        details[ADDED] = True
        if number < answers:
            details[ANSWER] = True
    with Appender(path) as samples:
        samples.append(lines)
    tqdm.write(f"{path}: {len(lines)} samples added")


def candidates(search, limit, factor, left_out):
    """Return {configuration: Answer} of the best ones under ever stricter targets, and the bound.

    That is the loosest target's, -inf if no configuration meets even this.
    factor: by which the table is too low on what was measured; left_out: configurations
    """
    interval = Interval.of(limit.table)
    spread = float(interval.half_widths(limit.target_ms)) if interval else SPREAD
    chosen, bound = {}, -np.inf
    for stricter in np.linspace(1, 1 + spread, CANDIDATES):
        constraint = limit.constraint(search.space, factor * stricter)
        with suppress(InfeasibleError):  # of the strictest targets
            answer = search.best_under([constraint, *search.constraints[1:]])
            bound = max(bound, answer.bound)
            configuration = search.space.configuration_at(answer.states)
            if configuration not in left_out:
                chosen.setdefault(configuration, answer)
    return chosen, bound


def neighbours(space, limit, seed):
    """Return configurations that are predicted to take about as long as a limit's target.

    Fewer than NEIGHBOURS if the draws of a CoveringSampler find no more.
    """
    sampler, rng, found = CoveringSampler(space, seed[0]), np.random.default_rng(seed), {}
    for _ in range(DRAWS):
        if len(found) == NEIGHBOURS:
            break
        configuration = sampler.draw_at(rng.random(), rng)
        if abs(limit.table.predict(configuration) / limit.target_ms - 1) <= NEAR:
            found[configuration] = True
    return list(found)


def _candidate(line, chosen, first, now):
    """Return the Candidate of a sample; first, now: the limit of the beginning and of the round."""
    configuration, latency_ms, details = tuple(line[0]), *line[1:]
    measured_ms = latency_ms * at_speed_of(first.table.metadata, details.get("reference_ms"))
    return Candidate(
        configuration,
        chosen[configuration].score,
        now.table.predict(configuration),
        measured_ms,
        bool(measured_ms <= first.target_ms),
    )


def refuse_unverifiable(reports, table):
    """Raise UserError if the table does not say how to measure, or where its samples are."""
    workload_of(table.metadata, reports.command)
    refuse_partial_fit(table.metadata, table.source)
    samples_to_extend(reports, table)


def samples_to_extend(reports, table):
    """Return the paths of the samples files; samples of --verify are added to the first one.

    Raises UserError if one of them cannot be read as a samples file, or was measured differently.
    """
    paths = [reports.samples] if reports.samples else samples_of(table)
    _, space, metadata = load_samples(paths)
    differences = [("search space", table.space, space)] if space != table.space else []
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
    names = table.metadata.fit.samples_files
    if not names:
        raise UserError(f"{table.source} does not name its samples file: give --samples FILE")
    paths = [folder / name for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}, which {table.source} was fitted to, is gone: --samples FILE")
    return paths


def at_speed_of(metadata, reference_ms):
    """Return the factor that scales latencies to the machine speed that a table's metadata state.

    reference_ms: the reference network's latency when they were measured
    """
    return metadata.reference_ms / reference_ms if metadata.reference_ms else 1.0


def fit_again(table, paths, seed):
    """Return a table fitted to samples files by the weights of an earlier one, at its speed."""
    samples, space, metadata = load_samples(paths)
    if metadata.reference_ms and table.metadata.reference_ms:
        # What was added moves the files' median, but the target holds at the table's speed.
        factor = at_speed_of(table.metadata, metadata.reference_ms)
        samples = [(configuration, factor * latency_ms) for configuration, latency_ms in samples]
        metadata = metadata.stating(reference_ms=table.metadata.reference_ms)
    report = table.metadata.fit
    rng = np.random.default_rng(seed)
    fitted = fit_validated(
        *(samples, space, rng, report.regularize, report.strength, metadata),
        prior=report.prior if report.prior in PRIORS else SHARED,
    )
    files = [str(real_path(path)) for path in paths]
    return fitted.with_metadata(fitted.metadata.stating_of_fit(samples_files=files))


def _as_text(line):
    first = line["candidates"][0]
    number = sum(candidate["meets"] for candidate in line["candidates"])
    return (
        f"round {line['round']}: the answer was predicted to take "
        f"{rounded_up(first['predicted_ms'])} ms and takes {rounded_up(first['measured_ms'])} ms, "
        f"target {as_typed(line['target_ms'])} ms; {number} of {len(line['candidates'])} "
        "candidates meet it"
    )
