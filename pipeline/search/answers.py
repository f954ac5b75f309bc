"""What train_nas.py reports of a search: the answer, the whole front, the pictures."""

from pathlib import Path

import numpy as np
from msgspec import Struct, to_builtins

from nas.exact.pareto import front
from nas.fitted_scores import LEVEL
from pipeline.search.folder import DECISIONS, OF_VERIFY, REPORTS, RESULTS, Decision
from pipeline.search.limits import latency_field
from utils.formatting import as_typed, rounded_up, within
from utils.json_lines import read_lines, write_lines
from utils.json_types import Natural, checked
from utils.output_paths import refuse_overwriting
from utils.progress import progress_bar


class TrainedLine(Struct, frozen=True):
    """What is drawn of an epoch's line of results.jsonl."""

    epoch: Natural
    losses: dict[str, float]
    accuracy_full: float
    accuracy: float
    latency_ms: float
    target_ms: float


def refuse_inputs_in_folder(reports):
    """Raise UserError if train_nas.py would write over a latency model or the samples file."""
    read = [*reports.latency_model, *([reports.samples] if reports.samples else [])]
    written = [RESULTS, DECISIONS, *REPORTS, *(OF_VERIFY if reports.verify else ())]
    refuse_overwriting(read, [(Path(reports.expname, name), None) for name in written])


def answer_line(search, limits, answer, epoch, origin=None):
    """Return an Answer as a line for results.jsonl.

    search: the SupernetSearch; limits: the LatencyLimits whose constraints come first in it; the
    first of them is the latency that latency_ms predicts
    origin: the Origin of the first weights; None if they were random
    """
    configuration = search.space.configuration_at(answer.states)
    constraints = [limit.constraint(search.space) for limit in limits]
    constraints += search.constraints[len(limits) :]
    init = {"init": to_builtins(origin)} if origin else {}
    return init | {
        "epoch": epoch,
        "configuration": configuration,
        "latency_ms": limits[0].table.predict(configuration),
        "target_ms": limits[0].target_ms,
        "confidence": limits[0].confidence,
        "score": answer.score,
        "bound": answer.bound,
        "gap": answer.gap,
        "noise": answer.noise,
        "gamma": answer.gamma,
        "constraints": [
            {
                "name": constraint.name,
                "value": constraint.value(answer.states),
                "limit": constraint.limit,
                "unit": constraint.unit,
                "gamma": gamma,
            }
            for constraint, gamma in zip(constraints, answer.gammas, strict=True)
        ],
    }


def loss_of(search, answer):
    """Return the fields of results.jsonl on the loss that fitted scores expect of an Answer."""
    rng = np.random.default_rng(0)
    low, high = search.fitted.losses_within([search.space.chain.choices(answer.states)], rng, LEVEL)
    return {
        "expected_loss": float(np.exp(-answer.score)),
        "expected_loss_interval": [float(low[0]), float(high[0])],
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
    """Return what is printed for a line of results.jsonl."""
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
    if "expected_loss" in line:
        low, high = line["expected_loss_interval"]
        loss = f"{line['expected_loss']:.3g} ({LEVEL:.0%} interval {low:.3g} to {high:.3g})"
        lines.append(f"expected loss as a sub-network, on training images: {loss}")
    if line["noise"]:
        lines.append(
            f"a fast one of those that the scores do not tell apart: the best one is better by "
            f"{line['gap']:.2g}, with noise of {line['noise']:.2g}"
        )
    elif line["gap"]:
        lines.append(f"a better score by at most {line['gap']:.3g} is not excluded")
    return "\n".join(lines)


def write_front(reports, search, answers, epochs):
    """Write pareto.jsonl and pareto.png: score against the first constraint's latency.

    answers: Answers, marked in the picture; epochs: trained so far. Returns a sentence about the
    front. All configurations of the front are feasible under the further constraints.
    """
    from pipeline.search.plots import plot_front

    first, *others = search.constraints

    def progress(targets):
        return progress_bar(targets, "front", leave=False)

    points = front(search.unary(), first.pairwise, others, progress=progress)
    kept = search.noticeable(points)
    left_out = len(points.scores) - len(kept)
    points = points.part(kept)
    rows = zip(points.states, points.scores, points.latencies_ms, points.gaps, strict=True)
    lines = [
        {
            "epoch": epochs,
            "configuration": search.space.configuration_at(states),
            "score": float(score),
            latency_field(first): float(latency_ms),
            "gap": float(gap),
        }
        for states, score, latency_ms, gap in rows
    ]
    folder = Path(reports.expname)
    write_lines(folder / "pareto.jsonl", lines)
    plot_front(points, answers, first, epochs, folder / "pareto.png")
    kind = "all of them" if points.complete else f"a sample, greatest gap {points.gaps.max():.2g}"
    if left_out:
        kind += f" but {left_out} that gain no more than noise"
    return (
        f"{folder / 'pareto.jsonl'}: {len(lines)} Pareto-optimal configurations ({kind}), "
        f"{rounded_up(points.latencies_ms[0])} to {rounded_up(points.latencies_ms[-1])} ms"
        + (", upper bounds" if first.is_bound else "")
    )


def draw_pictures(reports, search, answers):
    """Draw the training, the widths of the Answers and, for AOWS, the probabilities over it.

    The last probabilities are those of a SupernetSearch's answer.
    """
    from pipeline.search.plots import plot_probabilities, plot_search_training, plot_widths

    folder, space = Path(reports.expname), search.space
    configurations = {
        named.name: named.answer.configuration(space)
        for named in (*answers.searched, *answers.evaluated)
        if named.answer
    }
    plot_widths(configurations, space, folder / "widths.png")
    # Answers for other targets, after the training, have no losses.
    results = folder / RESULTS
    numbered = [each for each in read_lines(results, dict) if "losses" in each[1]]
    for number, line in numbered:
        checked(line, TrainedLine, f"{results}, line {number}")
    trained = [line for _, line in numbered]
    if trained:
        plot_search_training(trained, folder / "curves.png")
    decisions = folder / DECISIONS
    if reports.AOWS and decisions.is_file() and decisions.stat().st_size:
        lines = [line for _, line in read_lines(decisions, Decision)]
        after = {"progress": np.floor(lines[-1]["progress"]) + 1}
        lines.append(after | search.last_decision().as_dict())
        plot_probabilities(lines, space, folder / "probabilities.png")
