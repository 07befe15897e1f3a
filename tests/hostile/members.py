"""What reaches the log and other members: nesting, forged messages, strangers. Rows S1, S2, S8, S9, S18, S19, S20."""

from __future__ import annotations

import contextlib
import time

from tests.fuzz.messages import pack
from tests.hostile.field import Crowd, Field, Pipe, open_socket, packed, raise_descriptors
from tests.hostile.outside import sow
from tests.hostile.scenario import scenario
from tests.hostile.strangers import Stranger, odd_messages
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs


def nested_frames(first: int) -> bytes:
    """Return writes with every depth at which packing and reading can part, each under an id of its own."""
    data = b""
    for number, depth in enumerate((5, 12, 14, 15, 16, 17, 30, 32, 60, 64, 100, 254, 500, 508, 512, 1000, 1010,
                                    *range(1014, 1025))):  # fmt: skip
        for place, inner in enumerate((b"\x90", b"\x80", b"\x00")):
            head = pack(first + number * 4 + place) or b""
            lists, maps = b"\x91" * (depth - 1) + inner, b"\x81\xa1a" * (depth - 1) + inner
            data += b"\x94\x1e" + head + b"\x00" + lists
            data += b"\x95\x1e" + head + b"\x00\xa5/deep" + maps
            data += b"\x96\x20" + head + b"\x00\x90" + lists + b"\x90"
            data += b"\x93\x27" + head + lists
    return data


@scenario("poison", "S1 S19", seconds=6.0)
def poison(field: Field) -> None:
    """Writes nested at every depth at which packing and reading part, one at a time beside others' writes."""
    _poison(field, field.leader)


@scenario("poison-at-a-replica", "S19", sizes=(3,), seconds=6.0)
def poison_at_a_replica(field: Field) -> None:
    """The same at a member that does not lead; its other clients are answered all the while."""
    with Wire(field.replica, timeout=10.0) as other:
        _poison(field, field.replica, other)


def _poison(field: Field, address: str, other: Wire | None = None) -> None:
    for turn in field.turns(2000):
        with contextlib.suppress(OSError), Pipe(address) as pipe:
            if turn % 2:
                pipe.send(b"\x94\x1e\xcd\x01\x00\x00" + b"\x91" * 1019 + b"\x90")
            else:
                pipe.send(nested_frames(1000))
            pipe.drain(0.01)
        if other is not None and turn % 5 == 0:
            began = time.monotonic()
            try:
                other.set("/beside", b"%d" % turn)
            except (Refused, Closed, TimeoutError) as error:
                field.problems.append(f"another client of the replica: {error!s:.200}")
                return
            if time.monotonic() - began > 2.0:
                field.problems.append(
                    f"another client of the replica waited {time.monotonic() - began:.1f} s"
                )
                return


@scenario("mutants", "S1 S2", seconds=8.0, kept=40)
def mutants(field: Field) -> None:
    """What differential fuzzing sends: mutated traffic at all members, of a client and of a learner with the secret."""
    sow(field, spare=True)


@scenario("no-secret", "S2 S9", seconds=6.0)
def no_secret(field: Field) -> None:
    """Somebody without the secret votes, appends, calls and joins."""
    with Stranger(field, secret=False) as one:
        for _ in field.turns(3):
            if one.say(*odd_messages(field, field.term)):
                field.problems.append("somebody without the secret was let in, and heard to the end")
                return
        if one.join("stranger", voter=True):
            field.problems.append("somebody without the secret became a member")


@scenario("stranger", "S2", seconds=8.0)
def stranger(field: Field) -> None:
    """Somebody with the secret but no place in the configuration: terms, votes and entries of every kind."""
    with Stranger(field, secret=True) as one:
        _forge(field, one)


@scenario("learner", "S2", seconds=10.0, sizes=(1, 3))
def learner(field: Field) -> None:
    """A configured learner with the secret sends what no member sends: it stops, deposes and fills nobody."""
    with Stranger(field, secret=True) as one:
        if not one.join("hostile"):
            field.notes.append(f"not taken in: {one.refused:.80}")
            return
        _forge(field, one)


