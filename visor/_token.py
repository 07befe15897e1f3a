"""A token: read from a file that nobody else may read, and never said where somebody may listen.

Whoever has the token is taken for its owner, so a client says it only over a connection of which it knows who is at the
other end and that nobody listens: TLS with a checked certificate (which this version does not speak yet), or a
Unix socket, whose file is the proof. Never to an address that only a node told of. Loopback is no exception: any
process of the machine may listen on a port there.

    dial("unix:/run/visord/visord.sock", token=T)      said
    dial("localhost:8046", token=T)                    ValueError, and nothing is sent
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from visor._address import Address

LIMIT = 16 * 1024
"""Bytes of a token."""


class TokenError(ValueError):
    """A token that cannot be used, or not there; the text says what to do."""


def may_be_told(address: Address | None, *, guess: bool) -> bool:
    """Whether a token may go to the address. `guess`: it was not given to the client but told by a node."""
    return address is not None and address.unix is not None and not guess


def check(token: str | None, addresses: Iterable[Address]) -> str | None:
    """Return the token if there is one. Raises TokenError when it could not be said to one of the addresses."""
    for address in addresses if token else ():
        if not may_be_told(address, guess=False):
            raise TokenError(
                f"a token would go to {address} in the clear; this version says one over a Unix socket only "
                "(unix:/path): leave it out (VISOR_TOKEN, VISOR_TOKEN_FILE, the context's token_file); nothing was sent"
            )
    return token or None


def read(file: str) -> str:
    """Return the token in a file, without white space around it.

    TokenError when that is no plain file of this user, when others may use it (any mode but 0600 or 0400), when it is
    empty, over 16 KiB or not text; OSError when it cannot be opened.
    """
    from pathlib import Path  # costs more than all of the rest here, and tokens are rare

    descriptor = os.open(Path(file).expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_private(file, os.fstat(descriptor))
        data = os.read(descriptor, LIMIT + 1)
    finally:
        os.close(descriptor)
    try:
        token = data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise TokenError(f"the token file {file} is not text") from None
    if not token or len(data) > LIMIT:
        raise TokenError(f"the token file {file} is {'over 16 KiB' if token else 'empty'}")
    return token


def _check_private(file: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TokenError(f"the token file {file} is not a plain file")
    if os.name != "posix":
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o177:
        raise TokenError(
            f"the token file {file} has mode {mode:04o}, so others may use the token; "
            f"make it 0600: chmod 600 {file}"
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise TokenError(f"the token file {file} belongs to user {status.st_uid}, not to you")
