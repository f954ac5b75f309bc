"""Event files that TensorBoard shows, written without TensorFlow or PyTorch.

    tensorboard --logdir DIR

An event file is a chain of records: length (8 bytes), checksum of the length, an Event message in
Protocol Buffers' encoding, checksum of the message.
Source: TensorFlow's record_writer.h (the checksums), event.proto and summary.proto (the messages).
"""

import functools
import os
import socket
import struct
import time
from pathlib import Path

import numpy as np

BYTES, DOUBLE, FLOAT, VARINT = 2, 1, 5, 0  # wire types
WALL_TIME, STEP, FILE_VERSION, SUMMARY, SESSION_LOG = 1, 2, 3, 5, 7  # fields of Event
SESSION_START = 1


class ScalarLog:
    """Curves of numbers over epochs, in a new event file of a folder; none without a folder."""

    def __init__(self, folder, done=0):
        """
        folder: None to write nothing
        done:   epochs done; TensorBoard forgets what an earlier run wrote about later ones
        """
        self._file = None
        if folder is None:
            return
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(folder / name, "ab", buffering=0)  # noqa: SIM115 (closed in __exit__)
        self._write(0, _field(FILE_VERSION, b"brain.Event:2"))
        self._write(done + 1, _field(SESSION_LOG, _number(1, SESSION_START)))

    def scalars(self, epoch, values):
        """Add a point to each curve, {name: number}; a slash in a name makes a group."""
        summary = b"".join(
            _field(1, _field(1, name.encode()) + _tag(2, FLOAT) + np.float32(value).tobytes())
            for name, value in values.items()
        )
        self._write(epoch, _field(SUMMARY, summary))

    def _write(self, step, content):
        if not self._file:
            return
        wall_time = _tag(WALL_TIME, DOUBLE) + struct.pack("<d", time.time())
        event = wall_time + _number(STEP, step) + content
        length = struct.pack("<Q", len(event))
        try:
            self._file.write(length + _checksum(length) + event + _checksum(event))
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.name) from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._file:
            self._file.close()


def _tag(field, wire_type):
    return bytes([field << 3 | wire_type])


def _field(field, content):
    return _tag(field, BYTES) + _varint(len(content)) + content


def _number(field, value):
    return _tag(field, VARINT) + _varint(value)


def _varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _checksum(data):
    """Return the masked CRC-32C of data, 4 bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _crc_table()[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.cache
def _crc_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)  # noqa: PLW2901
        table.append(number)
    return table
