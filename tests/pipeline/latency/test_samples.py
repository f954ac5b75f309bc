"""Reading samples files: bad lines are named, drift is divided out, unlike files are refused."""

import pytest

from nas.search_space import SearchSpace
from pipeline.latency.samples import load_samples, read_samples, without_drift
from utils.errors import UserError
from utils.json_lines import write_lines, write_metadata
from utils.metadata import Drawing, Metadata

SPACE = SearchSpace(32, 10)
WIDTHS = list(SPACE.largest)


def metadata(**changes):
    settings = {
        "device": "cpu",
        "protocol": {"rounds": 0, "iterations": 5},
        "search_space": SPACE.as_dict(),
        "seed": 0,
        "biased": False,
    }
    return Metadata.of({**settings, **changes})


def write_samples(path, lines, **changes):
    write_lines(path, lines)
    write_metadata(path, metadata(**changes))
    return path


def test_samples_come_back(tmp_path):
    path = write_samples(tmp_path / "s.jsonl", [[WIDTHS, 1.5], [WIDTHS, 2, {"mean_ms": 3}]])
    samples, space, found = load_samples([path])
    assert samples == [(SPACE.largest, 1.5), (SPACE.largest, 2.0)]
    assert space == SPACE
    assert found.files == [Drawing(seed=0, biased=False)]


def test_a_plain_file_of_the_default_space_is_read_with_a_warning(tmp_path, capsys):
    path = tmp_path / "s.jsonl"
    write_lines(path, [[list(SearchSpace().smallest), 0.5]])
    samples, space, _ = load_samples([path])
    assert samples == [(SearchSpace().smallest, 0.5)]
    assert space == SearchSpace()
    assert "s.jsonl.meta.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([WIDTHS[:13], 1.0], "configuration has 13 widths, the search space has 14 layers"),
        ([[20, *WIDTHS[1:]], 1.0], "width 20 is not in layer 1: choose from 8, "),
        ([[*WIDTHS[:13], "8"], 1.0], "width 8 is not in layer 14"),
        ([[*WIDTHS[:13], None], 1.0], "width None is not in layer 14"),
        ([WIDTHS, "fast"], "the latency 'fast' is not a number"),
        ([WIDTHS, True], "the latency True is not a number"),
        ([WIDTHS, float("nan")], "must be positive and finite"),
        ([WIDTHS, float("inf")], "must be positive and finite"),
        ([WIDTHS, -1.0], "must be positive and finite"),
        ([WIDTHS, 0], "must be positive and finite"),
        ([WIDTHS], "expected"),
        ([WIDTHS, 1.0, {}, 4], "expected"),
        ([WIDTHS, 1.0, 3], "third element"),
        ([WIDTHS, 10**400], "must be positive and finite"),
        ([WIDTHS, 1e308], "from 1e-09 to 1e+09 ms"),
        ([WIDTHS, 1.0, {"iqr_ms": [1]}], "the details: iqr_ms: expected `float`"),
        ([WIDTHS, 1.0, {"times_ms": ["1"]}], "the details: times_ms[0]: expected `float`"),
        ([[WIDTHS], 1.0], "expected"),
        ([17, 1.0], "expected"),
        ({"in_size": [32, 32]}, "expected"),
        (3, "expected"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, complaint):
    path = write_samples(tmp_path / "s.jsonl", [[WIDTHS, 1.0], line, [WIDTHS, 1.0]])
    with pytest.raises(UserError, match=r"s\.jsonl, line 2: ") as error:
        read_samples(path, SPACE)
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    "search_space", [{"colour": 1}, {"levels": "many"}, [1, 2], "default", {"input_size": -3}]
)
def test_a_bad_search_space_is_named(tmp_path, search_space):
    path = write_samples(tmp_path / "s.jsonl", [[WIDTHS, 1.0]], search_space=search_space)
    with pytest.raises(UserError, match=r"s\.jsonl\.meta\.json: bad search_space"):
        load_samples([path])


def test_drift_is_divided_out_against_numbers_worked_by_hand():
    """The machine runs at 1, 2 and 4 ms per reference: the level is 2 ms."""
    recorded = [
        ("a", 10.0, {"reference_ms": 1.0}),
        ("b", 10.0, {"reference_ms": 2.0}),
        ("c", 10.0, {"reference_ms": 4.0}),
    ]
    samples, level_ms = without_drift(recorded)
    assert samples == [("a", 20.0), ("b", 10.0), ("c", 5.0)]
    assert level_ms == 2.0


@pytest.mark.parametrize(("rounds", "expected"), [(0, [3.0, 3.0]), (4, [2.25, 4.5])])
def test_drift_is_divided_out_of_rounds_only(tmp_path, rounds, expected):
    """References of 2 and 1 ms, level 1.5 ms."""
    lines = [[WIDTHS, 3.0, {"reference_ms": 2.0}], [WIDTHS, 3.0, {"reference_ms": 1.0}]]
    path = write_samples(tmp_path / "s.jsonl", lines, protocol={"rounds": rounds})
    samples, _, found = load_samples([path])
    assert [latency_ms for _, latency_ms in samples] == expected
    assert (found.reference_ms or None) == (1.5 if rounds else None)


