"""A token: read from a file that nobody else may read, and never sent where others may listen; so is a password.

A holder of the token is taken for its owner, so a client says it only over a connection of which it knows who is at
the other end and that nobody listens: within TLS, to a node whose certificate was checked, over a Unix socket, whose
file is the proof, or without leaving this machine. To an address that only a node told of it is said when the same
authority, or the same name, vouches for that node, too: not when any authority of the system would do.

    dial("unix:/run/visord/visord.sock", token=T)               said
    dial("n1.example:8046", token=T, tls=TLS(ca="ca.pem"))      said
    dial("localhost:8046", token=T)                             said
    dial("n1.example:8046", token=T)                            ValueError, and nothing is sent
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from visor._core.address import Address

if TYPE_CHECKING:
    from visor._core.tls import TLS

LIMIT = 16 * 1024
"""Bytes of a token."""


class TokenError(ValueError):
    """A token that cannot be used, or not there; the text says what to do."""


def may_be_told(address: Address | None, *, guess: bool, tls: TLS | None) -> bool:
    """Whether a token may go to the address. `guess`: it was not given to the client but told by a node."""
    if address is None:
        return False
    if address.unix is None and tls is not None:
        return not guess or tls.is_private
    return not guess and (address.unix is not None or _stays_here(address.host))


def _stays_here(host: str) -> bool:
    """Whether a host is this machine, by its name or number: nobody is asked."""
    parts = host.split(".")
    number = len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)
    return host in ("localhost", "::1") or (number and parts[0] == "127")


def check(token: str | None, addresses: Iterable[Address], tls: TLS | None) -> str | None:
    """Return the token if there is one. Raises TokenError when it could not be said to one of the addresses."""
    for address in addresses if token else ():
        if not may_be_told(address, guess=False, tls=tls):
            raise TokenError(
                f"a token would go to {address} in the clear: dial with TLS (tls=visor.TLS(...), VISOR_CACERT, the "
                "context's cacert), or leave the token out (VISOR_TOKEN, VISOR_TOKEN_FILE, the context's token_file); "
                "nothing was sent"
            )
    return token or None


def check_password(password: str) -> None:
    """Raise TypeError or ValueError for what no password can be, without showing it as other errors would."""
    if not isinstance(password, str):
        raise TypeError("a password is text")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError("a password is text without halves of characters (surrogates)") from None
