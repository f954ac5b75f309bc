"""What sets streams of random numbers apart: default_rng((seed, one of these, …)).

Those of training are (seed, epoch, …), of an epoch's order, of the widths of each step and of the
augmentation of each image: equal numbers draw from equal streams, which nothing compares. NumPy
takes missing numbers for 0: so these begin where no epoch is.
"""

SCORE_CHECK, VERIFICATION, SUB_NETWORKS, NOISE, MIXUP = range(1_000_000, 1_000_005)
