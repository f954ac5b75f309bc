"""What do widths that were searched for one device cost on another?

    python -m benchmarks.two_devices               the whole benchmark, on two cores
    python -m benchmarks.two_devices --report      what is finished, as tables
    python -m benchmarks.two_devices --miniature   all steps on the digits, in minutes

Two latency tables of this machine, of ONNX Runtime and of OpenVINO; the widths for each, at four
targets, from one supernet that started at the trained widest network; each answer trained from
scratch and measured on both. It measures first: let nothing else run until the two tables are made.

It resumes after a kill: two-devices.jsonl in the folder of benchmarks.accuracy lists the finished
jobs; those that benchmarks.accuracy has finished are used. It writes two_devices.jsonl and
two_devices.md to benchmarks/results, with --miniature beside the jobs.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

from benchmarks.retraining.following import run_following
from benchmarks.retraining.two_devices_jobs import TwoDevices
from benchmarks.retraining.two_devices_report import write_report
from utils.errors import exits_with_one_line


@exits_with_one_line
def main():
    run_following(__doc__, TwoDevices, write_report)


if __name__ == "__main__":
    main()
