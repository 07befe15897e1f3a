"""What members may be called, and where they may say that they are: the same for settings and for what others send.

Names and addresses reach terminals, logs, the service manager and every client, so nothing else than these forms ever
enters a configuration. Each function returns what is wrong, naming what was expected, or None.
"""

from __future__ import annotations

import re
from typing import Final

from visord import addresses

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
MAX_NAME: Final = 64
"""Characters of a name or an id."""
MAX_ADDRESS: Final = 300
"""Characters of HOST:PORT: what a handshake carries, and more than a host's name has."""

_NAME: Final = re.compile(NAME_PATTERN)
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")


def not_a_name(name: object) -> str | None:
    """Return why this is no name of a member."""
    if type(name) is str and len(name) <= MAX_NAME and _NAME.fullmatch(name):
        return None
    return (
        f"a name has 1 to {MAX_NAME} letters, digits, dots, underscores and dashes; first a letter or digit"
    )


def not_an_id(member: object) -> str | None:
    """Return why this is no id of a member."""
    if type(member) is str and len(member) <= MAX_NAME and _NAME.fullmatch(member):
        return None
    return f"an id has 1 to {MAX_NAME} letters, digits, dots, underscores and dashes"


def not_an_address(address: object) -> str | None:
    """Return why others could not dial this."""
    if type(address) is not str or len(address) > MAX_ADDRESS:
        return f"an address is HOST:PORT of at most {MAX_ADDRESS} characters"
    try:
        host, port = addresses.split(address)
    except ValueError:
        return "an address is HOST:PORT with a port from 1 to 65535"
    if not _HOST.fullmatch(host):
        return "a host has letters, digits, dots, colons, underscores and dashes only"
    if port == 0 or host in ("0.0.0.0", "::"):
        return "others must be able to dial it: a host and a port other than 0"
    return None
