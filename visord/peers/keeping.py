"""The secret of a cluster that nobody set one for: made where it is founded, kept, and found again by the same user.

Loopback authenticates nobody: every user of a machine reaches it. So a node whose settings name no secret and no
certificates looks for its secret in this order:

    1. `peers-secret` in its data directory (0600)
    2. a new directory that joins: the copy that a member at one of the addresses left for *this user*
    3. a new directory that founds a cluster, or a node that is alone in its cluster: a new one, 32 random bytes in hex

and keeps what it found in 1. What it made or keeps it also leaves in 2, under its own peer address where that is one of
this machine, so that a cluster on one machine needs no settings as long as one user runs it:

    $XDG_STATE_HOME/visord/peers/127.0.0.1:8141      or  ~/.local/state/visord/peers/127.0.0.1:8141

The folder has mode 0700, the files 0600; what another user could have written or read is not used. A user without a
home (a service) gets no copy, which is no error. A copy of a cluster that is gone does no harm: a node that joins with
it proves that it knows *another* secret, and is told so. For other machines `peers-secret` is copied by hand, and
`peers.secret_file` names it.

A directory of before there were secrets, with other members in its cluster, has none: it goes on, on loopback only, and
raises an alarm until `peers.secret_file` is set everywhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from visord import addresses
from visord.peers.errors import PeersStartError
from visord.peers.security import Security, from_settings
from visord.settings import PeerSettings
from visord.system_errors import stays

logger = logging.getLogger("visord.peers")

NAME: Final = "peers-secret"
RANDOM_BYTES: Final = 32
MOST: Final = 4096
"""Bytes of a file with secrets: more than anybody writes into one."""
PRIVATE: Final = 0o077
"""Permissions that others must not have."""


class Keeping:
    """How one node that starts comes to what it shows the other members.

    `fresh`: its data directory is new. Raises `PeersStartError` naming the file that cannot be used.
    """

    def __init__(
        self,
        settings: PeerSettings,
        data_dir: Path,
        environ: Mapping[str, str],
        *,
        fresh: bool,
        founds: bool,
        joins: Iterable[str],
    ) -> None:
        self._data_dir = data_dir
        self._folder = copies(environ)
        self._set = from_settings(settings)
        """What the settings say."""
        self._chosen = bool(self._set.secrets) or self._set.certificates is not None or self._set.insecure
        self._stored = None if self._chosen else kept(data_dir)
        self._secret = self._stored
        self._joins = tuple(joins) if fresh and not founds else ()
        if not self._chosen and self._secret is None and fresh and founds:
            self._secret = make()
        self.search()

    def search(self) -> Security:
        """Look for the copy of the member that this node joins, also again: it may just be founding the cluster.

        Return what to show now.
        """
        if not self._chosen and self._stored is None and self._joins:
            found = find_copy(self._folder, self._joins)
            if found is not None and found[0] != self._secret:
                self._secret = found[0]
                logger.info("the cluster's secret comes from %s", found[1])
        return self.security

    @property
    def security(self) -> Security:
        """What this node shows and asks for, as far as that is known."""
        if self._secret is None:
            return self._set
        return dataclasses.replace(self._set, secrets=(self._secret,))

    @property
    def exposure(self) -> str:
        """Why anybody who reaches the peers' port may act as a member; "" when nobody may."""
        if self._set.insecure and not self._set.secrets and self._set.certificates is None:
            return "peers.insecure is set: whoever reaches the port can act as a member of the cluster"
        if self._chosen or self._secret is not None:
            return ""
        return "no secret is set: every user of this machine can act as a member; set peers.secret_file everywhere"

    def opened(self, address: str, *, alone: bool) -> Security:
        """The data directory is open: keep the secret there, and a copy for others at the peer address `address`.

        `alone`: nobody else is in this node's cluster. Returns what to show from now on. Raises `PeersStartError`.
        """
        if self._chosen:
            return self.security
        if self._secret is None and alone:
            self._secret = make()
        if self._secret is not None:
            if self._stored is None:
                self._store(self._secret)
            leave_copy(self._folder, address, self._secret)
        return self.security

    def _store(self, secret: bytes) -> None:
        try:
            keep(self._data_dir, secret)
        except OSError as error:
            text = f"{self._data_dir / NAME} cannot be written: {error.strerror}"
            raise PeersStartError(text, passes=not stays(error)) from error
        self._stored = secret
        logger.info("the cluster's secret is in %s: who joins from elsewhere needs it", self._data_dir / NAME)


def make() -> bytes:
    """Return a new secret."""
    return secrets.token_hex(RANDOM_BYTES).encode()


def kept(data_dir: Path) -> bytes | None:
    """Return the secret in a data directory; None where there is none. Raises `PeersStartError` naming it."""
    path = data_dir / NAME
    try:
        return _read(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise PeersStartError(f"{path} cannot be used: {error.strerror}", passes=not stays(error)) from error


def keep(data_dir: Path, secret: bytes) -> None:
    """Put the secret into a data directory, durable on return. Raises `OSError`."""
    _write(data_dir, NAME, secret)


def copies(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of this user's copies, which need not exist; None for a user without a home of his own."""
    named, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    base = Path(named) if named.startswith("/") else Path(home) / ".local" / "state"
    above = base if named.startswith("/") else Path(home)
    if not (named or home).startswith("/"):
        return None
    while not above.exists() and named and above != above.parent:
        above = above.parent  # a state folder that was named, and not made yet
    try:
        mine = above.is_dir() and above.stat().st_uid == os.geteuid()
    except OSError:
        return None
    return base / "visord" / "peers" if mine else None


def leave_copy(folder: Path | None, address: str, secret: bytes) -> None:
    """Leave a copy for this user's next node on this machine, where that can be done."""
    if folder is None or not _is_here(address):
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return
        if stat.S_IMODE(found.st_mode) & PRIVATE:
            folder.chmod(0o700)
        _write(folder, address, secret)
    except OSError as error:
        logger.info("no copy of the cluster's secret in %s: %s", folder, error)


def find_copy(folder: Path | None, joins: Iterable[str]) -> tuple[bytes, Path] | None:
    """Return the copy for the first of these addresses that has one, and where it is; None where none has."""
    for address in joins if folder is not None else ():
        assert folder is not None
        if not _is_here(address):
            continue
        path = folder / address
        try:
            found = folder.lstat()
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & PRIVATE:
                continue
            return _read(path), path
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("%s is not used: %s", path, error.strerror)
    return None


def _is_here(address: str) -> bool:
    with contextlib.suppress(ValueError):
        return "/" not in address and addresses.is_loopback(addresses.split(address)[0])
    return False


def _read(path: Path) -> bytes:
    """Return the secret in a regular file that only this user can read. Raises `OSError`."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(1, "it is no regular file", str(path))
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & PRIVATE:
            raise PermissionError(
                1, "other users can read or write it: chmod 0600, or make a new one", str(path)
            )
        secret = os.read(fd, MOST).strip()
    finally:
        os.close(fd)
    if len(secret) < RANDOM_BYTES or len(secret.split()) != 1:
        raise PermissionError(1, "there is no secret in it", str(path))
    return secret


def _write(folder: Path, name: str, secret: bytes) -> None:
    temporary = folder / f"{name}.{os.getpid()}.tmp"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(fd, secret + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)
