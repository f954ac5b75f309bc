"""MXNet's own launcher of training on several machines, patched for current Python.

    python -m utils.mxnet_launch -n 2 -s 1 --launcher local \\
        python train_final.py --kv-store dist_sync …

Starts a scheduler, the servers (-s) and the workers (-n), all by the same command; their DMLC_*
variables tell them what they are. Options are those of MXNet's tools/launch.py: --launcher local is
for one machine, --launcher ssh -H FILE for those listed in a file, one per line.
As soon as one process fails, all are ended.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from utils.startup import prepare

    prepare()

import functools
import importlib.util
import os
import runpy
import shlex
import signal
import sys
import threading
from pathlib import Path

from utils.startup import INTERRUPTED

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 20_000, 30_000  # below those that systems give to clients
FAILED = 2  # exit status


def main():
    """Run MXNet's launcher with this process's arguments."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # what is started belongs to this group, and can be ended with it
    signal.signal(signal.SIGTERM, lambda *_: os._exit(FAILED))
    signal.signal(signal.SIGINT, lambda *_: end_all("interrupted", INTERRUPTED))
    signal.signal = lambda *_: None  # its own handler of interrupts would end with status 0
    # Its message is the whole environment; the process itself has said what is wrong.
    message = "error: a process of the training failed; all were ended"
    threading.excepthook = lambda _: end_all(message, FAILED)
    threading.Thread.isAlive = threading.Thread.is_alive  # the name until Python 3.8
    sys.argv[1:] = map(shlex.quote, sys.argv[1:])  # it joins them to a line for a shell
    mxnet = importlib.util.find_spec("mxnet")
    if mxnet is None:
        sys.exit("error: this needs MXNet, which requirements.txt installs")
    if "local" in sys.argv:
        from dmlc_tracker import tracker

        tracker.get_host_ip = lambda *_: LOOPBACK
        os.environ.setdefault("DMLC_NODE_HOST", LOOPBACK)
        # It looks for a free port from there on; two launchers must not look at the same time.
        port = FIRST_PORT + os.getpid() % (LAST_PORT - FIRST_PORT)
        tracker.PSTracker = functools.partial(tracker.PSTracker, port=port, port_end=2**16)
    # Found, not imported: importing MXNet with DMLC_ROLE set would start a server.
    package = Path(mxnet.origin).parent
    runpy.run_path(str(package / "tools" / "launch.py"), run_name="__main__")


def end_all(message, status):
    """End this process and all that it started."""
    os.write(2, f"{message}\n".encode())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    os.killpg(os.getpgrp(), signal.SIGTERM)
    os._exit(status)


if __name__ == "__main__":
    main()
