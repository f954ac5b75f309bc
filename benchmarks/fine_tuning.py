"""Is a network that starts from the supernet trained in a fifth of the epochs?

    python -m benchmarks.fine_tuning               the whole benchmark, on two cores
    python -m benchmarks.fine_tuning --report      what is finished, as tables
    python -m benchmarks.fine_tuning --miniature   all steps on the digits, in minutes

The answers of benchmarks.accuracy's supernets that started at a trained network, at each target, by
three seeds: trained from scratch, and from the supernet's weights (--from-supernet) for as many
epochs and for a fifth of them, there also with the supernet as teacher. Beside them the widest
network from scratch, for as many epochs as their weights have been trained for in all.

It resumes after a kill: fine-tuning.jsonl in the folder of benchmarks.accuracy lists the finished
jobs; those that benchmarks.accuracy has finished are used. It writes fine_tuning.jsonl and
fine_tuning.md to benchmarks/results, with --miniature beside the jobs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.fine_tuning_jobs import FineTuning
from benchmarks.retraining.fine_tuning_report import write_report
from benchmarks.retraining.following import run_following
from utils.errors import exits_with_one_line


@exits_with_one_line
def main():
    run_following(__doc__, FineTuning, write_report)


if __name__ == "__main__":
    main()
