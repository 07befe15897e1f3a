"""Bad TLS, forged tokens, stolen sessions, and clients without a proof at full speed. Rows S16, S18, S21."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from itertools import count
from pathlib import Path
from typing import Final

from tests.hostile.field import ATTACKER, HELLO, Crowd, Field, Pipe, open_socket, packed, raise_descriptors
from tests.hostile.scenario import scenario
from tests.wire import Closed, Refused, Wire, new_session
from visor.protocol import tokens, verbs

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


def client_hello(version: ssl.TLSVersion | None = None) -> bytes:
    """Return how a handshake begins; with nothing newer than a version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x").do_handshake()
    return outgoing.read()


def trusting(field: Field, certificate: Path | None = None) -> ssl.SSLContext:
    """Return what an attacker needs to speak TLS, with a certificate and its key beside it."""
    context = ssl.create_default_context(cafile=field.authority)
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def said_to(field: Field, data: bytes) -> bytes:
    """Say something on a new connection and return what is answered, but for how long that takes."""
    with contextlib.suppress(OSError), open_socket(field.leader, timeout=1.0) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(4096)
    return b""


# -- TLS ----------------------------------------------------------------------------------------------------


@scenario("tls-garbage", "S18", secure=True)
def tls_garbage(field: Field) -> None:
    """Noise, plain HELLOs, handshakes that were cut or changed, and records of all types, at the port of TLS."""
    rng, whole = field.rng, client_hello()
    for number in field.turns(20_000):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        length = rng.randint(0, 16_384)
        data = (
            bytes(changed),
            whole[: rng.randint(1, len(whole) - 1)],
            HELLO + packed([[verbs.GET, 2, "/good/r/1"]]),
            bytes([rng.choice((20, 21, 22, 23, 24, 255)), 3, rng.randrange(5)])
            + length.to_bytes(2, "big")
            + rng.randbytes(min(length, 500)),
            rng.randbytes(rng.randint(1, 2000)),
            whole * 20,
        )[number % 6]
        if b"limits" in said_to(field, data):
            field.problems.append("a client in clear was welcomed at the port of TLS")
            return


@scenario("tls-slow", "S18", secure=True, seconds=6.0)
def tls_slow(field: Field) -> None:
    """Two thousand handshakes that begin and stop, and some that send a byte now and then."""
    raise_descriptors()
    whole = client_hello()
    with Crowd() as crowd, Crowd() as dribbling:
        dribbling.open(field.leader, 40, first=whole[:5], seconds=1.0)
        crowd.open(field.leader, 2000, first=whole, seconds=field.left() / 2)
        for place in field.turns(len(whole) - 6):
            dribbling.say(whole[5 + place : 6 + place])
            time.sleep(0.1)
        field.notes.append(f"{len(crowd.sockets)} opened, {crowd.alive()} stay")


@scenario("tls-versions", "S18", secure=True)
def tls_versions(field: Field) -> None:
    """Clients of TLS 1.0, 1.1 and SSL 2, and ones that begin another handshake in the middle of the first."""
    old = client_hello(ssl.TLSVersion.TLSv1_1)
    ssl2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37)
    new = client_hello()
    for number in field.turns(20_000):
        answer = said_to(field, (old, ssl2, new + new, new[:50] + old)[number % 4])
        if answer[:1] == b"\x16" and number % 4 < 2:
            field.problems.append(f"a handshake of an old version was answered: {answer[:20].hex()}")
            return


@scenario("tls-chains", "S18", secure=True)
def tls_chains(field: Field) -> None:
    """Certificates of another authority, and chains of a hundred kilobytes, as fast as handshakes go."""
    folder = Path(field.folder)
    ours, theirs = folder / "clients-ci.pem", folder / "stranger-ci.pem"
    long = folder / "long.pem"
    long.write_bytes(ours.read_bytes() + theirs.read_bytes() * 150)
    (folder / "long.key").write_bytes((folder / "clients-ci.key").read_bytes())
    contexts = [trusting(field, file) for file in (theirs, long, None)]
    let_in = 0
    for number in field.turns(20_000):
        with contextlib.suppress(OSError, ssl.SSLError, Closed):
            sock = contexts[number % 3].wrap_socket(
                open_socket(field.leader, timeout=2.0), server_hostname="127.0.0.1"
            )
            with sock:
                sock.sendall(HELLO)
                if number % 3 == 0 and b"cluster" in sock.recv(4096):
                    field.problems.append("a certificate of another authority was let in")
                    return
                let_in += 1
    field.notes.append(f"{let_in} handshakes")


