"""Samples files that are begun and continued: which networks come next, and what is refused."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latency
from nas.sampling import BiasedSampler, draw_configurations
from nas.search_space import SearchSpace
from pipeline.latency.options import design_of, drawing
from pipeline.latency.samples_file import SamplesFile
from utils.errors import UserError
from utils.json_lines import metadata_path, read_metadata, write_lines
from utils.metadata import Metadata

SPACE = SearchSpace(32, 10, levels=2)  # its 40 variables are all seen after a few draws
SETTINGS = Metadata.of({"device": "cpu", "protocol": {"rounds": 0}, "seed": 0})


def draw(count, seed=0, biased=False, repetitions=1, recorded=()):
    draws = draw_configurations(
        SPACE, seed, "biased" if biased else "uniform", repetitions, list(recorded)
    )
    return list(itertools.islice(draws, count))


def line(configuration, latency_ms=1.0):
    return [list(configuration), latency_ms, {"reference_ms": 1.0}]


@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 3), st.integers(0, 39))
@settings(max_examples=25)
def test_a_resumed_run_continues_the_same_sequence(seed, biased, repetitions, done):
    """The oracle is the sequence of a run that was never interrupted."""
    whole = draw(40, seed, biased, repetitions)
    assert draw(40 - done, seed, biased, repetitions, whole[:done]) == whole[done:]


@pytest.mark.parametrize("biased", [False, True])
def test_the_sequence_depends_on_the_seed_only(biased):
    assert draw(10, 3, biased) == draw(10, 3, biased)
    assert draw(10, 3, biased) != draw(10, 4, biased)


def test_uniform_draw_i_comes_from_its_own_generator():
    assert draw(5, seed=7) == [SPACE.draw_uniform(np.random.default_rng((7, i))) for i in range(5)]


def test_biased_draws_are_the_samplers():
    sampler = BiasedSampler(SPACE)
    expected = [sampler.draw(np.random.default_rng((7, i))) for i in range(30)]
    assert draw(30, seed=7, biased=True) == expected


def test_repetitions_follow_each_other():
    once = draw(4)
    assert draw(12, repetitions=3) == [configuration for configuration in once for _ in range(3)]


def test_metadata_stand_before_the_first_sample(tmp_path):
    path = tmp_path / "new" / "s.jsonl"
    with SamplesFile(path, SETTINGS, SPACE) as file:
        assert read_metadata(path) == SETTINGS
        assert file.samples == []


def test_samples_are_on_the_disk_once_appended_and_are_found_again(tmp_path):
    path = tmp_path / "s.jsonl"
    lines = [line(configuration) for configuration in draw(3)]
    with SamplesFile(path, SETTINGS, SPACE, save_every=10) as file:
        file.append(lines[:2])
        assert [json.loads(text) for text in path.read_text().splitlines()] == lines[:2]
        file.append(lines[2:])
    with SamplesFile(path, SETTINGS, SPACE) as file:
        assert [list(configuration) for configuration, *_ in file.samples] == [
            widths for widths, *_ in lines
        ]


@pytest.mark.parametrize(("save_every", "forced"), [(1, 5), (2, 2), (3, 1), (9, 0)])
def test_save_every_says_how_often_samples_are_forced_to_the_disk(
    tmp_path, monkeypatch, save_every, forced
):
    """Five samples one by one; the oracle is a count by hand."""
    with SamplesFile(tmp_path / "s.jsonl", SETTINGS, SPACE, save_every) as file:
        calls = []
        monkeypatch.setattr("utils.json_lines.os.fsync", calls.append)
        for configuration in draw(5):
            file.append([line(configuration)])
    assert len(calls) == forced


def begun(path):
    with SamplesFile(path, SETTINGS, SPACE) as file:
        file.append([line(configuration) for configuration in draw(2)])


def test_other_settings_are_refused_and_nothing_is_touched(tmp_path):
    path = tmp_path / "s.jsonl"
    begun(path)
    before = path.read_bytes(), metadata_path(path).read_bytes()
    others = SETTINGS.stating(protocol={"rounds": 3})
    with pytest.raises(UserError, match=r"protocol\.rounds was 0, now it is 3"):
        SamplesFile(path, others, SPACE)
    assert (path.read_bytes(), metadata_path(path).read_bytes()) == before


def test_what_a_run_observed_does_not_stop_the_next(tmp_path):
    path = tmp_path / "s.jsonl"
    begun(path)
    with SamplesFile(path, SETTINGS, SPACE) as file:
        file.note(drift={"median_ms": 1.0})
    with SamplesFile(path, SETTINGS, SPACE) as file:
        assert len(file.samples) == 2
    assert read_metadata(path) == SETTINGS.stating(drift={"median_ms": 1.0})
    with pytest.raises(ValueError, match="colour"):
        file.note(colour="red")


def test_a_file_that_is_no_samples_file_is_left_alone(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG without a line end")
    with pytest.raises(UserError, match=r"photo\.png\.meta\.json is missing"):
        SamplesFile(path, SETTINGS, SPACE)
    assert path.read_bytes() == b"\x89PNG without a line end"


def test_samples_without_their_metadata_are_not_continued(tmp_path):
    path = tmp_path / "s.jsonl"
    write_lines(path, [line(configuration) for configuration in draw(2)])
    with pytest.raises(UserError, match="how it was measured is not known"):
        SamplesFile(path, SETTINGS, SPACE)


def test_a_bad_line_stops_the_continuation_and_frees_the_lock(tmp_path):
    path = tmp_path / "s.jsonl"
    begun(path)
    with open(path, "a") as file:
        file.write("[[1, 2], 3]\n")
    for _ in range(2):
        with pytest.raises(UserError, match=r"s\.jsonl, line 3: configuration has 2 widths"):
            SamplesFile(path, SETTINGS, SPACE)


def test_a_sample_without_the_reference_is_named(tmp_path):
    path = tmp_path / "s.jsonl"
    begun(path)
    with open(path, "a") as file:
        file.write(json.dumps([list(SPACE.largest), 1.0]) + "\n")
    with pytest.raises(UserError, match=r"s\.jsonl, line 3: timed beside the reference"):
        SamplesFile(path, SETTINGS, SPACE)


def test_a_file_of_a_single_torn_line_is_begun_afresh(tmp_path):
    path = tmp_path / "s.jsonl"
    begun(path)
    path.write_text("[[16, 32")
    with SamplesFile(path, SETTINGS, SPACE) as file:
        assert file.samples == []
    assert path.read_bytes() == b""


def test_a_second_process_is_refused(tmp_path):
    path = tmp_path / "s.jsonl"
    with (
        SamplesFile(path, SETTINGS, SPACE),
        pytest.raises(UserError, match="being written by another process"),
    ):
        SamplesFile(path, SETTINGS, SPACE)


@pytest.mark.parametrize(
    ("options", "begun", "design"),
    [
        ([], None, "covering"),
        (["--biased"], None, "biased"),
        ([], {"biased": False}, "uniform"),
        ([], {"biased": False, "design": "covering"}, "covering"),
        (["--biased"], {"biased": True}, "biased"),
    ],
)
def test_new_files_cover_the_range_and_old_ones_go_on_as_they_were_begun(options, begun, design):
    """Oracle: what their metadata say of the drawing, which must be the same again."""
    args = latency.build_parser().parse_args(["generate", "s.jsonl", "-D", "cpu", *options])
    drawn = drawing(args, begun and Metadata.of(begun))
    assert design_of(drawn) == design
    if begun:
        assert begun.items() <= drawn.items()
        assert ("design" in drawn) == ("design" in begun)
