"""Who is there: the four frames that open a connection between members, without sockets.

    dialler                                          accepter
    HELLO      who I am, whom I expect, nonce  --->
                                               <---  CHALLENGE   who I am, nonce, whether a secret is needed
    PROOF      HMAC of both frames above       --->
                                               <---  WELCOME or REFUSED, with an HMAC of everything

Nobody gets a proof of the secret from an accepter without having given one. The proofs cover the two frames byte for
byte, so they are bound to both nonces, both ids, the cluster and the version; each has its own label, so none can be
sent back. The keys of the messages that follow come from the same bytes. `PEERS.md` has the layout.

Both classes take the content of each arriving frame and return the content of the frame to send.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from visor._version import __version__
from visord.peers.errors import HandshakeError, PeerRefusedError
from visord.state.formats import FORMAT, OLDEST
from visord.state.refusal import describe

MAGIC: Final = "visor-peer"
VERSION: Final = 1
NONCE: Final = 32
MEMBER: Final = "member"
ASK: Final = "ask"
CHALLENGE: Final = 1
PROOF: Final = 2
WELCOME: Final = 3
REFUSED: Final = 4
REMOVED: Final = "removed"
"""The code by which a member that comes back learns that it was removed meanwhile."""
TEXT_LIMIT: Final = 300
ELEMENTS: Final = 32
MOST_FORMATS: Final = 255

_PROOF_OF_DIALLER: Final = b"visor-peer 1 proof of dialler"
_PROOF_OF_ACCEPTER: Final = b"visor-peer 1 proof of accepter"
_KEY_TO_ACCEPTER: Final = b"visor-peer 1 key to accepter"
_KEY_TO_DIALLER: Final = b"visor-peer 1 key to dialler"


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a node says of itself."""

    member: str | None
    """Its id; None for a program that is no member (`ask` only)."""
    cluster: str | None
    """The cluster's id; None while it knows none."""
    address: str | None
    """Where others reach it, HOST:PORT."""
    reads: int = FORMAT
    """The newest format of commands that it reads; one that does not say reads the oldest."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a dialler said of itself. Proven by the secret, or by TLS as far as its certificate was accepted."""

    member: str | None
    cluster: str | None
    address: str | None
    release: str
    purpose: str
    """`member`: messages follow; `ask`: one message follows, and one answer."""
    reads: int = OLDEST
    """The newest format of commands that it reads."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of the messages that follow, one a direction."""

    to_accepter: bytes
    to_dialler: bytes


Admit = Callable[[str, Hello], "str | None"]
"""`admit(member, hello)`: None to let the member in, or the reason why not."""


class Dialler:
    """The side that opened the connection. `expect`: the member that should answer, None when nobody knows. `least`:
    the format of commands that it must read."""

    def __init__(
        self,
        me: Introduction,
        *,
        expect: str | None,
        purpose: str,
        secret: bytes | None,
        nonce: bytes,
        least: int = OLDEST,
    ) -> None:
        self._me = me
        self._least = least
        self._expect = expect
        self.expects = me.cluster, expect
        """Cluster and member that should answer; None: as far as nobody knows."""
        self._secret = secret
        self._transcript = b""
        self.accepter: Introduction | None = None
        """Who answered, from CHALLENGE on; proven once the handshake is done."""
        self.keys: Keys | None = None
        self.done = False
        self.hello = _pack(
            [
                MAGIC,
                VERSION,
                {
                    "member": me.member,
                    "cluster": me.cluster,
                    "address": me.address,
                    "expect": expect,
                    "purpose": purpose,
                    "release": __version__,
                    "reads": me.reads,
                    "nonce": nonce,
                },
            ]
        )

    def receive(self, data: bytes) -> bytes | None:
        """Take the next frame; return the answer, None when there is none. Raises when the handshake failed."""
        message = _unpack(data)
        if message[0] == REFUSED:
            raise self._refused(message)
        if self.accepter is None:
            return self._prove(message, data)
        self._welcomed(message)
        return None

    def _prove(self, message: list[Any], data: bytes) -> bytes:
        fields = message[1] if message[0] == CHALLENGE and len(message) > 1 else None
        if type(fields) is not dict:
            raise HandshakeError("the other side did not answer with a challenge")
        identity = Introduction(
            _text(fields, "member"), _text(fields, "cluster"), _text(fields, "address"), _reads(fields)
        )
        _nonce(fields)
        if self._expect is not None and identity.member != self._expect:
            raise PeerRefusedError(
                "member", f"member {describe(identity.member)} answered instead of {self._expect}"
            )
        if None not in (identity.cluster, self._me.cluster) and identity.cluster != self._me.cluster:
            raise _wrong_cluster(identity, self._me)
        if bool(fields.get("secret")) != (self._secret is not None):
            with_secret, without = (self._me, identity) if self._secret else (identity, self._me)
            raise _one_secret(with_secret.member, without.member)
        if identity.reads < self._least:
            raise PeerRefusedError("format", outdated(identity.member, identity.reads, self._least))
        self.accepter = identity
        self._transcript = _transcript(self.hello, data)
        return _pack([PROOF, _proof(self._secret, _PROOF_OF_DIALLER, self._transcript)])

    def _welcomed(self, message: list[Any]) -> None:
        if message[0] != WELCOME or self.done:
            raise HandshakeError("the other side did not end the handshake")
        if not self._proven(message, [WELCOME]):
            raise _other_secret(self._me.member, self.accepter.member if self.accepter else None)
        self.keys = _keys(self._secret, self._transcript)
        self.done = True

    def _refused(self, message: list[Any]) -> PeerRefusedError:
        code, text = [*message, None, None][1:3]
        if type(code) is not str or type(text) is not str:
            return PeerRefusedError("hello", "refused without a reason")
        shown = text[:TEXT_LIMIT] if text.isprintable() else describe(text)
        proven = self._secret is not None and self._proven(message, [REFUSED, code, text])
        return PeerRefusedError(code[:32] if code.isprintable() else "hello", shown, proven=proven)

    def _proven(self, message: list[Any], content: list[Any]) -> bool:
        if self._secret is None:
            return True
        given = message[len(content)] if len(message) > len(content) else None
        wanted = _proof(self._secret, _PROOF_OF_ACCEPTER, self._transcript + _pack(content))
        return type(given) is bytes and wanted is not None and hmac.compare_digest(given, wanted)


