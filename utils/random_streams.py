"""What sets streams of random numbers apart: default_rng((seed, one of these, …)).

Those of training are (seed, epoch, …): the order of images, the widths of a step, an image's
augmentation. Some coincide, which does no harm, as they are used for different things. NumPy takes
missing numbers for 0: so these begin where no epoch is.
"""

SCORE_CHECK, VERIFICATION, SUB_NETWORKS, NOISE, MIXUP = range(1_000_000, 1_000_005)
