"""Learning rates and mixtures, against gluon-cv's schedules and by hand."""

import numpy as np
import pytest

from models.recipe import averaging_share, learning_rates, mixup_share
from pipeline.final.options import parse_options

MODES = ["step", "poly", "cosine", "linear", "constant"]


def options_of(text):
    """Return the options of a command line."""
    return parse_options("", [*text.split(), "--configuration", "MOBILENET"])


def rates_of(text, steps):
    """Return the learning rates that a command line asks for, in epochs of so many updates."""
    return learning_rates(options_of(text).schedule, steps)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("decays", ["--lr-decay-epoch 1,3,4", "--lr-decay-period 2"])
def test_rates_are_those_of_gluon_cv(mode, warmup, decays):
    """Oracle: gluon-cv's LRSequential as its ImageNet script puts it together, every update."""
    from models.gluon.runtime import mx

    # isort: split
    # gluoncv imports MXNet, which models.gluon.runtime has to do first.

    from gluoncv.utils import LRScheduler, LRSequential

    assert mx
    epochs, steps = 5, 7
    text = f"--num-epochs {epochs} --lr 0.4 --lr-mode {mode} --lr-decay 0.3 {decays}"
    rates = rates_of(f"{text} --warmup-epochs {warmup} --warmup-lr 0.1", steps)
    wanted = LRSequential(
        [
            LRScheduler("linear", base_lr=0.1, target_lr=0.4, niters=warmup * steps),
            LRScheduler(
                mode,
                base_lr=0.4,
                target_lr=0,
                nepochs=epochs - warmup,
                iters_per_epoch=steps,
                step_epoch=[e - warmup for e in ([2, 4] if "period" in decays else [1, 3, 4])],
                step_factor=0.3,
                power=2,
            ),
        ]
    )
    updates = range(1, epochs * steps + 3)
    assert [rates(n) for n in updates] == pytest.approx([wanted(n) for n in updates], abs=1e-12)


# The learning rate, by update from 1 on, as the optimiser asks for it


def test_step_schedule_decays_at_its_epochs():
    """Oracle: by hand, 10 updates per epoch."""
    rate = rates_of("--num-epochs 6 --lr 0.4 --lr-decay-epoch 2,4", 10)
    assert [rate(n) for n in (0, 19, 20, 39, 40, 59)] == pytest.approx(
        [0.4, 0.4, 0.04, 0.04, 0.004, 0.004]
    )


def test_decay_period_replaces_the_epochs():
    """Oracle: by hand: every second epoch a factor of 0.5."""
    text = "--num-epochs 6 --lr 0.4 --lr-decay-period 2 --lr-decay 0.5 --lr-decay-epoch 1"
    rate = rates_of(text, 10)
    assert [rate(n) for n in (0, 19, 20, 40, 59)] == pytest.approx([0.4, 0.4, 0.2, 0.1, 0.1])


def test_warm_up_is_linear_and_decays_count_from_the_start():
    """Oracle: by hand: from 0.1 to 0.5 in 20 updates; the step at epoch 3 is at update 30."""
    text = "--num-epochs 5 --lr 0.5 --warmup-lr 0.1 --warmup-epochs 2 --lr-decay-epoch 3"
    rate = rates_of(text, 10)
    assert rate(0) == pytest.approx(0.1)
    assert rate(10) == pytest.approx(0.1 + 0.4 * 10 / 19)
    assert [rate(n) for n in (19, 20, 29, 30)] == pytest.approx([0.5, 0.5, 0.5, 0.05])


@pytest.mark.parametrize(
    ("mode", "half"), [("cosine", 0.5), ("linear", 0.5), ("poly", 0.25), ("constant", 1)]
)
def test_smooth_schedules(mode, half):
    """Oracle: each formula half-way and at the end."""
    rate = rates_of(f"--num-epochs 3 --lr 0.4 --lr-mode {mode}", 7)
    assert rate(0) == pytest.approx(0.4)
    assert rate(10) == pytest.approx(0.4 * half)
    assert rate(20) == pytest.approx(0.4 if mode == "constant" else 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0), (1, 1), (2, 1), (2, 2)])
def test_epochs_of_one_update(mode, epochs, warmup):
    """Oracle: finite rates between 0 and --lr; gluon-cv's own formulas divide by zero here."""
    text = f"--num-epochs {epochs} --warmup-epochs {warmup} --lr 0.4 --lr-mode {mode}"
    rate = rates_of(text, 1)
    assert all(0 <= rate(n) <= 0.4 for n in range(epochs + 2))
    assert rate(epochs) == pytest.approx(0.4) or warmup or mode in ("linear", "poly", "cosine")


def test_mixup_shares_follow_beta_and_stop_for_the_last_epochs():
    """Oracle: the mean and variance of Beta(0.2, 0.2): 1/2 and 1/(4 (2·0.2 + 1))."""
    rng = np.random.default_rng(0)
    targets = options_of("--mixup --num-epochs 10 --mixup-off-epoch 3").targets
    shares = np.array([mixup_share(targets, 10 - 6, rng) for _ in range(4000)])
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 1 / 5.6) < 0.01
    assert mixup_share(targets, 10 - 7, rng) == 1
    assert mixup_share(options_of("--num-epochs 10").targets, 10, rng) == 1


def test_an_average_spans_a_tenth_of_a_short_training():
    """Oracle: by hand: the mean age of the averaged weights; then the decay that is asked for."""
    shares = np.array([averaging_share(0.999, update) for update in range(1, 501)])
    assert shares[0] == pytest.approx(9 / 11)
    weights = shares * np.append(np.cumprod((1 - shares)[:0:-1])[::-1], 1)  # of each update
    ages = np.arange(500)[::-1]
    assert (weights * ages).sum() == pytest.approx(50, rel=0.05)
    assert averaging_share(0.999, 20_000) == pytest.approx(0.001)
    assert averaging_share(0, 7) == 1
