"""A mean beside the values of the seeds that it is of."""

import numpy as np


def with_seeds(values, form):
    """Return the mean of values, and each of them in brackets, as text in a format."""
    return f"{np.mean(values):{form}} ({', '.join(format(value, form) for value in values)})"
