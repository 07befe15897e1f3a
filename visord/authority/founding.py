"""A new cluster in a new directory: `visord init`.

    where = locate("n1", "10.0.0.1:8046", None, hosts=())
    found(OsDisk(), "/var/lib/visord", where, ...)          -> Founded: the root token, the authority's digest

What it writes, in this order:

    authority/       the authority and this member's certificate
    log/             one entry: the user root, with a token of which only the digest is kept, and anonymous without
                     roles. So rights are on from the first entry of the log, whenever and however often it starts
    visord.toml      the settings with which `visord serve --data-dir DIR` just runs
    identity         last: without it the directory is none that a node would start with

A crash in between leaves a directory that is not empty and no data directory: `serve` and `init` refuse it, and nobody
was told of it. Its member begins *closed* (`Identity.closed`), so that not even the moment before the first entry is
applied is one in which anybody may do anything.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final, NamedTuple

from visor.protocol import tokens, verbs
from visord.authority.authority_files import AuthorityFiles
from visord.authority.issuing import (
    SERIAL_BITS,
    Authority,
    MemberNames,
    key_pem,
    new_key,
    read_request,
    request_of,
)
from visord.authority.location import SETTINGS, BeginningError, Location, settings_text
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.state import command
from visord.state.auth.auth_store import ROOT
from visord.state.auth.principal import ANONYMOUS, NOBODY
from visord.storage import guard
from visord.storage.directory import HISTORY, LOG, Identity, RandomBits, lock_directory, write_identity
from visord.storage.disk import Disk, join, write_atomic
from visord.storage.worker import Inline

ACTOR: Final = "visord init"


class Founded(NamedTuple):
    """What came of it. The token is told to nobody else, and kept nowhere."""

    cluster: str
    member: str
    digest: bytes
    """Of the authority: what clients pin."""
    token: str

    def __repr__(self) -> str:
        return f"<founded {self.cluster}>"


def require_empty(disk: Disk, path: str) -> None:
    """Raise `BeginningError` where anything is in a directory, `OwnerError` where it is somebody else's."""
    if not disk.exists(path):
        return
    guard.require_owner(disk, path)
    there = sorted(disk.listdir(path))
    if there:
        shown = ", ".join(there[:3]) + (", ..." if there[3:] else "")
        raise BeginningError(
            f"{path} is not empty, it holds {shown}: a member begins in an empty or new directory. If an init or join "
            "was interrupted there, remove what it left"
        )


def found(
    disk: Disk,
    path: str,
    where: Location,
    *,
    now_ms: int,
    rng: RandomBits,
    random_bytes: Callable[[int], bytes],
) -> Founded:
    """Found a cluster in a directory that is new or empty. Raises `BeginningError`, `OwnerError` or `OSError`."""
    require_empty(disk, path)
    make_directory(disk, path)
    lock = lock_directory(disk, path)
    try:
        identity = Identity(
            f"{rng.getrandbits(128):032x}", where.name, f"{rng.getrandbits(64):016x}", True, closed=True
        )
        now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
        authority = Authority.found(identity.cluster, new_key(), now, rng.getrandbits(SERIAL_BITS))
        key, names = new_key(), MemberNames(identity.member, where.hosts)
        certificate = authority.issue(read_request(request_of(key)), names, now, rng.getrandbits(SERIAL_BITS))
        files = AuthorityFiles(disk, path)
        files.make()
        authority_key = authority.key_pem
        assert authority_key is not None
        files.keep_authority(authority.pem)
        files.keep_key(authority_key)
        files.keep_member(certificate, authority.pem, key_pem(key))
        token = tokens.write(random_bytes(tokens.NUMBER), random_bytes(tokens.SECRET))
        _write_first_entry(disk, path, identity, token, now_ms, rng)
        write_atomic(disk, path, SETTINGS, (settings_text(where, path, files).encode(),))
        write_identity(disk, path, identity)
        return Founded(identity.cluster, identity.member, authority.digest, token)
    finally:
        lock.release()


def make_directory(disk: Disk, path: str) -> None:
    """Make a data directory, and the two in it, where they are missing."""
    disk.mkdir(path)
    disk.sync_dir(path.rstrip("/").rpartition("/")[0] or "/")
    guard.close(disk, path)
    for name in (LOG, HISTORY):
        disk.mkdir(join(path, name))
    disk.sync_dir(path)


def _write_first_entry(
    disk: Disk, path: str, identity: Identity, token: str, now_ms: int, rng: RandomBits
) -> None:
    """Begin the log with who may do what, durable on return."""
    inline = Inline()
    log = RaftLog.open(
        disk,
        join(path, LOG),
        options=Options(ahead=0),
        sync=inline,
        background=inline,
        random32=lambda: rng.getrandbits(32),
    )
    try:
        log.setCurrentTerm(1, identity.member)
        log.add(first_command(token, now_ms), log.last_index + 1, 1)
        log.flush()
        if log.durable_index != log.last_index:
            raise OSError(f"{path}: the log could not be written: {log.failure or log.full}")
    finally:
        log.close()


def first_command(token: str, now_ms: int) -> command.Command:
    """Return the first entry of a cluster: root may do everything and has this token, everybody else may nothing."""
    made = tokens.read(token)
    assert made is not None
    digest = tokens.digest(made.secret)
    changes = [
        ("set_user", {"name": ROOT, "roles": [ROOT]}),
        ("add_token", {"id": made.id, "user": ROOT, "digest": digest, "purpose": ACTOR}),
        ("set_user", {"name": ANONYMOUS, "roles": []}),
    ]
    frames = [[verbs.AUTH, number, 0, *change] for number, change in enumerate(changes, 1)]
    return command.encode(now_ms, [[None, ACTOR, frames, NOBODY]])
