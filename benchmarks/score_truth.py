"""Which settings of the supernet make the additive score tell the truth?

    python -m benchmarks.accuracy                  the latency table, and random networks trained
    python -m benchmarks.score_truth               the whole benchmark, on two cores
    python -m benchmarks.score_truth --report      what is finished, as a table
    python -m benchmarks.score_truth --miniature   all steps on the digits, in minutes

The truth is the accuracy of random configurations trained from scratch, twice with different seeds:
those of benchmarks.accuracy, which meet its targets, and others drawn from the whole search space.
PyTorch supernets, of several seeds per variant, give their scores, over windows of several lengths.
Compared are the rank correlations of the scores with the truth, and those of the accuracies that
the networks have, as sub-networks of a supernet, on training images.

Killed and started again, it goes on. Writes score_truth.jsonl and score_truth.md into
benchmarks/results; with --miniature beside the jobs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.accuracy_jobs import SLOTS, parse_arguments
from benchmarks.retraining.jobs import run_all
from benchmarks.retraining.score_truth_jobs import VARIANTS, ScoreTruth
from benchmarks.retraining.score_truth_report import write_report
from utils.errors import exits_with_one_line


@exits_with_one_line
def main():
    args = parse_arguments(__doc__.partition("\n")[0])
    benchmark = ScoreTruth(args.settings, args.folder, count=4 if args.miniature else 14)
    if not args.report:
        run_all(benchmark.jobs(), benchmark.jobs_path, SLOTS)
    print(write_report(benchmark, list(VARIANTS), args.results_folder))


if __name__ == "__main__":
    main()
