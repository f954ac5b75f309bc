import dataclasses
from collections import Counter

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

from benchmarks.oracles.synthetic_device import SyntheticDevice
from nas import fit_problem
from nas.fit_problem import OWN, FitProblem, SolverError
from nas.latency_fit import count_matrix, fit, ordered_pairs
from nas.prior import TERMS, Prior, usual_sizes
from nas.search_space import SearchSpace
from nas.validation.prediction_errors import prediction_errors
from nas.variables import Variable
from utils.errors import UserError
from utils.metadata import Metadata

TINY = SearchSpace(
    input_size=8, classes=5, min_width=0.5, max_width=1.0, levels=2,
    base_widths=(16, 16, 16), strides=(1, 2, 2),
)  # fmt: skip


def samples_of(device, count, seed):
    rng = np.random.default_rng(seed)
    configurations = [device.space.draw_uniform(rng) for _ in range(count)]
    return list(zip(configurations, device.measure(configurations, rng).tolist(), strict=True))


def test_a_space_without_ordered_pairs_is_fitted_too():
    """Oracle: the mean of the timings, of which there is one configuration."""
    space = SearchSpace(8, 2, 1.0, 1.0, 1, base_widths=(32, 64), strides=(2, 1))
    assert not len(ordered_pairs(space.variables))
    timings = [1.0, 1.1, 1.2]
    samples = [(space.largest, latency_ms) for latency_ms in timings]
    assert fit(samples, space, 100.0).predict(space.largest) == pytest.approx(1.1, rel=1e-4)


def test_ordered_pairs_of_a_tiny_space_are_the_hand_written_list():
    # Layers: 3×3 on 8×8; then blocks of stride 2 on 8×8 and on 4×4; then the classifier.
    def first(outputs):
        return Variable((8, 8), 3, 1, False, False, 3, outputs)

    def block(size, inputs, outputs):
        return Variable((size, size), 3, 2, True, False, inputs, outputs)

    def last(inputs):
        return Variable((1, 1), 1, 1, False, True, inputs, 5)

    by_hand = {
        (first(8), first(16)),
        (block(8, 8, 8), block(8, 8, 16)),
        (block(8, 16, 8), block(8, 16, 16)),
        (block(8, 8, 8), block(8, 16, 8)),
        (block(8, 8, 16), block(8, 16, 16)),
        (block(4, 8, 8), block(4, 8, 16)),
        (block(4, 16, 8), block(4, 16, 16)),
        (block(4, 8, 8), block(4, 16, 8)),
        (block(4, 8, 16), block(4, 16, 16)),
        (block(4, 8, 8), block(8, 8, 8)),
        (block(4, 8, 16), block(8, 8, 16)),
        (block(4, 16, 8), block(8, 16, 8)),
        (block(4, 16, 16), block(8, 16, 16)),
        (last(8), last(16)),
    }
    found = [(TINY.variables[i], TINY.variables[j]) for i, j in ordered_pairs(TINY.variables)]
    assert len(found) == len(by_hand)
    assert set(found) == by_hand


def differing_fields(small, large):
    small, large = dataclasses.asdict(small), dataclasses.asdict(large)
    return [name for name in small if small[name] != large[name]]


def test_default_space_has_3198_pairs_that_differ_upwards_in_exactly_one_field():
    variables = SearchSpace().variables
    kinds = Counter()
    for i, j in ordered_pairs(variables):
        (name,) = differing_fields(variables[i], variables[j])
        assert getattr(variables[i], name) < getattr(variables[j], name)
        kinds[name] += 1
    assert kinds == {"in_channels": 1482, "out_channels": 1482, "in_size": 234}


def test_no_pair_has_a_variable_between_its_two():
    """Oracle: neighbours are found again by brute force, in a space of unequal widths."""
    variables = SearchSpace(input_size=64, classes=7, levels=4).variables
    pairs = {(i, j) for i, j in ordered_pairs(variables).tolist()}
    for i, small in enumerate(variables):
        for name in ("in_channels", "out_channels", "in_size"):
            larger = [
                (getattr(large, name), j)
                for j, large in enumerate(variables)
                if differing_fields(small, large) == [name]
                and getattr(small, name) < getattr(large, name)
            ]
            if larger:
                assert (i, min(larger)[1]) in pairs
                pairs.remove((i, min(larger)[1]))
    assert not pairs


def test_count_matrix_counts_shared_variables_of_the_network():
    """Oracle: a loop over the blocks of each network; layers 8 to 12 may share a variable."""
    space = SearchSpace()
    configurations = [space.smallest, space.largest, space.draw_uniform(np.random.default_rng(0))]
    counts = count_matrix(space, configurations).toarray()
    for row, configuration in zip(counts, configurations, strict=True):
        channels = [3, *configuration, space.classes]
        expected = Counter(
            layer_type.with_channels(channels[layer], channels[layer + 1])
            for layer, layer_type in enumerate(space.layer_types)
        )
        assert {v: n for v, n in zip(space.variables, row, strict=True) if n} == expected
    assert counts[0].max() == 5


