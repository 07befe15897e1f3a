"""HELLO: what a client says of itself, checked field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.state.refusal import POSITIVE, Refusal, describe, text_of

SESSION_BYTES = 16
TEXT_LIMIT = 256
TOKEN_LIMIT = 256
"""Characters of what a client says as its token."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A client's HELLO after checking."""

    client: str
    """Name and version of the client's software."""
    session: bytes | None
    """Identity for exactly-once writes, 16 bytes; None: a retry may execute twice."""
    actor: str
    """Who is named in the history of what this client writes."""
    min_rev: int
    """The highest rev that the client has seen: it is answered no read below it."""
    token: str | None = field(default=None, repr=False)
    """What is to prove who it is."""


def read_hello(message: Message, cluster: str) -> Greeting | Refusal:
    """Check a HELLO against this node; `cluster` is the node's own cluster id."""
    hello = message[2] if len(message) > 2 else None
    if len(message) < 2 or type(message[1]) is not int or message[1] <= 0:
        return _bad("id", POSITIVE, message[1] if len(message) > 1 else None)
    if type(hello) is not dict:
        return _bad("hello", "a map", hello)
    versions = hello.get("versions")
    if type(versions) is not list or not any(type(v) is int and v == verbs.VERSION for v in versions):
        return Refusal(
            "unsupported",
            f"this server speaks protocol version {verbs.VERSION}, the client {_versions(versions)}",
            {"supported": [verbs.VERSION]},
        )
    wanted = hello.get("cluster")
    if wanted is not None and wanted != cluster:
        return Refusal(
            "wrong_cluster",
            f"the client belongs to cluster {describe(wanted)}, this node to {cluster}",
            {"expected": cluster, "actual": wanted if type(wanted) is str and len(wanted) <= 64 else None},
        )
    return _fields(hello)


def _fields(hello: dict[str, Any]) -> Greeting | Refusal:
    token = hello.get("token")
    if token is not None and (type(token) is not str or len(token) > TOKEN_LIMIT):
        return _bad("token", f"a token of at most {TOKEN_LIMIT} characters, or nil", "something else")
    client = hello.get("client", "")
    actor = hello.get("actor", "")
    session = hello.get("session")
    min_rev = hello.get("min_rev", 0)
    for name, text in (("client", client), ("actor", actor)):
        if type(text) is not str or len(text) > TEXT_LIMIT:
            return _bad(name, text_of(TEXT_LIMIT), text)
    if session is not None and (type(session) is not bytes or len(session) != SESSION_BYTES):
        return _bad("session", f"{SESSION_BYTES} bytes or nil", session)
    if type(min_rev) is not int or min_rev < 0:
        return _bad("min_rev", "an integer from 0", min_rev)
    return Greeting(client=client, session=session, actor=actor, min_rev=min_rev, token=token)


def _versions(versions: object) -> str:
    if type(versions) is not list or len(versions) > 8:
        return describe(versions)
    return ", ".join(map(describe, versions)) or "none"


def _bad(field: str, expected: str, actual: object) -> Refusal:
    return Refusal(
        "bad_request",
        f"HELLO: {field} must be {expected}, not {describe(actual)}",
        {"field": field, "expected": expected},
    )
