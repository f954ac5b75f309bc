"""Oracle: the answers themselves, set by hand."""

import json
from types import SimpleNamespace

import pytest

from nas.answer import Answer
from nas.constraint import Constraint
from nas.search_space import SearchSpace
from pipeline.search.comparison import Answers, NamedAnswer, compare_baselines

SPACE = SearchSpace(
    input_size=8, classes=3, min_width=0.5, max_width=1.5, levels=3,
    base_widths=(16, 16, 16), strides=(2, 1, 1),
)  # fmt: skip
SEARCH = SimpleNamespace(space=SPACE, constraints=[Constraint([], 2.0)])


def answers(*draws):
    found = [Answer((state, 0, 0), state - 3.0, (1.0 + state / 10,)) for state in range(3)]
    return Answers(
        searched=(
            NamedAnswer("exact", found[2]), NamedAnswer("greedy", None),
            NamedAnswer("uniform", found[0]),
        ),
        random=tuple(found[draw] for draw in draws),
        evaluated=(NamedAnswer("verified", found[1]),),
    )  # fmt: skip


@pytest.fixture
def compared(tmp_path):
    def compare(*draws):
        table = compare_baselines(SimpleNamespace(expname=tmp_path), SEARCH, answers(*draws))
        return table.splitlines()[1:], (tmp_path / "baselines.jsonl").read_text().splitlines()

    return compare


def test_the_file_and_the_table_hold_the_answers_in_their_order(compared):
    rows, lines = compared(0, 0, 1)
    methods = ["exact", "greedy", "uniform", "random", "random", "random", "verified"]
    lines = [json.loads(line) for line in lines]
    assert [line["method"] for line in lines] == methods
    assert [line.get("score") for line in lines] == [-1, None, -3, -3, -3, -2, -2]
    assert lines[1] == {"method": "greedy", "configuration": None}
    names = ["exact", "greedy", "uniform", "best random", "of 3, median", "verified"]
    assert [row[:16].strip() for row in rows] == names
    assert rows[1].endswith("finds no feasible configuration")
    assert "-2.0000" in rows[3]
    assert "-3.0000" in rows[4]


def test_nothing_feasible_was_drawn(compared):
    rows, lines = compared()
    assert rows[3] == f"{'random':16}finds no feasible configuration"
    assert [json.loads(line)["method"] for line in lines][3:] == ["verified"]
