"""A disk in memory that records every write and flush: a plugin for nbdkit.

Records in the log, little-endian: kind (1 byte), offset or number (8), length (4), and for `W` so
many bytes. `W` is a write, `F` a flush; `T` and `A` are marks that the writer on the disk appends
itself: commit tried, commit acknowledged. Every record is one write to a file opened for appending,
so the order in the log is that of the events: a mark never comes before what it marks.
"""

import os
import struct

import nbdkit

API_VERSION = 2

size = 0
log = -1
disk = bytearray()


def config(key, value):
    global size, log
    if key == "log":
        log = os.open(value, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    elif key == "size":
        size = int(value)
    else:
        raise RuntimeError("unknown parameter " + key)


def get_ready():
    global disk
    disk = bytearray(size)


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):
    return 1


def get_size(handle):
    return size


def can_flush(handle):
    return True


def can_fua(handle):
    return nbdkit.FUA_EMULATE


def pread(handle, buf, offset, flags):
    buf[:] = disk[offset:offset + len(buf)]


def pwrite(handle, buf, offset, flags):
    disk[offset:offset + len(buf)] = buf
    os.write(log, struct.pack("<cQI", b"W", offset, len(buf)) + bytes(buf))


def flush(handle, flags):
    os.write(log, struct.pack("<cQI", b"F", 0, 0))
