"""What a user may change of itself without any right, when its password has just proven it.

    add_token       for itself, for at most `LONGEST`: what `visor login` does, so that no password is kept anywhere
    set_password    its own

A token is not enough for either: whoever got hold of one for hours could make itself one for ever.
"""

from __future__ import annotations

from typing import Any, Final

from visor.protocol.verbs import AUTH
from visord.state.auth.principal import PASSWORD, credential_of, user_of

LONGEST: Final = 7 * 86_400_000
"""ms that a token may last that a user makes for itself."""


def is_of_itself(author: str, frame: list[Any]) -> bool:
    """Tell whether a write is a change of the author itself that its password is enough for."""
    if frame[0] != AUTH or len(frame) < 5 or not credential_of(author).startswith(PASSWORD):
        return False
    action, arguments = frame[3], frame[4]
    if type(arguments) is not dict:
        return False
    if action == "set_password":
        return bool(arguments.get("name") == user_of(author))
    ttl = arguments.get("ttl")
    return bool(
        action == "add_token"
        and arguments.get("user") == user_of(author)
        and type(ttl) is int
        and 0 < ttl <= LONGEST
    )
