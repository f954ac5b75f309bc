"""Pictures of results: functions that take values and a path, and write a PNG."""

from utils.plotting.latency import plot_correlation, plot_latency_table

__all__ = ["plot_correlation", "plot_latency_table"]
