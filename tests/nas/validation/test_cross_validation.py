import numpy as np
import pytest

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas.latency_fit import fit
from nas.search_space import SearchSpace
from nas.validation import cross_validation
from nas.validation.cross_validation import (
    CrossValidator,
    choose,
    number_of_trials,
    split_folds,
)
from nas.validation.trials import Trial
from utils.errors import UserError

SPACE = SearchSpace(levels=3)


def samples_of(device, count, seed):
    rng = np.random.default_rng(seed)
    configurations = [device.space.draw_uniform(rng) for _ in range(count)]
    return list(zip(configurations, device.measure(configurations, rng).tolist(), strict=True))


def test_equal_configurations_share_a_fold_and_folds_are_alike():
    rng = np.random.default_rng(0)
    configurations = [(i % 23, i % 23) for i in range(100)]
    fold_of = split_folds(configurations, 5, rng)
    for value in range(23):
        same = [fold for fold, c in zip(fold_of, configurations, strict=True) if c[0] == value]
        assert len(set(same)) == 1
    sizes = [len({c for c, f in zip(configurations, fold_of, strict=True) if f == fold})
             for fold in range(5)]  # fmt: skip
    assert sorted(sizes) == [4, 4, 5, 5, 5]
    with pytest.raises(UserError, match="1 different configurations are too few for 5 folds"):
        split_folds([(1, 2)] * 30, 5, rng)


def test_each_network_is_predicted_by_a_table_that_lacks_its_fold():
    """Oracle: `fit` on the other folds by itself."""
    samples = samples_of(SyntheticDevice(SPACE), 60, seed=1)
    validator = CrossValidator(samples, SPACE, np.random.default_rng(0), folds=3)
    predicted_ms = validator.predict(10, 3)
    for fold in range(3):
        others = [s for s, f in zip(samples, validator.fold_of, strict=True) if f != fold]
        table = fit(others, SPACE, 10, strength=3)
        for index in np.flatnonzero(validator.fold_of == fold):
            expected_ms = table.predict(samples[index][0])
            assert predicted_ms[index] == pytest.approx(expected_ms, rel=1e-3)


def test_error_and_its_standard_error():
    """Oracle: the spread of the error over 300 repetitions."""
    validator = object.__new__(CrossValidator)
    validator._first = list(range(80))
    rng = np.random.default_rng(2)
    errors, stated = [], []
    for _ in range(300):
        validator.latencies_ms = rng.uniform(9, 11, 80)
        predicted_ms = validator.latencies_ms + rng.normal(0, 0.3, 80)
        nrmse, standard_error = validator.error(predicted_ms)
        errors.append(nrmse)
        stated.append(standard_error)
    assert np.mean(errors) == pytest.approx(0.03, rel=0.03)
    assert np.mean(stated) == pytest.approx(np.std(errors), rel=0.15)


class Bowl:
    """A validator whose error is known: least at K = 1000 and R = 10 · sqrt(10)."""

    def __init__(self):
        self.asked = []

    def trial(self, regularize, strength, tick):
        self.asked.append((regularize, strength))
        tick()
        error = 0.02 + 0.001 * np.log10(regularize / 1000) ** 2
        if strength:
            error += 0.01 * (np.log10(strength) - 1.5) ** 2
        return Trial(regularize, strength, error, 0.001)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("auto", "auto"), (1000, 10**1.5)),
        (("auto", 0), (1000, 0)),
        ((7, "auto"), (7, 10**1.5)),
        ((7, 3), (7, 3)),
    ],
)
def test_the_choice_is_the_least_of_a_known_bowl(given, found):
    bowl, ticks = Bowl(), []
    best, trials = choose(bowl, *given, tick=lambda: ticks.append(1))
    assert (best.regularize, best.strength) == pytest.approx(found)
    assert best.nrmse == min(trial.nrmse for trial in trials)
    assert len(bowl.asked) == len(set(bowl.asked)) == len(trials) == len(ticks)
    assert len(trials) <= number_of_trials(*given)


def test_a_part_of_the_training_folds_predicts_worse():
    samples = samples_of(SyntheticDevice(SPACE), 150, seed=3)
    validator = CrossValidator(samples, SPACE, np.random.default_rng(0))
    part_ms, size = validator.predict_from_part(100, 1, 0.2)
    assert size == 24
    assert validator.error(part_ms)[0] > 1.2 * validator.trial(100, 1).nrmse


def test_cross_validation_finds_that_a_law_needs_a_strong_prior_and_a_staircase_a_weak_one():
    """Oracle: two devices, one that obeys the law, one with tiles of 64 channels and no noise."""
    chosen = []
    for device, count in (
        (SyntheticDevice(SPACE, tile=1, bytes_per_ms=np.inf, overlap=0, noise=0.05), 60),
        (SyntheticDevice(SPACE, tile=64, bytes_per_ms=np.inf, overlap=0, noise=0), 200),
    ):
        samples = samples_of(device, count, seed=4)
        validator = CrossValidator(samples, SPACE, np.random.default_rng(0))
        chosen.append(choose(validator, regularize=100)[0].strength)
    assert chosen[0] >= 100
    assert chosen[1] <= 1


def test_the_grids_hold_the_start():
    assert cross_validation.START in cross_validation.REGULARIZE_GRID