class Accepter:
    """The side that was dialled. `secrets`: any of them will do; none: no secret is needed.

    A handshake that fails raises; `farewell` is then what to send before closing.
    """

    def __init__(
        self,
        me: Introduction,
        *,
        secrets: tuple[bytes, ...],
        nonce: bytes,
        admit: Callable[[Hello], str | None],
    ) -> None:
        self._me = me
        self._secrets = secrets
        self._nonce = nonce
        self._admit = admit
        self._secret: bytes | None = None
        self._transcript = b""
        self.hello: Hello | None = None
        """Who dialled, from HELLO on; proven once the handshake is done."""
        self.keys: Keys | None = None
        self.farewell: bytes | None = None
        self.done = False

    def receive(self, data: bytes) -> bytes:
        """Take the next frame; return the answer. Raises when the handshake failed."""
        try:
            return self._challenge(data) if self.hello is None else self._judge(data)
        except PeerRefusedError as error:
            self.farewell = self._signed([REFUSED, error.code, error.text])
            raise

    def _challenge(self, data: bytes) -> bytes:
        fields = _hello_fields(_unpack_hello(data))
        hello = Hello(
            member=_text(fields, "member"),
            cluster=_text(fields, "cluster"),
            address=_text(fields, "address"),
            release=_text(fields, "release") or "",
            purpose=_text(fields, "purpose") or "",
            reads=_reads(fields),
        )
        self._fits(hello, _text(fields, "expect"))
        me = self._me
        challenge = _pack(
            [
                CHALLENGE,
                {
                    "member": me.member,
                    "cluster": me.cluster,
                    "address": me.address,
                    "secret": bool(self._secrets),
                    "reads": me.reads,
                    "nonce": self._nonce,
                },
            ]
        )
        self.hello = hello
        self._transcript = _transcript(data, challenge)
        return challenge

    def _fits(self, hello: Hello, expect: str | None) -> None:
        me = self._me
        if hello.purpose not in (MEMBER, ASK) or (hello.purpose == MEMBER and not hello.member):
            raise PeerRefusedError(
                "hello", f"HELLO of purpose {describe(hello.purpose)} without what it needs"
            )
        if None not in (hello.cluster, me.cluster) and hello.cluster != me.cluster:
            raise _wrong_cluster(hello, me)
        if expect is not None and expect != me.member:
            raise PeerRefusedError("member", f"member {me.member} was reached instead of {describe(expect)}")
        if hello.purpose == MEMBER and hello.member == me.member:
            raise PeerRefusedError("self", f"both sides say that they are member {me.member}")

    def _judge(self, data: bytes) -> bytes:
        assert self.hello is not None
        message = _unpack(data)
        if message[0] != PROOF or self.done:
            raise HandshakeError("no proof came after the challenge")
        if self._secrets:
            self._secret = self._matching(message[1] if len(message) > 1 else None)
        reason = self._admit(self.hello)  # may raise a refusal of its own
        if reason is not None:
            raise PeerRefusedError("not_admitted", reason)
        self.keys = _keys(self._secret, self._transcript)
        self.done = True
        return self._signed([WELCOME])

    def _matching(self, given: object) -> bytes:
        if given is None:
            raise _one_secret(self._me.member, self.hello.member if self.hello else None)
        for secret in self._secrets:
            wanted = _proof(secret, _PROOF_OF_DIALLER, self._transcript)
            if type(given) is bytes and wanted is not None and hmac.compare_digest(given, wanted):
                return secret
        raise _other_secret(self._me.member, self.hello.member if self.hello else None)

    def _signed(self, content: list[Any]) -> bytes:
        proof = _proof(self._secret, _PROOF_OF_ACCEPTER, self._transcript + _pack(content))
        return _pack([*content, proof])


