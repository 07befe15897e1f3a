"""Odd requests that are well-formed: operators' verbs, leases, texts. Rows S20, S25, and what was found since."""

from __future__ import annotations

import contextlib

from tests.fuzz.messages import Maker
from tests.hostile.field import Field, Pipe, packed
from tests.hostile.scenario import scenario
from tests.hostile.strangers import EDGES
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs


@scenario("odd-admin", "S20", seconds=5.0)
def odd_admin(field: Field) -> None:
    """ADMIN, MEMBERS, KEEPALIVE, LEASE and STATUS with arguments of every type, at every member."""
    rng = field.rng
    maker = Maker(rng)
    actions = [
        "hash",
        "add",
        "update",
        "promote",
        "remove",
        "transfer",
        "nothing",
        "",
        "\x1b]0;x\x07",
        "é" * 300,
    ]
    for turn in field.turns(400):
        address = field.clients[turn % len(field.clients)]
        messages = []
        for number in range(2, 40):
            verb = rng.choice(
                [verbs.ADMIN, verbs.ADMIN, verbs.MEMBERS, verbs.KEEPALIVE, verbs.LEASE, verbs.STATUS]
            )
            odd = rng.choice([None, "nobody", rng.choice(EDGES), maker.anything()])
            arguments = [odd for _ in range(rng.randrange(3))]
            if verb == verbs.ADMIN:
                action = rng.choice(actions)
                if action in ("remove", "transfer", "promote") and arguments != ["nobody"]:
                    continue  # operators may: that is the issue after this one
                messages.append([verb, number, action, arguments])
            else:
                messages.append(
                    [verb, number, arguments] if rng.random() < 0.5 else [verb, number, *arguments]
                )
        with contextlib.suppress(OSError), Pipe(address) as pipe:
            pipe.send(packed(messages), 0.5)
            pipe.drain(0.02)


@scenario("hash-storm", "S20", seconds=5.0)
def hash_storm(field: Field) -> None:
    """Thousands of comparisons of replicas, at revs that are there, were, and never come."""
    with Pipe(field.clients[-1]) as pipe:
        for turn in field.turns(200):
            number = turn * 100 + 2
            pipe.send(packed(
                [verbs.ADMIN, number + n, "hash", [field.rng.choice((None, 0, 1, 1 << 40, (1 << 63) - 1))]]
                for n in range(100)
            ), 0.5)  # fmt: skip
            pipe.drain(0.02)


@scenario("odd-texts", "S25", seconds=4.0, kept=20)
def odd_texts(field: Field) -> None:
    """Actors, notes and clients' names full of control characters: they reach no log line raw."""
    bad = "x\x1b]0;owned\x07\n\u202e\x9b31m"
    with (
        contextlib.suppress(Refused, Closed),
        Wire(field.leader, hello={"actor": bad, "client": bad}) as wire,
    ):
        for turn in field.turns(200):
            with contextlib.suppress(Refused):
                wire.set(f"/texts/{turn}", bad.encode(), 0, 0, 0, bad)
    for member in field.clients:
        with contextlib.suppress(Refused, Closed, OSError), Wire(member, hello=None) as wire:
            wire.greet(actor=bad * 100)
        with contextlib.suppress(Refused, Closed, OSError), Wire(member, hello=None) as wire:
            wire.greet(cluster=bad)
