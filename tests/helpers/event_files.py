"""Reading TensorBoard's event files by tensorboardX's messages and checksums."""

import struct

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c


def events(folder):
    """Return the events of the one file of a folder, its checksums checked."""
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.")  # what TensorBoard looks for
    content, start, found = path.read_bytes(), 0, []
    while start < len(content):
        header = content[start : start + 8]
        (length,) = struct.unpack("<Q", header)
        assert content[start + 8 : start + 12] == struct.pack("<I", masked_crc32c(header))
        start += 12
        event = content[start : start + length]
        start += length
        assert content[start : start + 4] == struct.pack("<I", masked_crc32c(event))
        start += 4
        found.append(Event.FromString(event))
    return found


def scalars(folder):
    """Return {name: {step: number}} of the one event file of a folder."""
    curves = {}
    for event in events(folder):
        for value in event.summary.value:
            curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return curves
