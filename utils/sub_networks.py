"""The accuracies of many sub-networks of a supernet."""

from utils.progress import progress_bar

AT_ONCE = 5  # sub-networks that are in memory together, and share a reading of the images


def evaluate(net, configurations, train, images):
    """Return the accuracies of sub-networks on images, 0 to 1 each, with a progress bar.

    net: a supernet; train: images that BatchNorm statistics are re-estimated on
    """
    accuracies = []
    with progress_bar(total=len(configurations), desc="sub-networks", leave=False) as bar:
        for start in range(0, len(configurations), AT_ONCE):
            some = configurations[start : start + AT_ONCE]
            accuracies += net.accuracies(some, train, images)
            bar.update(len(some))
    return accuracies
