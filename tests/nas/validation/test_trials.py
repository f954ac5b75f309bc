from nas.validation.trials import Trial, flat_range, scan_of


def test_flat_range_is_what_is_about_as_good():
    errors = ((1, 0.03), (100, 0.02), (10, 0.0201), (1e3, 0.05))
    trials = [Trial(100, strength, error, 0.0) for strength, error in errors]
    assert [trial.strength for trial in scan_of(trials, "strength")] == [1, 10, 100, 1e3]
    assert flat_range(trials, "strength") == (10, 100)
    assert flat_range(trials, "strength", tolerance=0.001) == (100, 100)
    assert flat_range(trials, "regularize") is None
    trials += [Trial(1, 100, 0.0202, 0.0), Trial(1000, 100, 0.0203, 0.0)]
    assert flat_range(trials, "regularize") == (1, 100)
    assert flat_range(trials, "strength") == (10, 100)
