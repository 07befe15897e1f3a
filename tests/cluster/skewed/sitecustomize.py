"""Run by a member's interpreter at its start: its wall clock is that of the machine plus what a file says, at any time.

The file (`CLUSTER_CLOCK_FILE`) holds one signed number of nanoseconds in 8 bytes, little end first. Only log lines keep
the machine's time, so that those of several members can be read side by side.
"""

import logging
import mmap
import os
import time

_path = os.environ.get("CLUSTER_CLOCK_FILE")
if _path:
    with open(_path, "rb") as _file:
        _offset = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
    _time_ns = time.time_ns

    def _skewed_ns() -> int:
        return _time_ns() + int.from_bytes(_offset[0:8], "little", signed=True)

    def _skewed() -> float:
        return _skewed_ns() / 1e9

    def _record(*arguments: object, **named: object) -> logging.LogRecord:
        record = logging.LogRecord(*arguments, **named)  # type: ignore[arg-type]
        now = _time_ns()
        record.created = now / 1e9
        record.msecs = now // 1_000_000 % 1000
        return record

    logging.setLogRecordFactory(_record)
    time.time_ns = _skewed_ns
    time.time = _skewed
