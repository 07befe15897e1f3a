"""A token: read from a file that nobody else may read, and never sent where others may listen.

A holder of the token is taken for its owner, so a client says it only over a connection of which it knows who is at the
other end and that nobody listens: TLS with a checked certificate (which this version does not speak yet), or a
Unix socket, whose file is the proof. Never to an address that only a node told of. Loopback is no exception: any
process of the machine may listen on a port there.

    dial("unix:/run/visord/visord.sock", token=T)      said
    dial("localhost:8046", token=T)                    ValueError, and nothing is sent
"""

from __future__ import annotations

from collections.abc import Iterable

from visor._core.address import Address

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
