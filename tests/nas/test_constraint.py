import itertools

import numpy as np
import pytest

from nas import constraint as resources
from nas.search_space import SearchSpace

SPACES = [SearchSpace(), SearchSpace(input_size=33, classes=7, levels=3)]


@pytest.mark.parametrize("space", SPACES)
def test_sums_are_the_counts_of_whole_networks(space):
    macs, parameters = resources.macs(space), resources.parameters(space)
    rng = np.random.default_rng(0)
    for _ in range(50):
        configuration = space.draw_uniform(rng)
        states = space.states(configuration)
        pairs = list(enumerate(itertools.pairwise(states)))
        assert sum(macs[i][pair] for i, pair in pairs) == space.description.macs(
            configuration, space.input_size
        )
        assert sum(parameters[i][pair] for i, pair in pairs) == space.description.parameters(
            configuration
        )
    assert all((block >= 0).all() for block in macs + parameters)