# -- tokens -------------------------------------------------------------------------------------------------


def mutated(field: Field, token: str) -> str:
    """Return what is nearly a token."""
    rng = field.rng
    kind = rng.randrange(5)
    if kind == 0:  # another secret, well formed
        known = tokens.read(token)
        assert known is not None
        number = os.urandom(tokens.NUMBER)
        forged = tokens.write(number, rng.randbytes(tokens.SECRET))
        return forged[:4] + token[4:14] + forged[14:]
    if kind == 1:
        place = rng.randrange(len(token))
        return token[:place] + rng.choice(ALPHABET) + token[place + 1 :] + "a" * (rng.random() < 0.1)
    if kind == 2:
        return tokens.write(rng.randbytes(tokens.NUMBER), rng.randbytes(tokens.SECRET))
    if kind == 3:
        return token.upper() if rng.random() < 0.5 else token[:-1]
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 250)))


@scenario("tokens-forged", "S21", closed=True, audited=True)
def tokens_forged(field: Field) -> None:
    """Tokens that were changed, guessed, taken back, expired, or are another cluster's, as fast as one process can."""
    stale = [field.tokens[name] for name in ("revoked", "expired", "foreign")]
    tried = 0
    for number in field.turns(100_000):
        text = stale[number // 4 % 3] if number % 4 == 0 else mutated(field, field.tokens["victim"])
        if text in (field.tokens["victim"], field.tokens["viewer"]):
            continue
        hello = packed([[verbs.HELLO, 1, {"versions": [1], "token": text}], [verbs.GET, 2, "/good/r/1"]])
        with contextlib.suppress(OSError), open_socket(field.leader, timeout=2.0) as sock:
            sock.sendall(hello)
            answer = sock.recv(4096)
            tried += 1
            if b"denied" not in answer and b"bad_request" not in answer and answer:
                field.problems.append(f"a forged token was answered {answer!r:.100}")
                return
    field.notes.append(f"{tried} tried")


@scenario("tokens-replayed", "S21", closed=True, seconds=4.0, kept=64)  # its writes are entries of the log
def tokens_replayed(field: Field) -> None:
    """One token on hundreds of connections that ask for what it does not grant, again and again."""
    hello = packed([[verbs.HELLO, 1, {"versions": [1], "token": field.tokens["victim"]}]])
    numbers = count(2)
    made = [Pipe(field.leader, hello=hello) for _ in range(100)]
    try:
        for turn in field.turns(100_000):
            pipe = made[turn % len(made)]
            pipe.send(packed([
                message
                for number in (next(numbers) for _ in range(40))
                for message in (
                    [verbs.SET, number, number, "/good/w/1", b"forged"],
                    [verbs.DELETE, number, number, "/", True],
                    [verbs.AUTH, number, number, "set_user", {"name": "victim", "roles": ["root"]}],
                    [verbs.SCAN, number, [verbs.SEL_GLOB, "/*a*b*/**"]],
                )
            ]), 0.5)  # fmt: skip
            pipe.drain(0.001)
    finally:
        for pipe in made:
            pipe.close()


# -- passwords ----------------------------------------------------------------------------------------------


@scenario("passwords-guessed", "S21", closed=True, seconds=5.0, audited=True)
def passwords_guessed(field: Field) -> None:
    """Passwords guessed at full speed, of users that there are and that there are not, from twenty addresses."""
    numbers = count(2)
    made = [Pipe(field.clients[n % len(field.clients)], source=f"127.0.6.{n + 1}") for n in range(20)]
    users = ("victim", "boss", "nobody", "", "x" * 300)
    try:
        for turn in field.turns(100_000):
            guesses = [
                [verbs.PASSWORD, next(numbers), "prove", users[n % len(users)], f"guess {turn} {n}"]
                for n in range(20)
            ]
            after = [[verbs.GET, next(numbers), "/good/r/1"], [verbs.ACCESS, next(numbers), "users", {}]]
            pipe = made[turn % len(made)]
            pipe.send(packed([*guesses, *after]), 0.5)
            pipe.drain(0.002)
    finally:
        for pipe in made:
            pipe.close()


# -- sessions -------------------------------------------------------------------------------------------------


@scenario("sessions-stolen", "S16", closed=True, seconds=5.0)
def sessions_stolen(field: Field) -> None:
    """The session of a user in the hands of another one, and of nobody: its writes, retries and leases."""
    session = new_session()
    victim = Wire(field.leader, session=session, hello={"token": field.tokens["victim"]}, source=ATTACKER)
    with victim:
        born = victim.welcome["rev"]
        for number in field.turns(2000):
            path = f"/victim/{number % 50}"
            request = victim.next_id()
            victim.send([verbs.SET, request, request, path, b"mine"])
            victim.answer(request)
            retry = [verbs.RETRY, request, [verbs.SET, request, request, path, b"mine"], born]
            for token in (field.tokens["thief"], None):
                hello = {} if token is None else {"token": token}
                answers = asked(field, session, hello, retry, [verbs.SET, request + 1, request, path, b"his"])
                if not set(answers) <= {"session_lost", "denied"}:
                    field.problems.append(f"a stolen session was answered {answers}")
                    return
        with field.wire(hello={"token": field.tokens["viewer"]}) as viewer:
            values = {viewer.get(f"/victim/{number}") for number in range(50)} - {None}
            if values != {b"mine"}:
                field.problems.append(f"a stolen session had an effect: {values}")


def asked(field: Field, session: bytes, hello: dict[str, object], *messages: list[object]) -> list[str]:
    """Send messages in a session; return the codes of the answers."""
    codes = []
    with Wire(field.leader, session=session, hello=hello, source=ATTACKER) as wire:
        wire.send(*messages)
        for message in messages:
            number = message[1]
            assert isinstance(number, int)
            try:
                wire.answer(number)
                codes.append("done")
            except Refused as refused:
                codes.append(refused.code)
    return codes


# -- without a proof ----------------------------------------------------------------------------------------


@scenario("unproven-flood", "S6", closed=True, seconds=5.0)
def unproven_flood(field: Field) -> None:
    """Requests of clients that prove nothing, of every kind, at full speed and from many addresses."""
    numbers = count(2)
    made = [Pipe(field.clients[n % len(field.clients)], source=f"127.0.8.{n + 1}") for n in range(60)]
    deep = "/" + "/".join("x" * 200 for _ in range(4))
    try:
        for turn in field.turns(100_000):
            pipe = made[turn % len(made)]
            pipe.send(packed([
                message
                for number in (next(numbers) for _ in range(25))
                for message in (
                    [verbs.SET, number, number, "/good/w/1", b"forged"],
                    [verbs.TXN, number, number, [[4, deep, 0]] * 50, [[verbs.T_SET, deep, b""]] * 50, []],
                    [verbs.SCAN, number, [verbs.SEL_GLOB, "/*a*b*c*/**"]],
                    [verbs.WATCH, number, [verbs.SEL_TREE, "/"]],
                    [verbs.ACCESS, number, "can", {"right": "write", "selector": [3, "/*a*b*/**"]}],
                    [verbs.GRANT, number, number, 600_000],
                    [verbs.KEEPALIVE, number, list(range(1, 200))],
                    [verbs.RETRY, number, [verbs.SET, number, number, "/good/w/1", b"forged"], 0],
                )
            ]), 0.5)  # fmt: skip
            pipe.drain(0.001)
    finally:
        for pipe in made:
            pipe.close()
    with field.wire(hello={"token": field.tokens["viewer"]}) as viewer:
        if viewer.get("/good/w/1") == b"forged":
            field.problems.append("somebody who proves nothing has written")