def test_the_fit_reaches_the_optimum_that_another_solver_finds():
    """Oracle: Eq. (7) written again, in ms and without scaling, solved by Clarabel."""
    space = SearchSpace(levels=6)
    samples = samples_of(SyntheticDevice(space), 600, seed=1)
    latencies_ms = np.array([latency_ms for _, latency_ms in samples])
    counts = count_matrix(space, [configuration for configuration, _ in samples])
    small, large = ordered_pairs(space.variables).T
    theta, t = cp.Variable(counts.shape[1]), cp.Variable(len(small))
    objective = cp.sum_squares(counts @ theta - latencies_ms) + 100 * cp.sum_squares(t)
    constraints = [theta >= 0, t >= 0, theta[small] - theta[large] <= t]
    twin = cp.Problem(cp.Minimize(objective), constraints)
    twin.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)

    table = fit(samples, space, 100)
    values_ms = table.values(space)
    assert table.metadata.fit.status == "optimal"
    assert values_ms.min() >= 0
    violations_ms = np.maximum(values_ms[small] - values_ms[large], 0)
    reached = np.sum((counts @ values_ms - latencies_ms) ** 2) + 100 * np.sum(violations_ms**2)
    assert reached == pytest.approx(twin.value, rel=1e-3)


def test_totals_of_a_synthetic_device_are_recovered():
    """Oracle: the noise-free totals of networks that the fit has not seen."""
    space = SearchSpace(levels=4)
    device = SyntheticDevice(space, tile=8)
    table = fit(samples_of(device, 1500, seed=2), space, 10)
    rng = np.random.default_rng(3)
    unseen = [space.draw_uniform(rng) for _ in range(200)]
    errors = prediction_errors([table.predict(c) for c in unseen], device.true_ms(unseen))
    assert errors.nrmse < 0.01
    assert errors.rank_correlation > 0.99


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_the_unit_of_time_does_not_change_the_fit(unit):
    space = SearchSpace(levels=3)
    samples = samples_of(SyntheticDevice(space), 200, seed=4)
    scaled = [(configuration, unit * latency) for configuration, latency in samples]
    in_ms, in_other = fit(samples, space, 10), fit(scaled, space, 10)
    np.testing.assert_allclose(
        in_other.values(space) / unit, in_ms.values(space), rtol=1e-3, atol=1e-6
    )


def test_one_problem_solved_again_equals_a_new_one():
    """Oracle: a problem built for this K alone; the warm start must not show."""
    space = SearchSpace(levels=3)
    samples = samples_of(SyntheticDevice(space), 300, seed=5)
    counts = count_matrix(space, [configuration for configuration, _ in samples])
    latencies_ms = [latency_ms for _, latency_ms in samples]
    pairs, linear = ordered_pairs(space.variables), Prior.of("linear", space.variables)
    problem = FitProblem(counts, latencies_ms, pairs, linear)
    problem.solve(1000, 1)
    again = problem.solve(1, 30)
    new = FitProblem(counts, latencies_ms, pairs, linear).solve(1, 30)
    assert again.objective == pytest.approx(new.objective, rel=1e-4)
    plain = FitProblem(counts, latencies_ms, pairs).solve(1)
    assert problem.solve(1, 0).objective == pytest.approx(plain.objective, rel=1e-4)


def test_an_answer_that_is_not_optimal_fails_loudly(monkeypatch):
    monkeypatch.setitem(fit_problem.SOLVER_OPTIONS, "max_iters", 1)
    samples = samples_of(SyntheticDevice(TINY), 20, seed=6)
    with pytest.raises(SolverError, match="not optimal: SCS reports 'optimal_inaccurate'"):
        fit(samples, TINY, 100)


def test_a_problem_with_a_prior_that_scs_does_not_solve_is_solved(monkeypatch):
    """Oracle: the table that SCS finds with as many iterations as it takes."""
    samples = samples_of(SyntheticDevice(TINY), 20, seed=6)
    exact = fit(samples, TINY, 100, strength=1)
    monkeypatch.setitem(fit_problem.SOLVER_OPTIONS, "max_iters", 1)
    rescued = fit(samples, TINY, 100, strength=1)
    assert (exact.metadata.fit.solver, rescued.metadata.fit.solver) == ("SCS", "CLARABEL")
    assert rescued.metadata.fit.objective == pytest.approx(exact.metadata.fit.objective, rel=1e-3)


def test_without_regularisation_the_table_is_said_not_to_be_unique(capsys):
    samples = samples_of(SyntheticDevice(TINY), 20, seed=7)
    fit(samples, TINY, 0)
    assert "the table is not unique" in capsys.readouterr().err
    fit(samples, TINY, 1)
    assert capsys.readouterr().err == ""
    space = SearchSpace()
    fit(samples_of(SyntheticDevice(space), 50, seed=7), space, 100)
    assert "50 samples are too few for Eq. (7), all are met exactly" in capsys.readouterr().err


