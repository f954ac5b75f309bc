import numpy as np
import pytest

from nas import ows
from nas.answer import Answer
from nas.constraint import Constraint, InfeasibleError, NoAnswerYetError
from nas.exact.pareto import front
from nas.latency_table import LatencyTable
from nas.noise import MARGIN
from nas.search_space import SearchSpace
from nas.supernet_search import Schedule, SupernetSearch
from nas.thompson import Evaluated
from utils.errors import UserError
from utils.metadata import Metadata

SPACE = SearchSpace(
    input_size=8, classes=3, min_width=0.5, max_width=1.5, levels=3,
    base_widths=(16, 16, 16), strides=(2, 1, 1),
)  # fmt: skip
# One channel pair costs its product: latency and width grow together.
TABLE = LatencyTable(
    {v: v.in_channels * v.out_channels / 1000 for v in SPACE.variables},
    Metadata.of({"search_space": SPACE.as_dict()}),
)
SCHEDULE = Schedule(epochs=10, warmup=2)


def open_search(schedule=None, target_ms=1.0, window=50, method="lagrangian", others=()):
    constraints = [Constraint(TABLE.pairwise(SPACE), target_ms), *others]
    return SupernetSearch(SPACE, constraints, window=window, method=method, schedule=schedule)


def record_uniform(search, images=2000, quality=lambda states: states.sum(axis=1)):
    """Losses that fall with every step of width."""
    states = np.random.default_rng(0).integers(SPACE.sizes, size=(images, 3))
    search.record(states, 10.0 - quality(states), np.zeros(images))
    return states


def test_ows_draws_uniformly_to_the_end():
    search = open_search()
    record_uniform(search)
    for progress in (0, 3, 9.9):
        states, decision = search.draw(progress, np.random.default_rng(0), 3000)
        assert decision is None
        shares = [np.bincount(column, minlength=3) / 3000 for column in states.T]
        assert np.abs(np.array(shares) - 1 / 3).max() < 5 * 0.5 / np.sqrt(3000)


def exact(scores, target_ms=2.0, window=5000, schedule=None):
    constraints = [Constraint(TABLE.pairwise(SPACE), target_ms)]
    return SupernetSearch(SPACE, constraints, window=window, scores=scores, schedule=schedule)


def test_answers_from_monotone_scores_use_what_the_means_leave():
    """Oracle: by construction the widest widths are best, and one of them looks bad by chance."""
    by_means, monotone = exact("means"), exact("monotone")
    for search in (by_means, monotone):
        record_uniform(search, quality=lambda states: states.sum(axis=1))
        # A few images of bad luck at the widest of the first layer.
        states = np.array([[2, 1, 1]] * 400)
        search.record(states, np.full(400, 12.0), np.zeros(400))
    assert by_means.best().states[0] == 1
    assert monotone.best().states[0] == 1  # of equal scores the faster
    assert monotone.unary()[0][1] == monotone.unary()[0][2]
    assert by_means.draw(0, np.random.default_rng(0), 4)[1] is None
    with pytest.raises(ValueError, match="unknown scores 'best'"):
        SupernetSearch(SPACE, by_means.constraints, window=1, scores="best")


def test_of_scores_within_noise_the_faster_network_answers():
    """Oracles: gains that are written down; the noise of means of so many images."""

    def answer(gain, scores="monotone"):
        """Only the second layer matters, and its widest width by little."""
        search, rng = exact(scores), np.random.default_rng(0)
        states = np.random.default_rng(0).integers(SPACE.sizes, size=(3000, 3))
        quality = np.array([0.0, 3.0, 3.0 + gain])[states[:, 1]]
        search.record(states, 10 - quality + rng.normal(size=3000), np.zeros(3000))
        return search.best()

    small, great = answer(gain=0.001), answer(gain=1.0)
    assert (small.states[1], great.states[1]) == (1, 2)
    assert answer(gain=0.001, scores="means").noise == 0
    assert 0 < small.gap <= MARGIN * small.noise
    for found in (small, great):
        assert found.states[0] == found.states[2] == 0  # of no use


