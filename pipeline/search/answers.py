"""What train_nas.py tells of a search: the answer, simpler searches' answers, the whole front."""

from pathlib import Path

import numpy as np
from msgspec import Struct

from models.mobilenet_v1 import count_macs, count_parameters
from nas import baselines
from nas.exact.pareto import front
from pipeline.search.folder import DECISIONS, OF_VERIFY, REPORTS, RESULTS, Decision
from pipeline.search.limits import latency_field
from utils.formatting import as_typed, rounded_up, within
from utils.json_lines import read_lines, write_lines
from utils.json_types import Natural, checked
from utils.output_paths import refuse_overwriting
from utils.progress import progress_bar

RANDOM_ANSWERS = 100


class TrainedLine(Struct, frozen=True):
    """What is drawn of an epoch's line of results.jsonl."""

    epoch: Natural
    losses: dict[str, float]
    accuracy_full: float
    accuracy: float
    latency_ms: float
    target_ms: float


def refuse_inputs_in_folder(options):
    """Raise UserError if train_nas.py would write over a latency model or the samples file."""
    read = [*options.latency_model, *([options.samples] if options.samples else [])]
    written = [RESULTS, DECISIONS, *REPORTS, *(OF_VERIFY if options.verify else ())]
    refuse_overwriting(read, [(Path(options.expname, name), None) for name in written])


def answer_line(search, limits, result, epoch):
    """Return a SearchResult as a line for results.jsonl.

    search: the SupernetSearch; limits: the LatencyLimits whose constraints come first in it; the
    first of them is the latency that latency_ms predicts
    """
    configuration = search.space.configuration(result.states)
    constraints = [limit.constraint(search.space) for limit in limits]
    constraints += search.constraints[len(limits) :]
    return {
        "epoch": epoch,
        "configuration": configuration,
        "latency_ms": limits[0].table.predict(configuration),
        "target_ms": limits[0].target_ms,
        "confidence": limits[0].confidence,
        "score": result.score,
        "bound": result.bound,
        "gap": result.gap,
        "gamma": result.gamma,
        "constraints": [
            {
                "name": constraint.name,
                "value": constraint.value(result.states),
                "limit": constraint.limit,
                "unit": constraint.unit,
                "gamma": gamma,
            }
            for constraint, gamma in zip(constraints, result.gammas, strict=True)
        ],
    }


def curves_of(line):
    """Return {name: number}, what TensorBoard shows of an epoch's line of results.jsonl."""
    return {
        **{f"loss/{name}": loss for name, loss in line["losses"].items()},
        "accuracy/full width": line["accuracy_full"],
        "accuracy/best configuration": line["accuracy"],
        "latency in ms/predicted": line["latency_ms"],
        "latency in ms/target": line["target_ms"],
        "images per s": line["images_per_s"],
    }


def answer_as_text(line):
    """Return what is printed of a line of results.jsonl."""
    lines = [f"best configuration: {line['configuration']}"]
    target_ms = line["target_ms"]
    predicted = f"predicted {within(line['latency_ms'], target_ms)} ms per image"
    if "measured_ms" in line:
        predicted += f", measured {within(line['measured_ms'], target_ms)} ms"
    lines.append(f"{predicted}, target {as_typed(target_ms)} ms")
    if len(line["constraints"]) > 1 or line["confidence"]:
        lines += [
            f"{c['name']}: {within(c['value'], c['limit'])} of {as_typed(c['limit'])} {c['unit']}"
            for c in line["constraints"]
        ]
    if line["gap"]:
        lines.append(f"a better score by at most {line['gap']:.3g} is not excluded")
    return "\n".join(lines)


def answers_of(options, search, others):
    """Return {name: Answer}: the search's answer, and what simpler searches answer instead.

    None stands for a search that finds nothing; "random" is a list, by increasing score.
    others: {name: states} of more answers
    """
    unary, constraints = search.unary(), search.constraints
    rng = np.random.default_rng(options.seed)
    drawn = baselines.random_feasible(unary, constraints, rng, RANDOM_ANSWERS)
    answers = {
        options.search: search.best(),
        "greedy": baselines.greedy_slimming(unary, constraints),
        "uniform": baselines.best_uniform(search.space, unary, constraints),
        "random": sorted(drawn, key=lambda answer: answer.score),
    }
    more = {name: baselines.answer(unary, constraints, states) for name, states in others.items()}
    return answers | more


