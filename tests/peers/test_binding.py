"""A certificate speaks for one member: for the one at the host that it is made out to."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from tests.peers.authority import Authority
from tests.peers.conftest import Run
from tests.peers.world import Member, know, until
from visord.peers.binding import misbound
from visord.peers.errors import PeerRefusedError
from visord.peers.handshake import ASK, MEMBER, Dialler, Introduction
from visord.peers.messages import pack
from visord.peers.outgoing import OutgoingConnection, dial
from visord.peers.security import Security, from_settings


def made_out_to(*names: str) -> dict[str, Any]:
    kinds = [("IP Address" if name[0].isdigit() or ":" in name else "DNS", name) for name in names]
    return {"subjectAltName": tuple(kinds), "subject": ((("commonName", "n1.example"),),)}


@pytest.mark.parametrize(
    ("names", "address", "fits"),
    [
        (("n1.example",), "n1.example:8047", True),
        (("N1.Example.",), "n1.example:8047", True),
        (("*.example",), "n1.example:8047", True),
        (("*.example",), "a.n1.example:8047", False),
        (("*.example",), "example:8047", False),
        (("n2.example",), "n1.example:8047", False),
        ((), "n1.example:8047", False),  # a common name is no name
        (("10.0.0.1",), "10.0.0.1:8047", True),
        (("10.0.0.1",), "10.0.0.2:8047", False),
        (("0:0:0:0:0:0:0:1",), "[::1]:8047", True),
        (("10.0.0.1",), "nonsense", False),
    ],
)
def test_the_host_must_be_one_of_the_names(names: tuple[str, ...], address: str, fits: bool) -> None:
    assert (misbound(made_out_to(*names), address, (), by_host=True) is None) == fits


def test_with_shared_names_only_who_carries_a_members_host_is_bound_to_it() -> None:
    others = ("n1.example:1", "n2.example:1")
    shared, one = made_out_to("visor.example"), made_out_to("visor.example", "n1.example")
    assert misbound(shared, "n2.example:1", others, by_host=False) is None
    assert misbound(one, "n1.example:1", others, by_host=False) is None
    assert misbound(one, "n2.example:1", others, by_host=False) is not None


async def connect(
    to: Member, security: Security, member: str, address: str | None, purpose: str = MEMBER
) -> OutgoingConnection:
    me = Introduction(member, "c1", address)
    dialler = Dialler(me, expect=None, purpose=purpose, secret=None, nonce=os.urandom(32))
    return await dial(asyncio.get_running_loop(), to.address, dialler, security)


def test_a_certificate_of_the_authority_for_another_host_speaks_for_no_member(
    run: Run, authority: Authority
) -> None:
    async def main() -> None:
        a = Member("a", security=from_settings(authority.settings("a")))
        b = Member("b", security=from_settings(authority.settings("b")))
        wiki = from_settings(authority.settings("wiki", "DNS:wiki.example"))
        for one in (a, b):
            await one.peers.start()
        know(a, b)
        know(b, a)
        await until(lambda: a.peers.reachable("b") and b.peers.reachable("a"))
        for member, address in (("b", b.address), ("b", "wiki.example:1"), ("x", "127.0.0.1:1"), ("x", None)):
            with pytest.raises(PeerRefusedError) as refused:
                await connect(a, wiki, member, address)
            assert refused.value.code == "certificate"
        with pytest.raises(PeerRefusedError):
            await connect(a, wiki, "x", "127.0.0.1:1", ASK)
        assert b.say("a", 1)
        await until(lambda: a.heard == [("b", [1])])
        renewed = from_settings(authority.settings("renewed"))
        good = await connect(a, renewed, "b", b.address)
        good.send(pack([2]))
        await until(lambda: a.heard[-1] == ("b", [2]))
        good.close()
        for one in (a, b):
            await one.close()

    run(main())


@pytest.mark.parametrize("usage", ["serverAuth", "clientAuth", "codeSigning"])
def test_a_certificate_must_be_good_for_both_sides(run: Run, authority: Authority, usage: str) -> None:
    """TLS itself refuses one whose extended key usage says other things."""

    async def main() -> None:
        a = Member("a", security=from_settings(authority.settings("a")))
        b = Member("b", security=from_settings(authority.settings("b", usage=usage)))
        for one in (a, b):
            await one.peers.start()
        know(a, b)
        know(b, a)
        accepted = {"serverAuth": ["a"], "clientAuth": ["b"], "codeSigning": []}[usage]
        dialled = {"a": a.peers.reachable, "b": b.peers.reachable}
        other = {"a": "b", "b": "a"}
        await until(lambda: all(dialled[one](other[one]) for one in accepted))
        refused = {"a", "b"} - set(accepted)
        peers = {"a": a.peers, "b": b.peers}
        await until(lambda: all("dialled yet" not in peers[one].problem(other[one]) for one in refused))
        await asyncio.sleep(0.1)
        assert not any(peers[one].reachable(other[one]) and peers[other[one]].hello(one) for one in refused)
        for one in (a, b):
            await one.close()

    run(main())


MINE = "IP:127.0.0.1,URI:visor://c1/member/{}"


def test_a_certificate_that_says_which_member_it_is_of_speaks_for_that_one_alone(
    run: Run, authority: Authority
) -> None:
    own = from_settings(authority.settings("a", MINE.format("a")))

    async def main() -> None:
        a = Member("a", security=own)
        await a.peers.start()
        a.peers.set_members({"b": "127.0.0.1:9"})
        for name, alternative in (
            ("other", MINE.format("c")),
            ("user", "IP:127.0.0.1,URI:visor:user/ci"),
            ("both", f"{MINE.format('b')},URI:visor:user/ci"),
        ):
            security = from_settings(authority.settings(name, alternative))
            with pytest.raises(PeerRefusedError, match="the certificate is that of visor:"):
                await connect(a, security, "b", "127.0.0.1:9")
        mine = from_settings(authority.settings("b", MINE.format("b")))
        (await connect(a, mine, "b", "127.0.0.1:9")).close()
        await a.close()

    run(main())


def test_who_answers_with_the_certificate_of_another_member_or_a_user_is_left(
    run: Run, authority: Authority
) -> None:
    async def main() -> None:
        b = Member("b", security=from_settings(authority.settings("b", MINE.format("b"))))
        await b.peers.start()
        for name, alternative in (("c", MINE.format("c")), ("u", "IP:127.0.0.1,URI:visor:user/ci")):
            a = Member("a", security=from_settings(authority.settings(name, alternative)))
            await a.peers.start()
            know(b, a)
            await until(lambda: "the certificate is that of visor:" in b.peers.problem("a"))
            know(b)
            await a.close()
        await b.close()

    run(main())