def refusal(code: str, text: str) -> bytes:
    """Return the content of a frame that refuses a connection without a proof."""
    return _pack([REFUSED, code, text, None])


NO_HELLO: Final = "what came is no HELLO of a member"


def _unpack_hello(data: bytes) -> list[Any]:
    try:
        message = _decode(data)
    except ValueError as error:
        raise HandshakeError(NO_HELLO) from error
    if type(message) is not list or len(message) < 2 or message[0] != MAGIC:
        raise HandshakeError(NO_HELLO)
    return message


def _hello_fields(message: list[Any]) -> dict[str, Any]:
    if type(message[1]) is not int or message[1] != VERSION:
        raise PeerRefusedError(
            "version", f"version {VERSION} of the member protocol is spoken here, not {describe(message[1])}"
        )
    fields = message[2] if len(message) > 2 else None
    if type(fields) is not dict:
        raise PeerRefusedError("hello", "HELLO without its fields")
    _nonce(fields)
    return fields


def _nonce(fields: dict[str, Any]) -> None:
    nonce = fields.get("nonce")
    if type(nonce) is not bytes or len(nonce) != NONCE:
        raise PeerRefusedError("hello", f"nonce must be {NONCE} bytes")


def _reads(fields: dict[str, Any]) -> int:
    value = fields.get("reads", OLDEST)
    if type(value) is int and OLDEST <= value <= MOST_FORMATS:
        return value
    raise PeerRefusedError("hello", f"reads must be 1 to {MOST_FORMATS}, not {describe(value)}")


def outdated(member: str | None, reads: int, least: int) -> str:
    """Return why nobody here may speak with a member that runs an older version."""
    return (
        f"{_who(member)} runs an older version of visord, which reads commands up to format {reads}; this cluster's "
        f"have format {least}: install a later version there"
    )


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or (type(value) is str and 0 < len(value) <= TEXT_LIMIT and value.isprintable()):
        return value
    raise PeerRefusedError(
        "hello",
        f"{name} must be printable text of 1 to {TEXT_LIMIT} characters or nil, not {describe(value)}",
    )


# Both sides log these: they name the two, rather than speak of "you" and "me".


def _who(member: str | None) -> str:
    return "a program that is no member" if member is None else f"member {member:.64}"


def _wrong_cluster(one: Introduction | Hello, other: Introduction | Hello) -> PeerRefusedError:
    text = f"{_who(one.member)} is of cluster {one.cluster}, {_who(other.member)} of {other.cluster}"
    return PeerRefusedError("cluster", text)


def _one_secret(with_secret: str | None, without: str | None) -> PeerRefusedError:
    return PeerRefusedError("secret", f"{_who(with_secret)} has a shared secret, {_who(without)} has none")


def _other_secret(one: str | None, other: str | None) -> PeerRefusedError:
    return PeerRefusedError("secret", f"{_who(one)} and {_who(other)} have different shared secrets")


def _proof(secret: bytes | None, label: bytes, content: bytes) -> bytes | None:
    return None if secret is None else hmac.digest(secret, label + b"\0" + content, "sha256")


def _keys(secret: bytes | None, transcript: bytes) -> Keys | None:
    if secret is None:
        return None
    to_accepter = hmac.digest(secret, _KEY_TO_ACCEPTER + b"\0" + transcript, "sha256")
    return Keys(to_accepter, hmac.digest(secret, _KEY_TO_DIALLER + b"\0" + transcript, "sha256"))


def _transcript(hello: bytes, challenge: bytes) -> bytes:
    """Both frames with their lengths, so that no byte can move from one to the other."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (hello, challenge))


def _unpack(data: bytes) -> list[Any]:
    try:
        message = _decode(data)
    except ValueError as error:
        raise HandshakeError(f"no handshake of a member: {error!s:.100}") from error
    if type(message) is not list or not message or type(message[0]) is not int:
        raise HandshakeError("no handshake of a member: an array that starts with an integer was expected")
    return message


def _decode(data: bytes) -> Any:
    try:
        return msgpack.unpackb(
            data, raw=False, max_ext_len=0, max_array_len=ELEMENTS, max_map_len=ELEMENTS, strict_map_key=True
        )
    except Exception as error:  # the decoder raises many kinds; each means that this is no message
        raise ValueError(f"not msgpack: {type(error).__name__}") from error


def _pack(message: list[Any]) -> bytes:
    data: bytes = msgpack.packb(message, use_bin_type=True)
    return data
