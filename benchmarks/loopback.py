"""A host that is this machine: an sshd of its own on the loopback address, and a bare Python."""

import contextlib
import getpass
import importlib.metadata
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from utils.devices.remote_pipe import Host

SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""
STARTED_WITHIN_S = 20


class NoSshdError(Exception):
    """There is no sshd here, or it does not start."""


def bare_python(folder, packages=("onnxruntime", "numpy")):
    """Return the path of a Python of this version that has these packages and nothing else.

    packages: as installed here; they are linked, not copied
    """
    folder = Path(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in packages:
        distribution = importlib.metadata.distribution(package)
        for name in {file.parts[0] for file in distribution.files} - {".."}:
            link, there = site / name, Path(distribution.locate_file(name))
            if not link.exists():
                link.symlink_to(there)
    return folder / "bin" / "python"


@contextlib.contextmanager
def loopback(python):
    """Yield a Host that is this machine, through an sshd that runs in the block.

    python: the path of the Python there. Raises NoSshdError that says what is missing.
    """
    programs = {name: _found(name) for name in ("sshd", "ssh", "ssh-keygen")}
    with tempfile.TemporaryDirectory() as folder, socket.socket() as reserved:
        for name in ("host_key", "key"):
            keygen = [programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f"]
            subprocess.run([*keygen, f"{folder}/{name}"], check=True)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        reserved.close()
        config = Path(folder, "sshd_config")
        config.write_text(SSHD_CONFIG.format(port=port, folder=folder))
        if getpass.getuser() == "root":
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd gives up its privileges
        command = [programs["sshd"], "-D", "-e", "-f", str(config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as sshd:
            try:
                _wait_for(port, sshd)
                options = f"-F none -p {port} -i {folder}/key -o IdentitiesOnly=yes"
                unasked = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known"
                shell = f"{programs['ssh']} {options} {unasked} -o LogLevel=ERROR"
                yield Host(f"{getpass.getuser()}@127.0.0.1", shell, str(python))
            finally:
                sshd.terminate()


def _found(name):
    path = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/bin")
    if path is None:
        raise NoSshdError(f"there is no {name} here (openssh-server)")
    return path


def _wait_for(port, sshd):
    deadline = time.monotonic() + STARTED_WITHIN_S
    while sshd.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sshd.terminate()
    reason = sshd.stderr.read().decode(errors="replace").strip()
    raise NoSshdError(f"sshd does not start: {reason or 'it does not listen'}")