def compare_baselines(options, search, answers):
    """Write baselines.jsonl, one line per answer, and return a table of them as text."""
    lines = []
    for name, answer in answers.items():
        each = answer if isinstance(answer, list) else [answer]
        lines += [_line(search, name, one) for one in each]
    write_lines(Path(options.expname, "baselines.jsonl"), lines)
    return _as_table(search, answers)


def _line(search, method, answer):
    if answer is None:
        return {"method": method, "configuration": None}
    return {
        "method": method,
        "configuration": search.space.configuration(answer.states),
        "score": answer.score,
        "constraints": {
            c.name: {"value": value, "limit": c.limit, "unit": c.unit}
            for c, value in zip(search.constraints, answer.values, strict=True)
        },
    }


def _as_table(search, answers):
    heading = f"{'search':16}{'score':>10}" + "".join(
        f"{_column(c):>26}" for c in search.constraints
    )
    lines = [heading + f"{'MMACs':>9}{'Mparams':>9}"]
    for name, answer in answers.items():
        if not answer:
            lines.append(f"{name:16}finds none that keeps the limits")
            continue
        if isinstance(answer, list):
            lines.append(_row(search, "best random", answer[-1]))
            lines.append(_row(search, f"of {len(answer)}, median", answer[len(answer) // 2]))
        else:
            lines.append(_row(search, name, answer))
    return "\n".join(lines)


def _column(constraint):
    of = f"{constraint.unit} of {as_typed(constraint.limit)}"
    return f"upper bound, {of}" if constraint.is_bound else of


def _row(search, name, answer):
    space = search.space
    configuration = space.configuration(answer.states)
    macs = count_macs(configuration, space.input_size, space.classes, space.strides)
    counts = macs, count_parameters(configuration, space.classes)
    limits = [constraint.limit for constraint in search.constraints]
    pairs = zip(answer.values, limits, strict=True)
    values = "".join(f"{within(value, limit):>26}" for value, limit in pairs)
    costs = "".join(f"{rounded_up(count / 1e6):>9}" for count in counts)
    return f"{name:16}{answer.score:10.4f}{values}{costs}"


def write_front(options, search, answers, epochs):
    """Write pareto.jsonl and pareto.png: score against the first constraint's latency.

    answers: as of `answers_of`, marked in the picture; epochs: trained so far. Returns a
    sentence about the front. Further constraints are kept all along the front.
    """
    from pipeline.search.plots import plot_front

    first, *others = search.constraints

    def progress(targets):
        return progress_bar(targets, "front", leave=False)

    points = front(search.unary(), first.pairwise, others, progress=progress)
    rows = zip(points.states, points.scores, points.latencies_ms, points.gaps, strict=True)
    lines = [
        {
            "epoch": epochs,
            "configuration": search.space.configuration(states),
            "score": float(score),
            latency_field(first): float(latency_ms),
            "gap": float(gap),
        }
        for states, score, latency_ms, gap in rows
    ]
    folder = Path(options.expname)
    write_lines(folder / "pareto.jsonl", lines)
    plot_front(points, answers, first, epochs, folder / "pareto.png")
    kind = "all of them" if points.complete else f"a sample, greatest gap {points.gaps.max():.2g}"
    return (
        f"{folder / 'pareto.jsonl'}: {len(lines)} Pareto-optimal configurations ({kind}), "
        f"{rounded_up(points.latencies_ms[0])} to {rounded_up(points.latencies_ms[-1])} ms"
        + (", upper bounds" if first.is_bound else "")
    )


def draw_pictures(options, space, answers):
    """Draw the training, the widths of the answers and, for AOWS, the probabilities over it."""
    from pipeline.search.plots import plot_probabilities, plot_search_training, plot_widths

    folder = Path(options.expname)
    named = {
        name: space.configuration(answer.states)
        for name, answer in answers.items()
        if answer and not isinstance(answer, list)
    }
    plot_widths(named, space, folder / "widths.png")
    # Answers for other targets, after the training, have no losses.
    results = folder / RESULTS
    numbered = [each for each in read_lines(results, dict) if "losses" in each[1]]
    for number, line in numbered:
        checked(line, TrainedLine, f"{results}, line {number}")
    trained = [line for _, line in numbered]
    if trained:
        plot_search_training(trained, folder / "curves.png")
    decisions = folder / DECISIONS
    if options.AOWS and decisions.is_file() and decisions.stat().st_size:
        lines = [line for _, line in read_lines(decisions, Decision)]
        plot_probabilities(lines, space, folder / "probabilities.png")
