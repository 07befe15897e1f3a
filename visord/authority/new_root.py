"""A new token for root, for whoever has lost the last one and has the machine of a member: `visord recover --new-root`.

    stopped    note(disk, path, token)     leaves the token's id and digest in the member's directory, 0600
    started    NewRoot(...).tick()         once the member leads, it writes both into the log in the cluster's own name:
                                           root has the role root and this token; then the note goes

Who owns a member's disk owns all there is on it, so this gives nobody more than he has; but it is loud: a warning in
the log, a line in the audit, a token in `visor token ls`. A member that does not lead asks to: only a leader can write
in the cluster's name. A crash in between leaves the note, and what was written twice is written once: the token has
an id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgpack

from visor.protocol import tokens, verbs
from visor.protocol.frames import Message
from visord.state.auth.auth_store import DIGEST, ROOT, AuthStore
from visord.state.auth.principal import NOBODY
from visord.state.formats import RIGHTS
from visord.state.refusal import Refusal
from visord.storage import guard
from visord.storage.directory import lock_directory, require_directory, require_identity
from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.errors import StorageError

logger = logging.getLogger("visord.cluster")

NAME: Final = "new-root"
MOST: Final = 256
"""Bytes of the note."""
PURPOSE: Final = "recover --new-root"
AGAIN_SECONDS: Final = 5.0
"""Between two attempts to lead, or to write."""


class NoteError(Exception):
    """A note that cannot be read; the text names it."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def is_leader(self) -> bool: ...


def note(disk: Disk, path: str, token: str) -> None:
    """Leave what a stopped member writes once it leads; durable on return. Raises what a start raises, and OSError."""
    made = tokens.read(token)
    assert made is not None
    require_directory(disk, path)
    guard.require_safe(disk, path)
    lock = lock_directory(disk, path)
    try:
        require_identity(disk, path)
        write_atomic(disk, path, NAME, (msgpack.packb([made.id, tokens.digest(made.secret)]),))
    finally:
        lock.release()


def noted(disk: Disk, path: str) -> tuple[str, bytes] | None:
    """Return id and digest of the token that is to be made; None where there is none. Raises `NoteError`."""
    file = join(path, NAME)
    if not disk.exists(file):
        return None
    try:
        number, digest = msgpack.unpackb(read_all(disk, file, MOST))
    except (ValueError, TypeError) as error:
        raise NoteError(
            f"{file} cannot be read: remove it, and run visord recover --new-root again"
        ) from error
    if type(number) is not str or type(digest) is not bytes or len(digest) != DIGEST:
        raise NoteError(
            f"{file} is none that visord recover --new-root has left: remove it, and run that again"
        )
    return number, digest


class NewRoot:
    """See the module. `current()`: this node has caught up; `lead(answer)`: have this member lead;
    `submit(author, frames, size)`: propose writes."""

    session: bytes | None = None
    actor = PURPOSE
    principal = NOBODY

    def __init__(
        self,
        disk: Disk,
        path: str,
        consensus: Consensus,
        table: Callable[[], AuthStore],
        form: Callable[[], int],
        time: Callable[[], float],
        current: Callable[[], bool],
        lead: Callable[[Callable[[bool, Any], None]], None],
        submit: Callable[[Any, list[Message], int], None],
    ) -> None:
        self._disk, self._path = disk, path
        self._consensus = consensus
        self._table, self._form, self._time = table, form, time
        self._current, self._lead, self._submit = current, lead, submit
        self._wanted: tuple[str, bytes] | None = None
        self._next = 0.0
        try:
            self._wanted = noted(disk, path)
        except (NoteError, OSError, StorageError) as error:  # no reason for a member not to serve
            logger.error("root gets no new token: %s", error)
        if self._wanted is not None:
            logger.warning("root gets a new token, %s, as soon as this member leads", self._wanted[0])

    @property
    def waits(self) -> bool:
        """Whether there is something to be written."""
        return self._wanted is not None

    def tick(self) -> None:
        """From time to time."""
        if self._wanted is None or not self._current() or self._time() < self._next:
            return
        self._next = self._time() + AGAIN_SECONDS
        number, digest = self._wanted
        if number in self._table().tokens:
            self._done(number)
        elif self._form() < RIGHTS:
            logger.warning("root's new token has to wait: a member runs a version that knows no users")
        elif self._consensus.is_leader:
            row = {"id": number, "user": ROOT, "digest": digest, "purpose": PURPOSE}
            frames: list[Message] = [
                [verbs.AUTH, 1, 0, "set_user", {"name": ROOT, "roles": [ROOT]}],
                [verbs.AUTH, 2, 0, "add_token", row],
            ]
            self._submit(self, frames, 1024)
        else:
            self._lead(self._led)

    def _led(self, yes: bool, told: Any) -> None:
        if not yes:
            logger.warning("root's new token has to wait until this member leads: %s", told)

    def complete(self, frames: list[Message], outcomes: Sequence[Any]) -> None:
        """What became of both writes; they are tried again unless the token is there."""
        refused = [outcome.text for outcome in outcomes if isinstance(outcome, Refusal)]
        if refused:
            logger.warning("root's new token was refused: %s", "; ".join(refused))
        elif self._wanted is not None:
            self._done(self._wanted[0])

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        """They were not done, or nobody knows."""
        logger.warning("root's new token could not be written yet: %s", refusal.text)

    def _done(self, number: str) -> None:
        self._wanted = None
        try:
            self._disk.unlink(join(self._path, NAME))
            self._disk.sync_dir(self._path)
        except OSError as error:  # the next start finds the token in the registry, and takes the note away
            logger.warning("%s cannot be removed: %s", join(self._path, NAME), error.strerror)
        logger.warning("root has a new token, %s: made offline, by visord recover --new-root", number)
