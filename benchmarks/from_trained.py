"""Does a supernet that starts at a trained network need a third of the epochs?

    python -m benchmarks.from_trained               the whole benchmark, on two cores
    python -m benchmarks.from_trained --report      what is finished, as a table
    python -m benchmarks.from_trained --miniature   all steps on the digits, in minutes

Of each seed the widest network is trained, then PyTorch supernets: from scratch, for all epochs and
for a third of them, and from the trained network (--init) for a third. The scores of each rank
random configurations; the truth is their cross entropy on 2,000 validation images, as sub-networks
of the supernet itself, or of all that were trained from scratch for all epochs, on average.

It resumes after a kill: from-trained.jsonl in the folder of benchmarks.accuracy lists the finished
jobs; those that benchmarks.accuracy has finished are used: the latency table, the widest networks
and the supernets from scratch. (Do not run both at once.) It writes from_trained.jsonl and
from_trained.md to benchmarks/results, with --miniature beside the jobs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.following import run_following
from benchmarks.retraining.from_trained_jobs import FromTrained
from benchmarks.retraining.from_trained_report import write_report
from utils.errors import exits_with_one_line


@exits_with_one_line
def main():
    run_following(__doc__, FromTrained, write_report)


if __name__ == "__main__":
    main()
