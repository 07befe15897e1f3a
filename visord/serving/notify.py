"""Telling systemd that the node serves, that its loop turns, and that it stops: sd_notify, where there is a systemd.

    notifier = Notifier(os.environ, loop, lambda: "leads term 3, rev 42")
    notifier.ready()          # READY=1, then WATCHDOG=1 and STATUS= from a timer of the loop
    notifier.stopping()

The watchdog is fed by the loop itself, not from a thread: what it proves is that the loop turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from visor._core.harmless import harmless

STATUS_SECONDS: Final = 5.0
LINE: Final = 512
"""Characters of one assignment."""


class Notifier:
    """One service's side of sd_notify. Without NOTIFY_SOCKET in the environment it does nothing."""

    def __init__(
        self, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop, status: Callable[[], str]
    ) -> None:
        self._loop = loop
        self._status = status
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._every = min(STATUS_SECONDS, _watchdog(environ) / 2)
        self._timer: asyncio.TimerHandle | None = None

    def ready(self) -> None:
        """The node serves."""
        if self._address:
            self._send("READY=1")
            self._beat()

    def stopping(self) -> None:
        """The node stops."""
        if self._timer is not None:
            self._timer.cancel()
        if self._address:
            self._send("STOPPING=1")

    def _beat(self) -> None:
        self._timer = self._loop.call_later(self._every, self._beat)
        self._send("WATCHDOG=1", f"STATUS={self._status()}")

    def _send(self, *lines: str) -> None:
        # It is only news: a manager that is restarting just now misses it.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(map(_one_line, lines)).encode(), self._address)


def _one_line(assignment: str) -> str:
    """Each line assigns something to systemd: words of others in one must not begin another."""
    return harmless(assignment)[:LINE]


def _watchdog(environ: Mapping[str, str]) -> float:
    """Return the seconds within which systemd wants to hear of this process; infinite when it does not care."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return float("inf")
    try:
        return int(environ["WATCHDOG_USEC"]) / 1e6
    except (KeyError, ValueError):
        return float("inf")
