"""Pictures of results: functions that take values and a path, and write a PNG."""

from utils.plotting.cross_validation import plot_cross_validation
from utils.plotting.latency import plot_correlation, plot_latency_table

__all__ = ["plot_correlation", "plot_cross_validation", "plot_latency_table"]