def test_answers_are_as_good_if_noise_hides_what_they_lose():
    """Oracle: losses by hand: the second layer's widest width gains little, the first's much."""
    search, rng = exact("monotone"), np.random.default_rng(0)
    states = rng.integers(SPACE.sizes, size=(3000, 3))
    quality = np.array([0.0, 3.0, 6.0])[states[:, 0]] + np.array([0.0, 3.0, 3.001])[states[:, 1]]
    search.record(states, 10 - quality + rng.normal(size=3000), np.zeros(3000))
    answers = [
        Answer.of(search.unary(), search.constraints, each)
        for each in ([2, 2, 0], [2, 1, 0], [1, 2, 0])
    ]
    assert search.as_good(answers) == [0, 1]
    of_means = exact("means")
    of_means.load_arrays(search.to_arrays())
    assert of_means.as_good(answers) == [0]


class Truth:
    """Sub-networks' losses: their logarithms add up, and unlike what training told."""

    def __init__(self):
        self.asked = []

    def __call__(self, states):
        self.asked += [tuple(row) for row in states.tolist()]
        return np.exp(-states @ np.array([1.0, 0.1, 0.01]))


@pytest.mark.parametrize("whole_front", [False, True])
def test_scores_are_fitted_to_sub_networks_and_then_steer_all(whole_front):
    """Oracles: a truth by which the first layer counts most; its own losses."""
    search = exact("fitted", target_ms=1.0, schedule=SCHEDULE)
    record_uniform(search, quality=lambda states: states @ np.array([0.01, 0.1, 1.0]))
    before = search.best()
    truth = Truth()
    fitted = search.fit(Evaluated(truth, ()), np.random.default_rng(0), 27, whole_front)
    after = search.best()
    assert before.states[2] > after.states[2]
    assert after.states[0] == 2
    assert after.score == pytest.approx(after.states @ np.array([1.0, 0.1, 0.01]), abs=0.1)
    assert len(set(truth.asked)) == len(fitted.losses) <= 27
    assert search.scores() is fitted.scores
    _, decision = search.draw(9.99, np.random.default_rng(0), 50)
    assert decision.configuration[0] == SPACE.choices[0][2]
    last = search.last_decision()
    assert last.configuration == SPACE.configuration(after.states)
    assert search.noticeable(front(search.unary(), TABLE.pairwise(SPACE)))[0] == 0


@pytest.mark.parametrize("scale", [1, 20])
def test_the_last_probabilities_are_of_losses_though_fitted_scores_are_logarithms(scale):
    """Oracle: without a limit in the way, a softmax of the loss that a layer's width costs."""
    schedule = Schedule(epochs=10, warmup=2, minimum=0.2)
    search = exact("fitted", target_ms=100.0, schedule=schedule)
    record_uniform(search)
    evaluated = Evaluated(lambda states: scale * Truth()(states), ())
    search.fit(evaluated, np.random.default_rng(0), 27)
    decision = search.last_decision()
    least_loss = scale * Truth()(np.array([[2, 2, 2]]))[0]
    for row, effect in zip(decision.probabilities, (1.0, 0.1, 0.01), strict=True):
        weights = np.exp(least_loss / 3 * effect * np.arange(3) / 0.2)
        assert row == pytest.approx(weights / weights.sum(), rel=0.1)


def test_aows_draws_by_the_scores_of_its_answers():
    """Oracle: a width that looks bad by chance, in means, is drawn as its neighbour's equal."""
    shares = {}
    for scores in ("means", "monotone"):
        search = exact(scores, target_ms=9.0, schedule=Schedule(epochs=10, warmup=1))
        states = np.tile([[0], [1], [2]], (300, 3))
        quality = np.tile([1.0, 2.0, 1.9], 300)
        search.record(states, 10 - quality, np.zeros(900))
        decision = search.draw(1.55, np.random.default_rng(0), 9)[1]
        shares[scores] = decision.probabilities[0]
    assert shares["means"][1] > 2 * shares["means"][2]
    assert shares["monotone"][1] == pytest.approx(shares["monotone"][2], abs=1e-4)


