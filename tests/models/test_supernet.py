"""What a supernet does whatever the framework. Oracles: sums by hand."""

import numpy as np
import pytest

from models.supernet import Evaluation, Supernet, TrainingSchedule
from utils.errors import UserError
from utils.processes import Processes

SCHEDULE = TrainingSchedule(1, 4, 0.1, "constant", 0.9, 0.0, 0)


def good_batches(dataset, keys, workers, fill):
    """Read eight images, of which those from the fifth on are broken."""
    for batch in keys:
        if batch[0][1] < 4:
            yield None, np.zeros(len(batch))


class Net(Supernet):
    """Is right about every image and loses 0.5; `others`: what other processes have summed."""

    others = (0.0, 0.0, 0.0)

    def _sub_network(self, configuration, train):
        return None

    def judged(self, nets, images, labels):
        return [[len(labels), 0.5 * len(labels)] for _ in nets]

    def summed(self, numbers):
        return np.add(numbers, self.others).tolist()


def test_a_process_whose_images_are_all_broken_goes_on_with_the_others():
    net = Net(SCHEDULE, good_batches, 0, Processes(1, 2))  # whose batch is the second one
    net.others = (4.0, 3.0, 2.0)
    assert net.evaluate([None], (), range(8)) == [Evaluation(0.75, 0.5)]
    net.others = (0.0, 0.0, 0.0)
    with pytest.raises(UserError, match="none of 8 images can be read"):
        net.evaluate([None], (), range(8))


def test_good_images_count():
    net = Net(SCHEDULE, good_batches, 0)
    assert net.evaluate([None], (), range(8)) == [Evaluation(1.0, 0.5)]