@pytest.mark.parametrize(
    "details", [{}, {"reference_ms": 0}, {"reference_ms": "1"}, {"reference_ms": True}]
)
def test_rounds_without_their_reference_are_named(tmp_path, details):
    lines = [[WIDTHS, 3.0, {"reference_ms": 2.0}], [WIDTHS, 3.0, details]]
    path = write_samples(tmp_path / "s.jsonl", lines, protocol={"rounds": 3})
    with pytest.raises(UserError, match=r"s\.jsonl, line 2: timed beside the reference"):
        load_samples([path])


@pytest.mark.parametrize(("lacking", "warned"), [(1, True), (0, False), (3, False)])
def test_samples_with_and_without_a_reference_are_warned_of_once(tmp_path, capsys, lacking, warned):
    lines = [[WIDTHS, 3.0] for _ in range(lacking)]
    lines += [[WIDTHS, 3.0, {"reference_ms": 1.0}] for _ in range(3 - lacking)]
    load_samples([write_samples(tmp_path / "s.jsonl", lines)])
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == warned
    assert all("1 of 3 samples lack the reference network's latency" in each for each in warnings)


def test_files_of_a_fleet_are_joined(tmp_path):
    """Equal devices that drew with seeds of their own; what each observed may differ."""
    first = write_samples(tmp_path / "a.jsonl", [[WIDTHS, 1.0]], seed=1, drift={"median_ms": 1})
    second = write_samples(tmp_path / "b.jsonl", [[WIDTHS, 2.0]], seed=2, biased=True)
    samples, _, found = load_samples([first, second])
    assert [latency_ms for _, latency_ms in samples] == [1.0, 2.0]
    assert found.stated["files"] == [{"seed": 1, "biased": False}, {"seed": 2, "biased": True}]
    assert "seed" not in found.stated and "drift" not in found.stated


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"device": "gpu"}, "device is 'cpu' in the first and 'gpu' in the second"),
        ({"protocol": {"rounds": 0, "iterations": 6}}, "protocol.iterations is 5 .* and 6"),
        ({"search_space": SearchSpace(64, 10).as_dict()}, "search_space.input_size is 32 .* 64"),
        ({"extra": 1}, "extra is None in the first and 1 in the second"),
    ],
)
def test_files_that_were_not_measured_alike_are_refused(tmp_path, changes, name):
    first = write_samples(tmp_path / "a.jsonl", [[WIDTHS, 1.0]])
    second = write_samples(tmp_path / "b.jsonl", [[WIDTHS, 2.0]], **changes)
    with pytest.raises(UserError, match=f"a.jsonl and .*b.jsonl were not measured alike: {name}"):
        load_samples([first, second])


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_another_unit_is_a_warning_that_names_the_line(tmp_path, capsys, factor):
    """Oracle: latencies as operations, of which the narrowest network has a hundredth."""
    widths = [SPACE.smallest, *SPACE.uniform_multipliers()]
    count = SPACE.description.macs
    lines = [[list(each), count(each, 32) / 1e6] for each in widths]
    load_samples([write_samples(tmp_path / "s.jsonl", lines)])
    assert capsys.readouterr().err == ""
    lines[3][1] *= factor
    load_samples([write_samples(tmp_path / "s.jsonl", lines)])
    assert "s.jsonl, line 4: " in (warning := capsys.readouterr().err)
    assert "(1 such lines): is their unit right?" in warning


def test_a_file_of_another_unit_is_warned_of(tmp_path, capsys):
    """Oracle: by hand: the same latencies in µs are a thousand times those in ms."""
    first = write_samples(tmp_path / "a.jsonl", [[WIDTHS, 1.0], [WIDTHS, 1.5]])
    second = write_samples(tmp_path / "b.jsonl", [[WIDTHS, 1000.0], [WIDTHS, 1500.0]])
    load_samples([first, second])
    assert "b.jsonl are 1e+03 times those in" in capsys.readouterr().err
    narrow = [[list(SPACE.smallest), 1.0], [list(SPACE.smallest), 1.1]]  # the runtime's own work
    load_samples([first, write_samples(tmp_path / "c.jsonl", narrow)])
    assert "is their unit right" not in capsys.readouterr().err


def test_a_reference_far_from_the_others_is_warned_of(tmp_path, capsys):
    rounds = {"protocol": {"rounds": 2, "iterations": 5}}
    lines = [[WIDTHS, 1.0 + i, {"reference_ms": ms}] for i, ms in enumerate((2.0, 2.1, 1e-4, 2.0))]
    load_samples([write_samples(tmp_path / "s.jsonl", lines, **rounds)])
    assert "s.jsonl, line 3: reference_ms 0.0001, where others have 2" in capsys.readouterr().err


def test_a_clock_that_stands_still_is_warned_of(tmp_path, capsys):
    lines = [[list(SPACE.smallest), 1.0], [WIDTHS, 1.0]]
    load_samples([write_samples(tmp_path / "s.jsonl", lines)])
    assert "all 2 networks take 1 ms" in capsys.readouterr().err


def test_a_file_is_not_joined_with_itself(tmp_path):
    path = write_samples(tmp_path / "s.jsonl", [[WIDTHS, 1.5]])
    (tmp_path / "link.jsonl").symlink_to(path)
    with pytest.raises(UserError, match="are the same file"):
        load_samples([path, tmp_path / "link.jsonl"])