def test_a_target_that_needs_widths_never_drawn_has_no_answer_yet():
    """Oracle: by hand; the fastest configuration is in reach once its widths were drawn."""
    search = exact("monotone", target_ms=1.01 * TABLE.predict(SPACE.smallest))
    drawn = np.tile([[1], [2]], (50, 3))
    search.record(drawn, np.ones(100), np.zeros(100))
    with pytest.raises(NoAnswerYetError, match=r"is below .*, of the widths drawn so far: train"):
        search.best()
    search.record(np.zeros((50, 3), dtype=int), np.ones(50), np.zeros(50))
    assert SPACE.configuration_at(search.best().states) == SPACE.smallest


def test_fewer_configurations_than_images_are_drawn_for_equal_parts_of_them():
    states, _ = open_search().draw(0, np.random.default_rng(0), 12, configurations=3)
    expected, _ = open_search().draw(0, np.random.default_rng(0), 3)
    np.testing.assert_array_equal(states, np.repeat(expected, 4, axis=0))


def test_aows_draws_uniformly_until_the_warm_up_ends_and_every_width_was_seen():
    search = open_search(SCHEDULE)
    search.record(np.zeros((1, 3), dtype=int), np.array([1.0]), np.array([0.0]))
    assert search.draw(5, np.random.default_rng(0), 4)[1] is None  # two widths are unseen
    record_uniform(search)
    assert search.draw(1.99, np.random.default_rng(0), 4)[1] is None
    assert search.draw(2, np.random.default_rng(0), 4)[1] is not None


def test_aows_cools_down_to_the_best_configuration():
    search = open_search(SCHEDULE, target_ms=100.0)  # loose: no other configuration ties
    record_uniform(search)
    states, decision = search.draw(9.99, np.random.default_rng(0), 200)
    assert decision.configuration == SPACE.largest
    assert (SPACE.widths(states) == SPACE.largest).all()


def test_a_decision_meets_the_target_and_is_the_searchs_own_answer():
    search = open_search(SCHEDULE)
    record_uniform(search)
    _, decision = search.draw(9.99, np.random.default_rng(0), 200)
    assert decision.configuration == SPACE.configuration(search.best().states)
    assert decision.values[0] <= 1.0
    assert decision.values == pytest.approx([TABLE.predict(decision.configuration)])
    for row in decision.probabilities:
        assert sum(row) == pytest.approx(1, abs=1e-4)


def test_the_best_configuration_is_the_one_that_ows_finds_on_the_mean_scores():
    search = open_search(window=10_000)
    states = record_uniform(search)
    values = -(10.0 - states.sum(axis=1)) / 3
    unary = [
        np.array([values[states[:, layer] == state].mean() for state in range(3)])
        for layer in range(3)
    ]
    expected = ows.search(unary, TABLE.pairwise(SPACE), 1.0, "lagrangian")
    found = search.best()
    assert found.states == expected.states
    assert found.score == pytest.approx(expected.score, rel=1e-5)


def test_a_target_that_cannot_be_met_is_refused_at_once():
    with pytest.raises(InfeasibleError, match="below the fastest configuration"):
        open_search(target_ms=0.01)


def test_nothing_drawn_is_nothing_to_search():
    with pytest.raises(UserError, match="no width of layer 1 was ever drawn"):
        open_search().best()


def test_the_statistics_of_a_checkpoint_give_the_same_answer_for_a_new_target():
    search = open_search()
    record_uniform(search)
    arrays = search.to_arrays()
    for target_ms in (0.6, 1.0, 1.3):
        resumed, fresh = open_search(target_ms=target_ms), open_search(target_ms=target_ms)
        resumed.load_arrays(arrays)
        record_uniform(fresh)
        assert resumed.best().states == fresh.best().states
    with pytest.raises(UserError, match="do not fit"):
        search.load_arrays({"counts": np.zeros((2, 3), int), "values": [], "window": np.array(5)})
