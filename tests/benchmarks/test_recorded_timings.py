import numpy as np

from benchmarks.latency_fit import DATA
from benchmarks.recorded_timings import Recording


def test_a_draw_is_of_the_sets_that_new_samples_files_resemble():
    """Oracle: the numbers of networks that benchmarks/data/README.md states."""
    recording = Recording.read(DATA / "narrow_networks" / "openvino_32.jsonl")
    assert recording.space.input_size == 32
    assert len(recording.of("uniform multipliers")) == 14
    assert len(recording.of("random", "uniform")) == 200
    assert not len(recording.of("front"))
    own = recording.draw(np.random.default_rng(0))
    assert len(set(own.tolist())) == 100
    assert (recording.sets[own] == "covering").sum() == 68
    assert (recording.sets[own] == "biased").sum() == 32


def test_latencies_are_without_drift_and_noise_follows_the_spread_of_the_runs(tmp_path):
    """Oracle: by hand; the second network ran while the machine was half as fast."""
    details = [{"iqr_ms": 0.1, "median_ms": 1.0, "reference_ms": ms} for ms in (2.0, 4.0, 2.0)]
    path = tmp_path / "x_32.jsonl"
    lines = [f'["random", [8, 8], {ms}, {d}]' for ms, d in zip((1, 3, 1), details, strict=True)]
    path.write_text("\n".join(lines).replace("'", '"') + "\n")
    recording = Recording.read(path)
    np.testing.assert_allclose(recording.latencies_ms, [1, 1.5, 1])
    np.testing.assert_allclose(recording.noise, 0.016)
