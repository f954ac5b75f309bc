"""The answer beside those of simpler searches from the same statistics: baselines.jsonl."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas import baselines
from nas.answer import Answer
from utils.formatting import as_typed, rounded_up, within
from utils.json_lines import write_lines

RANDOM, RANDOM_ANSWERS = "random", 100


@dataclass(frozen=True)
class NamedAnswer:
    """What one search answers."""

    name: str  # of the search
    answer: Answer | None  # None: it found no feasible configuration


@dataclass(frozen=True)
class Answers:
    """All answers from the statistics of one training, in the order of its reports."""

    searched: tuple[NamedAnswer, ...]  # by the search, greedy slimming, the widest uniform network
    random: tuple[Answer, ...]  # drawn from the feasible configurations, by increasing score
    evaluated: tuple[NamedAnswer, ...]  # verified: chosen by more than scores


def answers_of(reports, search, others):
    """Return the Answers of a SupernetSearch: its own, and those of simpler searches.

    others: {name: states} of answers that were chosen by more than the scores
    """
    unary, constraints = search.unary(), search.constraints
    rng = np.random.default_rng(reports.seed)
    drawn = baselines.random_feasible(unary, constraints, rng, RANDOM_ANSWERS)
    greedy = baselines.greedy_slimming(search.scores(), constraints, search.space.chain)
    return Answers(
        searched=(
            NamedAnswer(reports.search, search.best()),
            NamedAnswer("greedy", greedy),
            NamedAnswer("uniform", baselines.widest_uniform(search.space, unary, constraints)),
        ),
        random=tuple(sorted(drawn, key=lambda answer: answer.score)),
        evaluated=tuple(
            NamedAnswer(name, Answer.of(unary, constraints, states))
            for name, states in others.items()
        ),
    )


def compare_baselines(reports, search, answers):
    """Write baselines.jsonl, one line per answer, and return a table of the Answers as text."""
    random = [NamedAnswer(RANDOM, answer) for answer in answers.random]
    rows = (*answers.searched, *random, *answers.evaluated)
    lines = [_line(search, named) for named in rows]
    write_lines(Path(reports.expname, "baselines.jsonl"), lines)
    return _as_table(search, answers)


def _line(search, named):
    answer = named.answer
    if answer is None:
        return {"method": named.name, "configuration": None}
    return {
        "method": named.name,
        "configuration": answer.configuration(search.space),
        "score": answer.score,
        "constraints": {
            c.name: {"value": value, "limit": c.limit, "unit": c.unit}
            for c, value in zip(search.constraints, answer.values, strict=True)
        },
    }


def _as_table(search, answers):
    widths = [max(26, 2 + len(_column(c))) for c in search.constraints]
    columns = "".join(
        f"{_column(c):>{width}}" for c, width in zip(search.constraints, widths, strict=True)
    )
    heading = f"{'search':16}{'score':>10}{columns}{'MMACs':>9}{'Mparams':>9}"
    draws = answers.random
    random = [NamedAnswer(RANDOM, None)]
    if draws:
        median = NamedAnswer(f"of {len(draws)}, median", draws[len(draws) // 2])
        random = [NamedAnswer("best random", draws[-1]), median]
    rows = (*answers.searched, *random, *answers.evaluated)
    return "\n".join([heading, *(_row(search, named, widths) for named in rows)])


def _column(constraint):
    of = f"{constraint.unit} of {as_typed(constraint.limit)}"
    return f"upper bound, {of}" if constraint.is_bound else of


def _row(search, named, widths):
    space, answer = search.space, named.answer
    if answer is None:
        return f"{named.name:16}finds no feasible configuration"
    configuration = answer.configuration(space)
    macs = space.description.macs(configuration, space.input_size)
    counts = macs, space.description.parameters(configuration)
    limits = [constraint.limit for constraint in search.constraints]
    triples = zip(answer.values, limits, widths, strict=True)
    values = "".join(f"{within(value, limit):>{width}}" for value, limit, width in triples)
    costs = "".join(f"{rounded_up(count / 1e6):>9}" for count in counts)
    return f"{named.name:16}{answer.score:10.4f}{values}{costs}"
