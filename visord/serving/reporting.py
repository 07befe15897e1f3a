"""What conversations tell the audit: who got in, who did not, and who asked for what he may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.audit import recorded
from visord.audit.applied import who
from visord.audit.auditor import Silent
from visord.state.auth.principal import ANONYMOUS, user_of
from visord.state.refusal import Refusal

_NAMES: Final = {
    number: name
    for name, number in vars(verbs).items()
    if name.isupper() and "_" not in name and type(number) is int and number < verbs.OK
}
"""verb -> its name."""


class Reporting:
    """`audit()` returns what keeps the audit of this node: it may begin to later."""

    def __init__(self, audit: Callable[[], Silent]) -> None:
        self._audit = audit

    def denied(
        self,
        message: Message,
        refusal: Refusal,
        principal: str,
        address: str,
        event: str = recorded.DENIED,
    ) -> None:
        """Somebody asked for what he may not; that it was not judged, or cannot be read, is no denial."""
        if refusal.code != "denied":
            return
        inner = message[2] if message[0] == verbs.RETRY and type(message[2]) is list else message
        missing = refusal.details.get("missing")
        self._audit().record(
            event,
            **{"address": address, **who(principal)},
            verb=_NAMES.get(message[0], str(message[0])),
            path=""
            if message[0] == verbs.PASSWORD  # what begins with a slash there is no path
            else next((field for field in inner[2:5] if type(field) is str and field[:1] == "/"), ""),
            request=str(message[1]),
            reason=f"needs {missing}" if missing else refusal.text,
        )

    def came(self, principal: str, address: str) -> None:
        """Somebody has said HELLO. Who proves nothing is not written down."""
        if user_of(principal) != ANONYMOUS:
            self._audit().record(recorded.LOGIN, **{"address": address, **who(principal)})

    def turned_away(self, refusal: Refusal, address: str) -> None:
        """Somebody could not prove who he is."""
        self._audit().record(recorded.LOGIN_FAILED, kind=refusal.code, address=address, reason=refusal.text)