def _forge(field: Field, one: Stranger) -> None:
    """Send every kind of odd message to every member, from the edges of what fits on."""
    for place in range(len(field.peers)):
        one._address = field.peers[place]
        one.say(
            [3, (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1, True],
            [3, field.term + 1, 1 << 62, 1 << 62, True],
            [8, field.term, (1 << 64) - 1], [2, field.term, (1 << 64) - 1, False, True, (1 << 64) - 1],
            [10, field.term, (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1],
        )  # fmt: skip
    for turn in field.turns(60):
        one._address = field.peers[turn % len(field.peers)]
        one.say(*odd_messages(field, field.term), pause=0.003)
    field.notes.append(f"last refused: {one.refused:.60}" if one.refused else "let in")


@scenario("peers-bytes", "S2 S4", seconds=6.0)
def peers_bytes(field: Field) -> None:
    """With the secret: frames that announce much, nest deeply, or are no messages at all."""
    pieces = [
        b"\xdc\x20\x00" * 1000, b"\xdd\x00\x0f\xff\xff" * 200, b"\x91" * 1020 + b"\x90", b"\xc1", b"\x90",
        b"\x92\x14" + b"\x91" * 1018 + b"\x90", b"\x92\x14\xdd\x00\x0f\xff\xff" + b"\x90" * 0xFFFFF,
        b"\x97\x01\x05\x05\x05\x05\x05\xdd\x00\x0f\xff\xff" + b"\x92\x01\xc4\x01x" * 0xFFFFF,
        b"\x92\x14\x91\x94\x01\xc0\xa1a" + b"\x91" * 1016 + b"\x90",
    ]  # fmt: skip
    with Stranger(field, secret=True) as one:
        for turn in field.turns(60):
            one._address = field.peers[turn % len(field.peers)]
            one.say_bytes(field.rng.choice(pieces), pause=0.02)


@scenario("made-up-members", "S2 S8", seconds=6.0)
def made_up_members(field: Field) -> None:
    """Hundreds of connections with the secret, each under another made-up id."""
    with Stranger(field, secret=True) as one:
        let_in = 0
        for turn in field.turns(400):
            let_in += one.connect(f"{turn:016x}") is not None
        lost = sum(connection.lost.done() for connection in one._connections)
        field.notes.append(f"{let_in} let in, {lost} of them cut again")
        if let_in - lost > 128:
            field.problems.append(f"{let_in - lost} made-up members hold connections")


@scenario("peers-idle", "S18", seconds=6.0)
def peers_idle(field: Field) -> None:
    """Two thousand connections at the peers' port that say nothing, or a byte."""
    raise_descriptors()
    with Crowd() as crowd:
        for place in range(0, 2000, 100):
            crowd.open(field.peers[0], 50, seconds=field.left())
            crowd.open(field.peers[0], 50, first=b"\x00", seconds=field.left())
            if not field.left() or place < 0:
                break
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.alive()} stay")


@scenario("peers-tls-dribble", "S18", tls=True, seconds=8.0)
def peers_tls_dribble(field: Field) -> None:
    """Two thousand connections that begin TLS at the peers' port and stop."""
    raise_descriptors()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
    with Crowd() as crowd:
        for _ in range(40):
            crowd.open(field.peers[0], 50, first=hello, seconds=field.left())
            if not field.left():
                break
        field.rest()
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.alive()} stay")


@scenario("member-names", "S20", seconds=5.0)
def member_names(field: Field) -> None:
    """JOIN under names and addresses with control characters, of other hosts, of no form at all."""
    odd = "n2\x1b]0;owned\x07\nMAINPID=1"
    for name, peer, client in (
        (odd, "127.0.9.9:9", "127.0.9.9:8"), ("n8", "127.0.9.9:9", "evil\x1b.example:1"),
        ("n8", "x\ny:1", "127.0.9.9:8"), ("", "127.0.9.9:9", ""), ("n" * 5000, "127.0.9.9:9", "127.0.9.9:8"),
        ("n8", "no address", "127.0.9.9:8"), ("n8", "127.0.9.9:9", "0.0.0.0:0"), ("n8", "127.0.9.9:99999999", ""),
    ):  # fmt: skip
        with Stranger(field, secret=True) as one:
            one.join(name, peer=peer, client=client)
    with Wire(field.leader, timeout=5.0) as wire:
        told = repr(wire.call(verbs.MEMBERS, verbs.STALE))
        addresses = repr(wire.welcome.get("addresses"))
    for bad in ("\\x1b", "\\n", "nnnnnnnn", "no address", "0.0.0.0:0", "99999999"):
        if bad in told or bad in addresses:
            field.problems.append(f"a member was taken in with {bad!r} in its name or addresses")


@scenario("garbage-at-the-peers-port", "S2", seconds=4.0)
def garbage_at_the_peers_port(field: Field) -> None:
    """Noise, HTTP, TLS and whole client conversations at the peers' port, and the other way round."""
    noise = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\xff" * 64,
        bytes(64),
        packed([[0, 1, {}]]),
    ]
    for turn in field.turns(2000):
        address = field.peers[turn % len(field.peers)] if turn % 3 else field.leader
        data = field.rng.choice([*noise, field.rng.randbytes(field.rng.randrange(1, 4000))])
        with contextlib.suppress(OSError), open_socket(address, timeout=0.5) as sock:
            sock.sendall(data)
            if turn % 5 == 0:
                sock.recv(1000)
