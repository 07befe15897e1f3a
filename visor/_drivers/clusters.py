"""Two clusters given to a client as one: told once, in the log, soon after it has begun.

A client takes the cluster of the first node that answers, and is refused by nodes of any other from then on
(WrongCluster). Which of the two that is is chance, so two runs of a program may write to two registries. Every node
tells where the members of its cluster are; so an address that was given and is not told of is asked for its cluster,
once, from a thread: mostly it is another name of a member, or its learner.

Nothing happens where all addresses that were given are told of, as they are in a cluster that is set up well.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Final

from visor._core.address import Address
from visor._core.log import log
from visor._core.settings import Settings
from visor._drivers.sockets import open_socket
from visor.protocol import verbs
from visor.protocol.frames import Decoder, encode

WAIT_SECONDS: Final = 2.0
"""A program that lives so short, as a command does, asks nobody."""
ASK_SECONDS: Final = 3.0
WELCOME_BYTES: Final = 1 << 16
MOST: Final = 64
"""Addresses of which it is remembered that they were asked."""

_asked: set[tuple[str, Address]] = set()
_lock = threading.Lock()


class Asking:
    """A thread that asks some addresses for their cluster. It ends by itself within seconds, sooner with `end`."""

    def __init__(self, settings: Settings, cluster: str, unknown: list[Address], wait: float) -> None:
        self._settings = settings
        self._cluster = cluster
        self._unknown = unknown
        self._wait = wait
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visor clusters", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask nobody any more."""
        self._ended.set()

    def join(self, seconds: float) -> None:
        """Wait until it has asked, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        self._ended.wait(self._wait)
        for address in self._unknown:
            if self._ended.is_set():
                return
            other = cluster_at(address, self._settings)
            if other not in (None, self._cluster):
                log.warning(
                    "%s is of another cluster (%s) than this client's (%s), which stays with its own: each run of a "
                    "program may choose the other one; was --bootstrap given to more than one node?",
                    address, other, self._cluster,
                )  # fmt: skip


def look(
    settings: Settings, cluster: str | None, told: tuple[Address, ...], wait: float = WAIT_SECONDS
) -> Asking | None:
    """Ask who is at the addresses that were given and not told of, after `wait` seconds; None when there are none.

    `cluster` is the client's, `told` the addresses of its members.
    """
    if len(settings.addresses) < 2 or not settings.persistent or cluster is None or not told:
        return None
    unknown = [one for one in settings.addresses if one not in told and _first_time(cluster, one)]
    if not unknown:
        return None
    return Asking(settings, cluster, unknown, wait)


def _first_time(cluster: str, address: Address) -> bool:
    with _lock:
        if (cluster, address) in _asked or len(_asked) >= MOST:
            return False
        _asked.add((cluster, address))
        return True


def cluster_at(address: Address, settings: Settings, seconds: float = ASK_SECONDS) -> str | None:
    """Return the id of the cluster whose node answers at an address; None when no node does within `seconds`."""
    end = time.monotonic() + seconds
    hello = {
        "versions": [verbs.VERSION],
        "client": settings.name,
        "session": None,
        "actor": settings.actor,
        "token": None,
        "trace": None,
        "cluster": None,
        "min_rev": 0,
    }
    decoder = Decoder(WELCOME_BYTES)
    with (
        contextlib.suppress(OSError),
        open_socket(address, lambda: end - time.monotonic(), settings.tls) as sock,
    ):
        sock.sendall(encode((verbs.HELLO, 1, hello)))
        while (left := end - time.monotonic()) > 0 and decoder.violation is None:
            sock.settimeout(left)
            data = sock.recv(1 << 16)
            if not data:
                return None
            for message in decoder.feed(data):
                return _cluster_of(message)
    return None


def _cluster_of(message: object) -> str | None:
    if type(message) is list and len(message) > 2 and message[0] == verbs.OK and type(message[2]) is dict:
        cluster = message[2].get("cluster")
        return cluster if type(cluster) is str else None
    return None
