"""What sets streams of random numbers apart: default_rng((seed, one of these, …)).

Those of training are (seed, epoch, …), and NumPy takes missing numbers for 0: so these begin where
no epoch is.
"""

SCORE_CHECK, VERIFICATION, SUB_NETWORKS, NOISE, MIXUP = range(1_000_000, 1_000_005)
