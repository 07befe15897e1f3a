"""The handshake without sockets: who is let in, what is bound to what, and what each side says when it fails."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from visord.peers.errors import HandshakeError, PeerRefusedError
from visord.peers.handshake import ASK, MEMBER, Accepter, Dialler, Hello, Introduction

SECRET = b"s" * 32
A = Introduction("a", "c1", "10.0.0.1:8047")
B = Introduction("b", "c1", "10.0.0.2:8047")


def dialler(me: Introduction = A, *, expect: str | None = "b", purpose: str = MEMBER, secret: bytes | None = SECRET,
            nonce: bytes = b"1" * 32) -> Dialler:  # fmt: skip
    return Dialler(me, expect=expect, purpose=purpose, secret=secret, nonce=nonce)


def accepter(me: Introduction = B, *, secrets: tuple[bytes, ...] = (SECRET,), nonce: bytes = b"2" * 32,
             admit: Any = lambda hello: None) -> Accepter:  # fmt: skip
    return Accepter(me, secrets=secrets, nonce=nonce, admit=admit)


def shake(one: Dialler, other: Accepter) -> None:
    """Carry the frames. Raises what the dialler raises; the accepter's farewell is handed over."""
    data: bytes | None = one.hello
    while data is not None and not one.done:
        try:
            answer = other.receive(data)
        except PeerRefusedError:
            assert other.farewell is not None
            answer = other.farewell
        data = one.receive(answer)


def refused(one: Dialler, other: Accepter) -> PeerRefusedError:
    with pytest.raises(PeerRefusedError) as caught:
        shake(one, other)
    assert not one.done and one.keys is None
    return caught.value


@pytest.mark.parametrize("secrets", [(), (SECRET,), (b"o" * 32, SECRET)], ids=["none", "one", "second"])
@pytest.mark.parametrize("purpose", [MEMBER, ASK])
@pytest.mark.parametrize("cluster", ["c1", None], ids=["cluster", "no cluster"])
@pytest.mark.parametrize("expect", ["b", None], ids=["expected", "anybody"])
def test_who_belongs_together_is_let_in(
    secrets: tuple[bytes, ...], purpose: str, cluster: str | None, expect: str | None
) -> None:
    seen: list[Hello] = []
    one = dialler(
        Introduction("a", cluster, "10.0.0.1:8047"),
        secret=SECRET if secrets else None,
        purpose=purpose,
        expect=expect,
    )
    other = accepter(secrets=secrets, admit=seen.append)
    shake(one, other)
    assert one.done and other.done
    assert one.accepter == B
    assert other.hello is not None
    assert (other.hello.member, other.hello.cluster, other.hello.purpose) == ("a", cluster, purpose)
    assert other.hello.address == "10.0.0.1:8047"
    assert seen == [other.hello]
    assert one.keys == other.keys
    assert (one.keys is None) == (not secrets)
    if one.keys is not None:
        assert one.keys.to_accepter != one.keys.to_dialler


def test_a_program_that_is_no_member_may_ask() -> None:
    one, other = dialler(Introduction(None, None, None), purpose=ASK, expect=None), accepter()
    shake(one, other)
    assert other.done and other.hello is not None and other.hello.member is None


