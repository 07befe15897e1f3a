"""The server's log lines: text on a terminal, one JSON object a line elsewhere. Never a value of a key.

What clients and peers say of themselves is made harmless (`visor._harmless`): no record can break its line.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime

from visor._harmless import json_text
from visor._log_lines import LogLines


class JsonLines(logging.Formatter):
    """`{"ts": ..., "level": ..., "logger": ..., "event": ...}` and the exception, when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json_text(line)


def set_up_logging(level: str, form: str) -> None:
    """Send this process's log records to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json" or (form == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(JsonLines())
    else:
        # systemd's journal writes its own time.
        stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handler.setFormatter(LogLines(stamp + "%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
