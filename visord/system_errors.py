"""What an error of the operating system means for a node that starts: will it be there again the next time?"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

_STAYS: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EAFNOSUPPORT,
        errno.EOPNOTSUPP,
        errno.ENODEV,
        errno.ENXIO,
    }
)
"""Errors of the system that say that a setting or a permission is wrong. An address that no interface has
(EADDRNOTAVAIL) is none of them: the interface may come up a moment later, or take the address over from elsewhere."""
_NO_SUCH_HOST: Final = frozenset(
    {socket.EAI_NONAME, socket.EAI_FAMILY, socket.EAI_SERVICE, socket.EAI_ADDRFAMILY}
)
"""A name server that does not answer may answer later (EAI_AGAIN); one that knows no such name will not."""


def stays(error: OSError | ValueError) -> bool:
    """Tell whether an error of the system is there again at the next start, unless somebody mends something.

    A ValueError is a host that is no name.
    """
    if isinstance(error, ValueError):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno in _NO_SUCH_HOST
    return error.errno in _STAYS


def listening_fault(error: OSError | ValueError) -> str:
    """Return what keeps this process from listening somewhere, and what to look at."""
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}: no address is known here for that host"
    what = {
        errno.EADDRINUSE: "is another server running?",
        errno.EADDRNOTAVAIL: "no network interface of this machine has that address now",
        errno.EACCES: "this user may not use that port (those below 1024 are root's)",
    }.get(error.errno or 0)
    said = (
        os.strerror(error.errno) if error.errno else str(error)
    )  # Python adds to it what the address tells already
    return f"{said}; {what}" if what else said


def cannot_listen(where: object, why: object) -> str:
    """Say that clients cannot come in there."""
    return f"cannot listen on {where}: {why}"
