"""Options of a client's socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from visor._core.address import Address

if TYPE_CHECKING:
    from visor._core.tls import TLS

IDLE_SECONDS = 15
INTERVAL_SECONDS = 5
PROBES = 3


def keep_alive(sock: socket.socket) -> None:
    """Send small messages at once, and let the system notice a peer that is gone while nobody waits."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # options are a help, not a condition
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", IDLE_SECONDS),
            ("TCP_KEEPINTVL", INTERVAL_SECONDS),
            ("TCP_KEEPCNT", PROBES),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def open_socket(address: Address, left: Callable[[], float], tls: TLS | None = None) -> socket.socket:
    """Connect to the address within `left()` seconds, with `tls` within TLS, but to a Unix socket.

    Its name is resolved now. OSError when it fails.
    """
    if address.unix is not None:
        return _connected(socket.AF_UNIX, address.unix, left())
    plain = _open_tcp(address, left)
    if tls is None:
        return plain
    from visor._drivers.tls_socket import secure  # it loads `ssl`, which takes longer than all else here

    return secure(plain, tls, address, left)


def _open_tcp(address: Address, left: Callable[[], float]) -> socket.socket:
    failure: OSError = OSError(f"{address} has no addresses")
    found = _resolve(address, left)
    for number, (family, where) in enumerate(found):
        # One that swallows packets must not use up the time of the others.
        share = left() / (len(found) - number)
        try:
            return _connected(family, where, share)
        except OSError as error:
            failure = error
    raise failure


def _connected(family: int, where: Any, seconds: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(max(0.001, seconds))
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(address: Address, left: Callable[[], float]) -> list[tuple[int, Any]]:
    """Return the families and socket addresses of a host. A lookup knows no deadline: it runs aside."""
    if is_number(address.host):
        return _look_up(address)
    import queue  # seldom needed, and not cheap

    answer: queue.SimpleQueue[list[tuple[int, Any]] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(_look_up(address))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=look_up, name="visor name lookup", daemon=True).start()
    try:
        found = answer.get(timeout=max(0.001, left()))
    except queue.Empty:
        raise TimeoutError(f"the name {address.host} was not resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def _look_up(address: Address) -> list[tuple[int, Any]]:
    # A text would be looked at by the codec for international names, which takes long to load.
    host: str | bytes = address.host.encode("ascii") if address.host.isascii() else address.host
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that no name can have
        raise OSError(f"{address.host!r} cannot be resolved: {error}") from None
    return [(family, where) for family, _, _, _, where in found]


def is_number(host: str) -> bool:
    """Whether the host is an IP address, which needs no lookup."""
    for family, text in ((socket.AF_INET, host), (socket.AF_INET6, host.partition("%")[0])):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


# -- memory: receiving without a page fault for every message -------------------------------------------
#
# glibc takes a block above its mmap threshold (128 KiB at first) from the system and gives it back when
# freed; asyncio allocates 256 KiB for every arrival, so each message costs three system calls and the page
# faults. Once a large mapped block has been freed, glibc raises the threshold above its size for good.

_raised = False


def raise_mmap_threshold() -> None:
    """Allocate and free 8 MiB once a process: that takes microseconds, and nothing stays."""
    global _raised  # noqa: PLW0603  # the allocator is one per process, and so is this
    if not _raised:
        _raised = True
        block = bytes(8 << 20)  # nothing writes the zeros: the pages are never touched
        del block
