"""Compiled functions whose cache is damaged, of another process, or nowhere."""

import importlib.util
import os

import numba
import pytest

from nas import compiled

SOURCE = """
from nas.compiled import njit

@njit
def double(x):
    return x + x
"""


@pytest.fixture
def load(tmp_path):
    """Return a function that imports a module with a compiled function, as a new process does."""
    path = tmp_path / "module.py"
    path.write_text(SOURCE)

    def load():
        spec = importlib.util.spec_from_file_location("module", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.double

    return load


def cached(folder, pattern):
    return sorted(folder.glob(f"__pycache__/*.{pattern}"))


def test_code_is_kept(load):
    """Oracle: Numba's own count."""
    assert load()(2) == 4
    double = load()
    assert double(2) == 4
    assert sum(double.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_cache_is_made_anew(load, tmp_path, kind, size):
    """Oracle: the result, and the code that is found the time after."""
    assert load()(2) == 4
    (path,) = cached(tmp_path, kind)
    os.truncate(path, size)
    assert load()(2) == 4
    double = load()
    assert double(2) == 4
    assert sum(double.stats.cache_hits.values()) == 1


def test_code_for_other_types_is_not_taken(load, tmp_path):
    """Two processes that compile at the same time may leave this. Oracle: the result."""
    double = load()
    assert (double(2), double(2.5)) == (4, 5.0)
    of_ints, of_floats = cached(tmp_path, "nbc")
    of_ints.write_bytes(of_floats.read_bytes())
    assert load()(2**60) == 2**61


def test_without_a_place_functions_are_compiled_each_time(load, monkeypatch):
    """Oracle: the result; Numba's own locators, none of which finds a folder."""
    monkeypatch.setattr(compiled._Cache._impl_class, "_locator_classes", [])
    assert load()(2) == 4


def test_a_full_disk_ends_nothing(load, monkeypatch):
    """Oracle: the result, although nothing can be written."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    assert load()(2) == 4
