"""The report of benchmarks.from_trained, on results by hand."""

from types import SimpleNamespace

import pytest

from benchmarks.retraining.accuracy_settings import MINIATURE
from benchmarks.retraining.from_trained_jobs import FULL, SHORT_FROM_TRAINED, STARTS, FromTrained
from benchmarks.retraining.from_trained_report import compare, write_report
from utils.errors import UserError

LOSSES = [0.4, 0.3, 0.2, 0.1]
BY_HAND = {
    (FULL, 0): {"scores": [1, 2, 3, 4], "losses": LOSSES, "cpu_s": 60},
    # Its own losses rank as its scores do, the other's the other way round.
    (SHORT_FROM_TRAINED, 0): {"scores": [4, 3, 2, 1], "losses": LOSSES[::-1], "cpu_s": 20},
}


def test_scores_are_compared_with_their_own_losses_and_with_those_from_scratch():
    """By hand: the best score has the least loss."""
    full, short = compare(BY_HAND)
    assert (full["own"], full["common"]) == pytest.approx((1, 1))
    assert (short["own"], short["common"]) == pytest.approx((1, -1))
    assert short["loss"] == pytest.approx(0.25)


def test_the_report_says_what_is_missing_and_whether_a_third_is_enough(tmp_path):
    benchmark = SimpleNamespace(
        settings=MINIATURE,
        seeds=(0,),
        results=lambda: BY_HAND,
        widest=lambda: {0: {"accuracy": 0.9}},
        epochs=FromTrained(MINIATURE, tmp_path).epochs,
    )
    text = write_report(benchmark, tmp_path)
    assert "Not finished: 1: from scratch, a third of the epochs, seed 0." in text
    assert "greater by +0.000 (+0.000) with own sub-networks; -2.000 (-2.000) with common" in text
    assert (tmp_path / "from_trained.md").read_text() == text
    benchmark.results = dict
    with pytest.raises(UserError, match="no supernet from scratch is finished"):
        write_report(benchmark, tmp_path)


def test_jobs_build_on_each_other(tmp_path):
    """Oracle: every job's needs come before it; a trained start alone needs the widest network."""
    jobs = FromTrained(MINIATURE, tmp_path).jobs()
    names = [job.name for job in jobs]
    for number, job in enumerate(jobs):
        assert set(job.needs) <= set(names[:number])
    assert {job.name for job in jobs if "final/0/1/widest" in job.needs} == {
        f"from-trained/0/{name}" for name, start in STARTS.items() if start.trained
    }