@pytest.mark.parametrize(
    ("one", "other", "code", "says"),
    [
        (dialler(Introduction("a", "c2", None)), accepter(), "cluster", "member a is of cluster c2, member b of c1"),
        (dialler(expect="z"), accepter(), "member", "member b was reached instead of 'z'"),
        (dialler(Introduction("b", "c1", None)), accepter(), "self", "both sides say that they are member b"),
        (dialler(secret=b"t" * 32), accepter(), "secret", "member b and member a have different shared secrets"),
        (dialler(secret=None), accepter(), "secret", "member b has a shared secret, member a has none"),
        (dialler(), accepter(secrets=()), "secret", "member a has a shared secret, member b has none"),
        (dialler(Introduction(None, "c1", None)), accepter(), "hello", "purpose 'member'"),
        (dialler(purpose="chat"), accepter(), "hello", "'chat'"),
        (dialler(Introduction("a\n", "c1", None)), accepter(), "hello", "member must be printable text"),
        (dialler(Introduction("a" * 301, "c1", None)), accepter(), "hello", "text of 301 characters"),
        (dialler(nonce=b"short"), accepter(), "hello", "nonce must be 32 bytes"),
        (dialler(), accepter(nonce=b"short"), "hello", "nonce must be 32 bytes"),
        (dialler(), accepter(admit=lambda hello: "removed on Monday"), "not_admitted", "removed on Monday"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_who_does_not_is_told_why(one: Dialler, other: Accepter, code: str, says: str) -> None:
    error = refused(one, other)
    assert error.code == code
    assert says in error.text


def test_only_a_refusal_by_somebody_with_the_secret_is_proven() -> None:
    assert refused(dialler(), accepter(admit=lambda hello: "removed")).proven
    assert not refused(dialler(secret=b"t" * 32), accepter()).proven
    assert not refused(dialler(Introduction("a", "c2", None)), accepter()).proven
    assert not refused(dialler(secret=None), accepter(secrets=(), admit=lambda hello: "removed")).proven
    invented = dialler()
    challenge = accepter().receive(invented.hello)
    invented.receive(challenge)
    with pytest.raises(PeerRefusedError) as caught:
        invented.receive(msgpack.packb([4, "not_admitted", "removed", b"p" * 32]))
    assert not caught.value.proven


def test_nobody_is_admitted_before_the_proof() -> None:
    asked: list[Hello] = []
    other = accepter(admit=asked.append)
    refused(dialler(secret=b"t" * 32), other)
    assert asked == []
    assert not other.done and other.keys is None


def test_another_version_is_refused_with_both_numbers() -> None:
    hello = msgpack.unpackb(dialler().hello)
    hello[1] = 2
    other = accepter()
    with pytest.raises(PeerRefusedError, match="version 1 of the member protocol is spoken here, not 2"):
        other.receive(msgpack.packb(hello))
    assert other.farewell is not None
    assert msgpack.unpackb(other.farewell)[1] == "version"


@pytest.mark.parametrize("place", ["member", "cluster", "address", "expect", "purpose", "release", "nonce"])
def test_a_hello_that_was_changed_on_its_way_fails(place: str) -> None:
    one, other = dialler(expect=None), accepter()
    hello = msgpack.unpackb(one.hello)
    hello[2][place] = {"expect": None, "cluster": None, "purpose": ASK, "nonce": b"9" * 32}.get(place, "x")
    if place == "expect":
        hello[2][place] = "b"
    proof = one.receive(other.receive(msgpack.packb(hello)))
    assert proof is not None
    with pytest.raises(PeerRefusedError, match="different shared secrets"):
        other.receive(proof)


@pytest.mark.parametrize("place", ["member", "address", "nonce", "cluster"])
def test_a_challenge_that_was_changed_on_its_way_fails(place: str) -> None:
    one, other = dialler(expect=None), accepter()
    challenge = msgpack.unpackb(other.receive(one.hello))
    challenge[1][place] = {"nonce": b"9" * 32, "cluster": None}.get(place, "x")
    proof = one.receive(msgpack.packb(challenge))
    assert proof is not None
    with pytest.raises(PeerRefusedError, match="different shared secrets"):
        other.receive(proof)


def test_a_recorded_handshake_is_worth_nothing() -> None:
    one, other = dialler(), accepter()
    proof = one.receive(other.receive(one.hello))
    assert proof is not None
    other.receive(proof)
    assert other.done
    again = accepter(nonce=b"3" * 32)
    again.receive(one.hello)
    with pytest.raises(PeerRefusedError):
        again.receive(proof)


def test_a_proof_cannot_be_sent_back_to_who_gave_it() -> None:
    one, other = dialler(expect=None), accepter()
    proof = one.receive(other.receive(one.hello))
    assert proof is not None
    with pytest.raises(PeerRefusedError):
        one.receive(msgpack.packb([3, msgpack.unpackb(proof)[1]]))


def test_a_welcome_without_its_proof_is_not_believed() -> None:
    for proof in (None, b"", b"x" * 32, "text", 5):
        one = dialler()
        one.receive(accepter().receive(one.hello))
        with pytest.raises(PeerRefusedError, match="different shared secrets"):
            one.receive(msgpack.packb([3, proof]))


GARBAGE = [
    b"",
    b"\xc1",
    b"\x90",
    msgpack.packb(["visor-peer"]),
    msgpack.packb(["other", 1, {}]),
    msgpack.packb(7),
    b"\x91" * 4000,
    b"\xdd\x7f\xff\xff\xff",
    b"\xc6\x7f\xff\xff\xff",
    msgpack.packb([2, None]),
    msgpack.packb([3, None]),
    msgpack.packb([1, None]),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_ends_a_handshake_at_every_step(garbage: bytes) -> None:
    with pytest.raises((HandshakeError, PeerRefusedError)):
        accepter().receive(garbage)
    one = dialler()
    with pytest.raises((HandshakeError, PeerRefusedError)):
        one.receive(garbage)
    one, other = dialler(), accepter()
    challenge = other.receive(one.hello)
    with pytest.raises((HandshakeError, PeerRefusedError)):
        other.receive(garbage)
    one.receive(challenge)
    with pytest.raises((HandshakeError, PeerRefusedError)):
        one.receive(garbage)


@pytest.mark.parametrize(
    "refusal", [[4], [4, 1, 2], [4, "x\x1b[2J", "\x1b[31mred"], [4, "x" * 999, "y" * 9999]]
)
def test_a_refusal_is_shown_without_doing_harm(refusal: list[Any]) -> None:
    with pytest.raises(PeerRefusedError) as caught:
        dialler().receive(msgpack.packb(refusal))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400
