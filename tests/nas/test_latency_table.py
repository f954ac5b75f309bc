import json
from dataclasses import replace

import numpy as np
import pytest

from nas import mrf
from nas.latency_table import LatencyTable
from nas.search_space import SearchSpace
from networks import named
from utils.errors import UserError
from utils.json_lines import metadata_path, write_metadata
from utils.metadata import Metadata

SPACE = SearchSpace(input_size=64, classes=10, levels=3)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    entries = {variable: float(rng.random()) for variable in SPACE.variables}
    return LatencyTable(
        entries, Metadata.of({"device": "synthetic", "search_space": SPACE.as_dict()})
    )


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
    assert loaded.metadata == Metadata()
    assert loaded.predict(SPACE.largest) == 2 * 15
    assert (loaded.input_size, loaded.classes) == (64, 10)
    assert loaded.space == replace(SearchSpace(), input_size=64, classes=10)
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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"kernel_size": 3', '"kernel_size": [3, 3]', "kernel_size: expected"),
        ("[8, 8]", "[]", "in_size: expected"),
        ("[8, 8]", "[[8], 8]", r"in_size\[0\]: expected"),
        ('"in_channels": 3', '"in_channels": [3]', "in_channels: expected"),
        ('"stride": 2', '"stride": 0', "stride: expected"),
        ('"stride": 2', '"stride": 1.5', "stride: expected"),
        ('"dw": false', '"dw": {}', "dw: expected"),
        ("1.5]", "true]", "the latency is not a number"),
        ("1.5]", '"0.5"]', "the latency is not a number"),
        ("1.5]", f"{10**400}]", "the latency is 1000"),
        ("1.5]", "1e999]", "the latency is inf"),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path, old, new, message):
    path = tmp_path / "model.jsonl"
    path.write_text(GOOD.replace(old, new) + "\n")
    with pytest.raises(UserError, match=rf"model\.jsonl, line 1: .*{message}"):
        LatencyTable.load(path)


def test_whole_numbers_and_flags_are_read_as_other_programs_write_them(tmp_path):
    path = tmp_path / "model.jsonl"
    path.write_text(GOOD + "\n")
    expected = LatencyTable.load(path).entries
    path.write_text(GOOD.replace("8", "8.0").replace("false", "0") + "\n")
    assert LatencyTable.load(path).entries == expected


@pytest.mark.parametrize(("noise", "is_read"), [(-0.009, True), (-0.02, False)])
def test_what_a_solver_leaves_below_0_is_0(table, tmp_path, noise, is_read):
    """Noise in shares of the mean entry; 1 % is the documented limit."""
    path = tmp_path / "model.jsonl"
    table.entries[SPACE.variables[4]] = noise * np.mean(list(table.entries.values()))
    table.save(path)
    if is_read:
        assert LatencyTable.load(path).entries == {
            **table.entries,
            SPACE.variables[4]: 0.0,
        }
    else:
        with pytest.raises(UserError, match=r"model\.jsonl, line 5: the latency is -0\.\d+"):
            LatencyTable.load(path)


def test_a_table_of_zeros_is_refused(table, tmp_path):
    LatencyTable(dict.fromkeys(table.entries, 0.0)).save(tmp_path / "model.jsonl")
    with pytest.raises(UserError, match=r"model\.jsonl: the latencies are 0 ms on average"):
        LatencyTable.load(tmp_path / "model.jsonl")


def test_a_table_beside_the_metadata_of_another_is_refused(table, tmp_path):
    """As a kill between the two files' writes leaves them."""
    path = tmp_path / "model.jsonl"
    table.save(path)
    old = metadata_path(path).read_bytes()
    table.entries[SPACE.variables[0]] += 1
    table.save(path)
    metadata_path(path).write_bytes(old)
    with pytest.raises(UserError, match=r"model\.jsonl is not the table that .*\.json describes"):
        LatencyTable.load(path)
    write_metadata(path, table.metadata)  # as earlier versions did, without a digest
    assert LatencyTable.load(path).entries == table.entries


def test_a_bad_search_space_is_named(table, tmp_path):
    bad = SPACE.as_dict() | {"levels": "3"}
    table.with_metadata(table.metadata.stating(search_space=bad)).save(tmp_path / "model.jsonl")
    with pytest.raises(UserError, match=r"model\.jsonl\.meta\.json: bad search_space: levels: exp"):
        LatencyTable.load(tmp_path / "model.jsonl")


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"input_size": 96}, "measure with --input-size 96 --classes 10, or leave the option out"),
        ({"max_width": 0.85}, "--min-width and --max-width give --levels 2"),
        ({"max_width": 1.0}, "its width multipliers are 3 from 0.2 to 1.5"),
        ({"levels": 5}, "--min-width and --max-width give --levels 3"),
    ],
)
def test_a_search_space_that_the_table_does_not_hold_is_explained(table, changes, advice):
    """The table's multipliers are 0.2, 0.85 and 1.5."""
    with pytest.raises(UserError) as error:
        table.values(replace(SPACE, **changes))
    assert advice in str(error.value)


def test_an_empty_file_is_an_error(tmp_path):
    path = tmp_path / "model.jsonl"
    path.write_text("")
    with pytest.raises(UserError, match=r"model\.jsonl is empty"):
        LatencyTable.load(path)


def test_stated_sizes_count_where_the_first_layer_reads_smaller_maps(tmp_path):
    """A pooling before the first convolution halves its map; oracle: the sum of the entries."""
    (file := tmp_path / "pooled.py").write_text(
        "from models.description import Description\n"
        "from models.operations import Classify, Convolve, MaxPool, Width\n"
        "def network(classes):\n"
        "    a, b = Width('a', 8), Width('b', 16)\n"
        "    parts = MaxPool('pooling'), Convolve('a', 3, a), Convolve('b', a, b)\n"
        "    return Description('Pooled', (*parts, Classify(b, classes)))\n"
    )
    space = SearchSpace(32, 10, levels=3, network=named(str(file)))
    metadata = Metadata.of({"search_space": space.as_dict()})
    table = LatencyTable(dict.fromkeys(space.variables, 0.5), metadata)
    assert (table.space, table.input_size) == (space, 32)
    assert table.predict(space.largest) == 1.5
