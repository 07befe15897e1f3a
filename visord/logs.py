"""The server's log: events with fields. Text on a terminal, one JSON object a line elsewhere. Never a value of a key.

    logger.info("term %d: %s leads", term, named, extra=about(term=term, leader=name, leader_id=member))

    2026-11-29 02:40:00,123 INFO visord.node: term 5: n2 (0534c1a96e01d2f7) leads
    {"ts": "...", "level": "info", "logger": "visord.node", "event": "term 5: n2 (...) leads",
     "node": "n1", "member": "n2", ...}

**The words are for people and may change; the keys are for programs and stay.** Each line in JSON also says whose it is
and where that node stands (`KEYS`), as far as it is known yet. **Levels**: info is normal work, also a change of the
members or of the leader; warning is trouble that somebody should look at (a member away, no majority, an alarm, a
process that stood still), error what failed for good or is tried again; critical ends the node.

What clients and peers say of themselves is made harmless (`visor._core.harmless`): no record can break its line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from visor._core.harmless import json_text
from visor._core.log_lines import LogLines

FIELDS: Final = "fields"
"""The attribute of a log record that holds what `about` gave."""
KEYS: Final = {
    "node": "this node's name",
    "node_id": "its id",
    "term": "its term; in a line about an election: of that",
    "rev": "the latest rev that it has",
    "member": "the name of the member that the line is about",
    "member_id": "its id",
    "leader": "the name of the leader that the line is about",
    "leader_id": "its id",
    "address": "HOST:PORT that the line is about",
    "alarm": "the word that an alarm begins with",
    "seconds": "how long it has lasted, or took",
    "bytes": "how many were written, read or are free",
    "of_bytes": "of how many",
    "percent": "how much of it is done",
    "index": "an entry of the log",
    "voters": "members that vote",
    "reachable": "of those, this node included, how many can be reached",
    "needed": "how many it takes",
    "cluster": "a cluster's id",
    "version": "of visord",
    "pid": "the process's number",
    "code": "the word for why something was refused, as in the protocol",
}
"""What may stand in a line in JSON besides `ts`, `level`, `logger`, `event` and `exception`. A contract: keys are
added, never changed."""
Fields: TypeAlias = Mapping[str, Any]


def about(**fields: Any) -> dict[str, Any]:
    """Return what to give a logging call as `extra`, so that a line in JSON has these keys (see `KEYS`)."""
    return {FIELDS: fields}


class JsonLines(logging.Formatter):
    """`{"ts": ..., "level": ..., "logger": ..., "event": ...}`, the keys of `whose` and of the line, the exception."""

    def __init__(self, whose: Callable[[], Fields] = dict) -> None:
        super().__init__()
        self._whose = whose

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._whose(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json_text(line, default=str)


class Whose:
    """Whose lines these are, and where that node stands: the node's name at first, more once there is a node."""

    def __init__(self, **known: Any) -> None:
        self._ask: Callable[[], Fields] = lambda: known

    def use(self, ask: Callable[[], Fields]) -> None:
        """Ask this from now on. It is called for each line, from any thread."""
        self._ask = ask

    def __call__(self) -> Fields:
        """Return the fields of a line that is written now."""
        return self._ask()


def set_up_logging(level: str, form: str, whose: Callable[[], Fields] = dict) -> None:
    """Send this process's log records to standard error; `whose` gives what each line in JSON says of this node."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json" or (form == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(JsonLines(whose))
    else:
        # systemd's journal writes its own time.
        stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handler.setFormatter(LogLines(stamp + "%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
