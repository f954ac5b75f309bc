"""Evaluations of many sub-networks of a supernet."""

from utils.progress import progress_bar

AT_ONCE = 5  # sub-networks that are in memory together, and share a reading of the images


def evaluate(net, configurations, train, images):
    """Return the Evaluations of sub-networks on images, with a progress bar.

    net: a supernet; train: images that BatchNorm statistics are re-estimated on
    """
    evaluations = []
    with progress_bar(total=len(configurations), desc="sub-networks", leave=False) as bar:
        for start in range(0, len(configurations), AT_ONCE):
            some = configurations[start : start + AT_ONCE]
            evaluations += net.evaluate(some, train, images)
            bar.update(len(some))
    return evaluations


class RandomPart:
    """Some images of a dataset, drawn without repetition: itself a dataset, without classes."""

    def __init__(self, dataset, size, rng):
        self._dataset = dataset
        self._indices = rng.permutation(len(dataset))[:size]

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, key):
        epoch, index = key
        return self._dataset[epoch, int(self._indices[index])]

    def where(self, index):
        """Return where an image is, as text."""
        return self._dataset.where(int(self._indices[index]))

    def why_broken(self, index):
        """Return why an image cannot be read, as text."""
        return self._dataset.why_broken(int(self._indices[index]))
