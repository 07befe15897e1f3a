"""What can go wrong between members, as the node and the operator see it."""

from __future__ import annotations


class PeersStartError(Exception):
    """The network between members cannot be opened as it is set: bind, certificate, secret, insecure address.

    `passes`: for a reason that may pass, as a port in use does.
    """

    def __init__(self, text: str, *, passes: bool = False) -> None:
        super().__init__(text)
        self.passes = passes


class HandshakeError(Exception):
    """What the other side sent is no handshake of a member; the connection is closed."""


class PeerRefusedError(Exception):
    """One side does not want the other. It will not change by itself soon: retried slowly.

    `code`: `version`, `cluster`, `member`, `self`, `secret`, `certificate`, `not_admitted`, `removed`, `overloaded`,
    `format`, `hello`.
    `proven`: the refusal came from a node that holds the shared secret, so nobody else made it up.
    """

    def __init__(self, code: str, text: str, *, proven: bool = False) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.text = text
        self.proven = proven


class PeerUnavailableError(Exception):
    """No connection came about: the message was not sent."""


class AnswerLostError(Exception):
    """The message was sent and no answer came in time: it may have had its effect."""


def no_answer(seconds: float) -> str:
    """Say why nothing more is waited for."""
    return f"no answer within {seconds:g} s"