def test_metadata_of_the_samples_is_kept_beside_the_report():
    samples = samples_of(SyntheticDevice(TINY), 20, seed=8)
    table = fit(
        samples, TINY, 1, metadata=Metadata.of({"device": "synthetic", "fit": {"samples": 3}})
    )
    assert table.metadata.device == "synthetic"
    assert table.metadata.search_space == TINY.as_dict()
    assert table.metadata.fit.regularize == 1
    assert table.metadata.fit.samples == 20


@pytest.mark.parametrize(
    ("samples", "regularize", "message"),
    [
        ([], 1, "no sample"),
        ([(TINY.smallest, float("nan"))], 1, "sample 1 is nan ms"),
        ([(TINY.smallest, 1.0), (TINY.largest, 0.0)], 1, "sample 2 is 0.0 ms"),
        ([(TINY.smallest, 1.0)], -1, "K = -1 must be a number that is at least 0"),
        ([(TINY.smallest, 1.0)], float("nan"), "K = nan must be a number"),
        ([(TINY.smallest, 1.0)], float("inf"), "K = inf must be a number"),
        ([((9, 8, 8), 1.0)], 1, "width 9 is not in layer 1"),
    ],
)
def test_impossible_input_is_explained(samples, regularize, message):
    with pytest.raises(UserError, match=message):
        fit(samples, TINY, regularize)


@pytest.mark.parametrize("wider_is_faster", [False, True])
def test_the_prior_reaches_the_optimum_that_another_solver_finds(wider_is_faster):
    """Oracle: the problem written again, in ms, by Clarabel; where wider is faster, bounds hold."""
    space = SearchSpace(levels=6)
    samples = samples_of(SyntheticDevice(space), 300, seed=9)
    if wider_is_faster:
        samples = [(configuration, 1 - latency_ms) for configuration, latency_ms in samples]
    latencies_ms = np.array([latency_ms for _, latency_ms in samples])
    counts = count_matrix(space, [configuration for configuration, _ in samples])
    small, large = ordered_pairs(space.variables).T
    prior = Prior.of("shared", space.variables)
    theta, t = cp.Variable(counts.shape[1]), cp.Variable(len(small))
    beta, gamma = cp.Variable(prior.own.shape[1]), cp.Variable(prior.shared.shape[1])
    mean_ms = latencies_ms.mean()
    sizes = usual_sizes(counts, latencies_ms, sparse.hstack([prior.own, prior.shared]))
    typical = usual_sizes(counts, latencies_ms, prior.shared)
    types = [prior.own[:, column].nonzero()[0] for column in range(0, len(TERMS) * 11, len(TERMS))]
    greatest = np.repeat([typical[of_type].max() for of_type in types], len(TERMS))
    objective = cp.sum_squares(cp.multiply(1 / latencies_ms, counts @ theta) - 1)
    objective += 20 * cp.sum_squares(t / mean_ms)
    law = prior.own @ beta + prior.shared @ gamma
    objective += 5 * cp.sum_squares(cp.multiply(1 / sizes, theta - law) / mean_ms)
    objective += 5 * OWN * cp.sum_squares(cp.multiply(1 / greatest, beta) / mean_ms)
    constraints = [theta >= 0, t >= 0, beta >= 0, gamma >= 0, theta[small] - theta[large] <= t]
    twin = cp.Problem(cp.Minimize(objective), constraints)
    twin.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)

    table = fit(samples, space, 20, strength=5)
    assert table.metadata.fit.objective == pytest.approx(twin.value, rel=1e-3)
    others = np.random.default_rng(0)
    totals = count_matrix(space, [space.draw_uniform(others) for _ in range(50)])
    np.testing.assert_allclose(totals @ table.values(space), totals @ theta.value, rtol=1e-3)


@pytest.mark.parametrize(("prior", "layer"), [("linear", 9), ("shared", 13)])
def test_the_prior_fills_in_variables_that_were_never_seen(prior, layer):
    """Oracle: a device that obeys the law exactly, and networks of widths that were left out."""
    space = SearchSpace(levels=5)
    device = SyntheticDevice(space, tile=1, bytes_per_ms=np.inf, overlap=0, noise=0)
    rng = np.random.default_rng(10)
    drawn = [space.draw_uniform(rng) for _ in range(400)]
    middle = space.choices[layer][2]
    seen = [configuration for configuration in drawn if configuration[layer] != middle]
    unseen = [configuration for configuration in drawn if configuration[layer] == middle]
    samples = list(zip(seen, device.true_ms(seen), strict=True))
    with_prior = fit(samples, space, 1, strength=1000, prior=prior)
    plain = fit(samples, space, 1)
    errors = [
        prediction_errors([table.predict(c) for c in unseen], device.true_ms(unseen)).nrmse
        for table in (with_prior, plain)
    ]
    assert errors[0] < 0.002
    assert errors[1] > 5 * errors[0]
