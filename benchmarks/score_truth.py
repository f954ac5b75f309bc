"""Which settings of the supernet make the additive score tell the truth?

    python -m benchmarks.accuracy                  the latency table, and random networks trained
    python -m benchmarks.score_truth               the whole benchmark, on two cores
    python -m benchmarks.score_truth --report      what is finished, as a table
    python -m benchmarks.score_truth --miniature   all steps on the digits, in minutes

The truth is the accuracy of random configurations trained from scratch, twice with different seeds:
those of benchmarks.accuracy, which meet its targets, and others drawn from the whole search space.
PyTorch supernets, of several seeds per variant, give their scores, over windows of several lengths.
The scores' rank correlations with the truth are compared with each other, and with those of the
accuracies on training images that the networks have as sub-networks of a supernet.

It resumes after a kill. It writes score_truth.jsonl and score_truth.md to benchmarks/results, with
--miniature beside the jobs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.accuracy_settings import parse_arguments
from benchmarks.retraining.jobs import run_all
from benchmarks.retraining.score_truth_jobs import VARIANTS, ScoreTruth
from benchmarks.retraining.score_truth_report import write_report
from utils.errors import exits_with_one_line


@exits_with_one_line
def main():
    asked = parse_arguments(__doc__.partition("\n")[0])
    benchmark = ScoreTruth(asked.settings, asked.folder, count=4 if asked.is_miniature else 14)
    if not asked.only_reports:
        run_all(benchmark.jobs(), benchmark.jobs_path, asked.slots)
    print(write_report(benchmark, list(VARIANTS), asked.results_folder))


if __name__ == "__main__":
    main()
