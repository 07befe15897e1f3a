"""`visord init` and `visord join` on this machine: the real disk, clock and randomness, and what people are told."""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import secrets
import shlex
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from visor._core.address import Address
from visor._drivers import pinned
from visor.protocol import codes, tokens, verbs
from visor.protocol.frames import Decoder, encode
from visord import private_file
from visord.addresses import split
from visord.authority.enrolling import enrol, read_token, told_fault
from visord.authority.founding import found
from visord.authority.issuing import shown_digest
from visord.authority.location import BeginningError, locate
from visord.authority.new_root import note
from visord.naming import not_an_address
from visord.storage.disk import OsDisk

SECONDS: Final = 10.0
"""For a connection, and for an answer."""
TOKEN_BYTES: Final = 4096
ANSWER_BYTES: Final = 1 << 20


def init(
    directory: str, name: str, client: str, peer: str | None, hosts: Sequence[str], token_file: str | None
) -> Iterator[str]:
    """Found a cluster, and yield what the operator is told. Raises `BeginningError` and what storage raises."""
    path = str(Path(directory).resolve())
    where = locate(name, client, peer, hosts)
    with _kept(token_file) as keep:
        founded = found(
            OsDisk(),
            path,
            where,
            now_ms=time.time_ns() // 1_000_000,
            rng=random.SystemRandom(),
            random_bytes=secrets.token_bytes,
        )
        keep(founded.token)
    digest = shown_digest(founded.digest)
    yield f"{where.name} ({founded.member}) is the first member of cluster {founded.cluster}, in {path}"
    yield f"authority {digest}"
    if token_file is None:
        yield "root's token, which nobody can tell again; keep it in a file of mode 0600:"
        yield founded.token
    else:
        yield f"root's token is in {token_file}, and nobody can tell it again"
    yield from _next(path)
    named = "root.token" if token_file is None else token_file
    yield f"  visor login {where.client_told} --token-file {shlex.quote(named)} --ca-digest {digest}"


def new_root(directory: str, token_file: str | None) -> Iterator[str]:
    """Leave a new token for root with a stopped member, and yield what the operator is told. Raises as `init` does."""
    path = str(Path(directory).resolve())
    token = tokens.write(secrets.token_bytes(tokens.NUMBER), secrets.token_bytes(tokens.SECRET))
    with _kept(token_file) as keep:
        note(OsDisk(), path, token)
        keep(token)
    made = tokens.read(token)
    yield f"root gets a new token, {made.id if made else ''}, when this member has started and leads"
    if token_file is None:
        yield "keep it in a file of mode 0600; nobody can tell it again:"
        yield token
    else:
        yield f"it is in {token_file}, and nobody can tell it again"


def join(
    address: str,
    token_file: str,
    directory: str,
    name: str | None,
    client: str,
    peer: str | None,
    hosts: Sequence[str],
    learner: bool,
) -> Iterator[str]:
    """Have this machine's certificate made, and yield what the operator is told. Raises like `init`."""
    path = str(Path(directory).resolve())
    where = locate(name or socket.gethostname().partition(".")[0], client, peer, hosts)
    try:
        token = read_token(private_file.read(Path(token_file), TOKEN_BYTES, private=True).decode("ascii"))
    except (private_file.PrivateFileError, UnicodeDecodeError) as error:
        raise BeginningError(f"--token-file: {error}") from error
    member = _Member(address)
    joined = enrol(
        OsDisk(),
        path,
        where,
        token,
        address,
        member.shown,
        member.exchange,
        named=name is not None,
        rng=random.SystemRandom(),
        learner=learner,
    )
    yield f"{joined.name} ({joined.member}) may join cluster {joined.cluster}, from {path}"
    yield from _next(path)


def _next(path: str) -> Iterator[str]:
    yield "next:"
    yield f"  visord serve --data-dir {shlex.quote(path)}"


class _Member:
    """A member of the cluster, at the address where clients find it."""

    def __init__(self, address: str) -> None:
        wrong = not_an_address(address)
        if wrong is not None:
            raise BeginningError(f"{address:.100}: {wrong}: where clients find a member was expected")
        self._address = address
        self._host, self._port = split(address)

    def shown(self) -> list[bytes]:
        """Return the certificates that are shown there, before anything is believed."""
        try:
            return pinned.chain(Address(self._host, self._port), SECONDS)
        except OSError as error:
            raise self._away(error) from error

    def exchange(
        self, context: ssl.SSLContext, judge: Callable[[bytes], None], question: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask one question within TLS, of whom `judge` takes for a member."""
        try:
            with (
                socket.create_connection((self._host, self._port), SECONDS) as plain,
                context.wrap_socket(plain) as secured,
            ):
                judge(secured.getpeercert(binary_form=True) or b"")
                secured.sendall(encode((verbs.JOIN, 1, question)))
                return self._answer(secured)
        except ssl.SSLCertVerificationError as error:
            raise told_fault(error, self._address, datetime.datetime.now(datetime.UTC)) from error
        except OSError as error:
            raise self._away(error) from error

    def _answer(self, secured: ssl.SSLSocket) -> dict[str, Any]:
        decoder = Decoder(ANSWER_BYTES)
        while True:
            for message in decoder.feed(secured.recv(1 << 16) or self._hung_up()):
                if message[0] == verbs.OK and type(message[2]) is dict:
                    return message[2]
                if message[0] == verbs.ERROR:
                    passes = codes.FAMILY.get(message[2]) != codes.REJECTED
                    raise BeginningError(f"{self._address} refused: {message[3]}", passes=passes)
                if message[0] == verbs.GOAWAY:
                    raise BeginningError(f"{self._address} hung up: {message[2]}", passes=True)

    def _hung_up(self) -> bytes:
        raise ConnectionError("it hung up without an answer")

    def _away(self, error: OSError) -> BeginningError:
        return BeginningError(f"{self._address} cannot be asked: {error}", passes=True)


@contextlib.contextmanager
def _kept(token_file: str | None) -> Iterator[Callable[[str], None]]:
    """Give what writes a token into a new file (None: nowhere); nothing is left of that when it fails."""
    kept = None if token_file is None else _new_file(token_file)

    def keep(token: str) -> None:
        if kept is not None:
            os.write(kept, f"{token}\n".encode())
            os.fsync(kept)

    try:
        yield keep
    except BaseException:
        if token_file is not None:
            Path(token_file).unlink(missing_ok=True)
        raise
    finally:
        if kept is not None:
            os.close(kept)


def _new_file(file: str) -> int:
    """Make a file that nobody else can read; what is there is not touched."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise BeginningError(f"--token-file {file} is there already: name a new file") from error
    except OSError as error:
        raise BeginningError(f"--token-file {file} cannot be made: {error.strerror}") from error
