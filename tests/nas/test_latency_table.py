import json

import numpy as np
import pytest

from nas import mrf
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from utils.errors import UserError

SPACE = SearchSpace(input_size=64, classes=10, levels=3)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    entries = {variable: float(rng.random()) for variable in SPACE.variables}
    return LatencyTable(entries, {"device": "synthetic", "search_space": SPACE.as_dict()})


def test_a_saved_table_is_loaded_bit_for_bit(table, tmp_path):
    table.save(tmp_path / "model.jsonl")
    loaded = LatencyTable.load(tmp_path / "model.jsonl")
    assert loaded.entries == table.entries
    assert loaded.metadata == table.metadata


def test_a_line_is_what_other_implementations_write(table, tmp_path):
    """Oracle: the line of the reference's format, field by field, written by hand."""
    table.save(tmp_path / "model.jsonl")
    first = json.loads((tmp_path / "model.jsonl").read_text().splitlines()[0])
    assert first == [
        {
            "in_size": [64, 64], "kernel_size": 3, "stride": 2, "dw": False, "bias": False,
            "in_channels": 3, "out_channels": 8,
        },
        table.entries[SPACE.variables[0]],
    ]  # fmt: skip


def test_a_reference_file_without_metadata_is_accepted_with_a_warning(table, tmp_path, capsys):
    """The file is written by hand: other field order, integer latencies, no metadata."""
    path = tmp_path / "model.jsonl"
    lines = [
        [{"out_channels": v.out_channels, "in_channels": v.in_channels, "bias": v.bias,
          "dw": v.dw, "stride": v.stride, "kernel_size": v.kernel_size,
          "in_size": list(v.in_size)}, 2]
        for v in reversed(SPACE.variables)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    loaded = LatencyTable.load(path)
    assert "model.jsonl.meta.json is missing" in capsys.readouterr().err
    assert loaded.metadata == {}
    assert loaded.predict(SPACE.largest) == 2 * 15
    assert (loaded.input_size, loaded.classes) == (64, 10)
    np.testing.assert_array_equal(loaded.values(SPACE), 2.0)


def test_prediction_is_the_sum_over_the_path_and_over_the_pairs(table):
    """Oracle: counts along space.path, and the chain's score on the pairwise potentials."""
    rng = np.random.default_rng(1)
    values, pairwise = table.values(SPACE), table.pairwise(SPACE)
    assert len(pairwise) == 13
    unary = [np.zeros(size) for size in SPACE.sizes]
    for _ in range(20):
        configuration = SPACE.draw_uniform(rng)
        predicted_ms = table.predict(configuration)
        assert predicted_ms == pytest.approx(values[SPACE.path(configuration)].sum())
        states = SPACE.states(configuration)
        assert predicted_ms == pytest.approx(mrf.score(unary, pairwise, states))


def test_a_table_that_lacks_variables_names_the_layer(table):
    lacking = SPACE.blocks[4][0, 1]
    del table.entries[SPACE.variables[lacking]]
    with pytest.raises(UserError, match=r"lacks 1 of the \d+ variables .* layer 5 "):
        table.values(SPACE)
    states = np.zeros(14, dtype=int)
    states[4] = 1
    with pytest.raises(UserError, match="no latency for layer 5 "):
        table.predict(SPACE.configuration(states))


def test_a_table_for_another_input_size_or_width_says_so(table):
    with pytest.raises(UserError, match="made for input size 64 and 10 classes"):
        table.values(SearchSpace(input_size=224, classes=10, levels=3))
    with pytest.raises(UserError, match="no latency for layer 3"):
        table.predict((*SPACE.largest[:2], 1000, *SPACE.largest[3:]))
    with pytest.raises(UserError, match="13 widths, the latency table has 14 layers"):
        table.predict(SPACE.largest[1:])


GOOD = '[{"in_size": [8, 8], "kernel_size": 3, "stride": 2, "dw": false, "bias": false, '
GOOD += '"in_channels": 3, "out_channels": 8}, 1.5]'


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (GOOD, "this variable stands twice"),
        (GOOD[:-9], "not JSON"),
        (GOOD.replace("1.5", "NaN"), "the latency is nan"),
        (GOOD.replace('"stride": 2, ', ""), "expected"),
        (GOOD.replace("stride", "step"), "expected"),
        ("[8, 8]", "expected"),
        ("1", "expected"),
    ],
)
def test_a_broken_line_is_named(tmp_path, second, message):
    path = tmp_path / "model.jsonl"
    path.write_text(f"{GOOD}\n{second}\n")
    with pytest.raises(UserError, match=rf"model\.jsonl, line 2: .*{message}"):
        LatencyTable.load(path)


def test_an_empty_file_is_an_error(tmp_path):
    path = tmp_path / "model.jsonl"
    path.write_text("")
    with pytest.raises(UserError, match=r"model\.jsonl is empty"):
        LatencyTable.load(path)
