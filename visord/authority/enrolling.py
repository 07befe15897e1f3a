"""A new directory of a member-to-be: `visord join`. The other side of what `office` answers.

    1. which certificates does HOST:PORT show?       nothing is believed, and nothing said
       one of them has the digest in the token       -> the authority; else nobody was told anything
    2. the same address again, verified by that authority, and a member of its cluster
       the token, the request                        -> this member's certificate

The key is made here and never leaves. The directory is written as `founding` writes one, `identity` last.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from visor.protocol import tokens
from visor.protocol.tokens import JoinToken
from visord.authority.authority_files import AuthorityFiles
from visord.authority.founding import make_directory, require_empty
from visord.authority.issuing import (
    Authority,
    CertificateError,
    key_pem,
    names_of,
    new_key,
    read_certificate,
    request_of,
    shown_digest,
)
from visord.authority.location import SETTINGS, BeginningError, Location, settings_text
from visord.storage.directory import Identity, RandomBits, lock_directory, write_identity
from visord.storage.disk import Disk, write_atomic

MOST_PEERS: Final = 256
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
"""Numbers of `X509_V_ERR_...`."""

Shown: TypeAlias = Callable[[], list[bytes]]
"""Returns the certificates (DER) that are shown at the member's address, the member's own first."""
Exchange: TypeAlias = Callable[[ssl.SSLContext, Callable[[bytes], None], dict[str, Any]], dict[str, Any]]
"""`exchange(context, judge, question)` dials the member, has its certificate (DER) judged, and returns its answer."""


class Joined(NamedTuple):
    """What came of it."""

    cluster: str
    member: str
    name: str
    peers: tuple[str, ...]
    """Where the members are that this one asks to be taken in."""


def read_token(text: str) -> JoinToken:
    """Return the token to join that a text is. Raises `BeginningError`."""
    found = tokens.read_join(text.strip())
    if found is None:
        other = (
            "it proves a user"
            if tokens.read(text.strip())
            else "it was cut or mistyped, or is something else"
        )
        raise BeginningError(
            f"that is no token to join (visj_...), {other}: `visor join-token add` makes one"
        )
    return found


def authority_of(token: JoinToken, shown: Sequence[bytes], address: str) -> Authority:
    """Return the authority that the token was made for, among what is shown. Raises `BeginningError`."""
    for each in shown:
        pem = ssl.DER_cert_to_PEM_cert(each).encode()
        try:
            authority = Authority.read(pem)
        except CertificateError:
            continue
        if authority.digest == token.authority:
            return authority
    raise BeginningError(
        f"{address} shows no authority {shown_digest(token.authority)}, for which the token was made: it is of another "
        "cluster, or somebody is in between; nothing was said to it"
    )


def context_of(authority: Authority) -> ssl.SSLContext:
    """Return what believes that authority alone. Whose member's certificate it is, `judge_member` tells."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.load_verify_locations(cadata=authority.pem.decode("ascii"))
    return context


def judge_member(authority: Authority, certificate: bytes, address: str) -> None:
    """Raise `BeginningError` unless this is the certificate (DER) of a member, made by the authority."""
    try:
        found = read_certificate(ssl.DER_cert_to_PEM_cert(certificate).encode())
        names_of(found)
    except CertificateError as error:
        raise BeginningError(f"{address} is no member: {error}") from error
    if not authority.made(found):
        raise BeginningError(f"{address} is no member of the cluster that the token is for")


def told_fault(error: ssl.SSLCertVerificationError, address: str, now: datetime.datetime) -> BeginningError:
    """Return in words why a member's certificate was not believed."""
    if error.verify_code in (NOT_YET_VALID, EXPIRED):
        what = "is not valid yet" if error.verify_code == NOT_YET_VALID else "has expired"
        return BeginningError(
            f"the certificate of {address} {what}, by the clock of this machine ({now:%Y-%m-%d %H:%M} UTC): if that is "
            "wrong, set it; if not, look at that member"
        )
    return BeginningError(
        f"the certificate of {address} was not made by its cluster's authority: {error.verify_message}"
    )


def enrol(
    disk: Disk,
    path: str,
    where: Location,
    token: JoinToken,
    address: str,
    shown: Shown,
    exchange: Exchange,
    *,
    named: bool,
    rng: RandomBits,
    learner: bool = False,
) -> Joined:
    """Become able to join, in a directory that is new or empty.

    `named`: the operator has said what the member is called; else the token does, or it is called as `where` says.
    Raises `BeginningError`, `OwnerError` or `OSError`.
    """
    require_empty(disk, path)
    authority = authority_of(token, shown(), address)
    key, member = new_key(), f"{rng.getrandbits(64):016x}"
    question = {
        "id": token.id,
        "secret": token.secret,
        "member": member,
        "name": where.name if named else "",
        "hosts": list(where.hosts),
        "request": request_of(key),
    }
    answer = exchange(context_of(authority), lambda shown: judge_member(authority, shown, address), question)
    certificate, cluster, name, peers = _read_answer(answer, authority, member, where, address)
    make_directory(disk, path)
    lock = lock_directory(disk, path)
    try:
        files = AuthorityFiles(disk, path)
        files.make()
        files.keep_authority(authority.pem)
        files.keep_member(certificate, authority.pem, key_pem(key))
        settings = settings_text(where._replace(name=name), path, files, peers, learner=learner)
        write_atomic(disk, path, SETTINGS, (settings.encode(),))
        write_identity(disk, path, Identity(cluster, name, member, False, closed=True))
    finally:
        lock.release()
    return Joined(cluster, member, name, peers)


def _read_answer(
    answer: dict[str, Any], authority: Authority, member: str, where: Location, address: str
) -> tuple[bytes, str, str, tuple[str, ...]]:
    """Return certificate, cluster, name and peers of an answer, judged as what it should be."""
    certificate, name, peers = (answer.get(key) for key in ("certificate", "name", "peers"))
    if not isinstance(certificate, bytes) or not isinstance(name, str) or not isinstance(peers, list):
        raise BeginningError(f"{address} gave an answer that is none")
    try:
        found = read_certificate(certificate)
        cluster, names = names_of(found)
    except CertificateError as error:
        raise BeginningError(f"{address} gave no certificate: {error}") from error
    if not authority.made(found) or (cluster, names.member) != (answer.get("cluster"), member):
        raise BeginningError(f"{address} gave a certificate of somebody else")
    told = tuple(peer for peer in peers[:MOST_PEERS] if isinstance(peer, str))
    return certificate, cluster, name or where.name, told
