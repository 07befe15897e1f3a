"""A node whose state was found to differ from the others' remembers it: it must not serve after a restart either.

The note is a small text file in the data directory, for the next start and for people. Taking it away is the operator's
way to say that the node shall serve again.
"""

from __future__ import annotations

import json
import logging
from typing import Final, NamedTuple

from visord.state.refusal import Refusal
from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.errors import DamageError
from visord.storage.worker import Submitter

logger = logging.getLogger("visord.node")

NAME: Final = "diverged"
NOTE_BYTES: Final = 64 << 10
ADVICE: Final = (
    "Remove this member ('visor cluster remove'), keep its directory for whoever looks for the cause, and let it join "
    "again with an empty one. (To serve from it all the same, delete this file.)"
)


class Divergence(NamedTuple):
    """At `rev` this node had the digest `own`, and a majority of the voters `majority`."""

    rev: int
    own: str
    majority: str

    @property
    def refusal(self) -> Refusal:
        """What each is told that asks this node for anything."""
        text = f"the state of this node differs from the others' at rev {self.rev}: it serves nobody"
        return Refusal("diverged", text, {"rev": self.rev})


def remember(disk: Disk, directory: str, found: Divergence, thread: Submitter) -> None:
    """Remember it, in a thread's time. A failure is only logged: it is found again after a restart."""

    def noted(result: None, error: BaseException | None) -> None:
        if error is not None:
            logger.error("that could not be noted: %s; it is found again after a restart", error)

    thread.submit(lambda: write(disk, directory, found), noted)


def write(disk: Disk, directory: str, found: Divergence) -> None:
    """Remember it, durable on return. Raises `OSError`."""
    text = json.dumps({**found._asdict(), "advice": ADVICE}, indent=2) + "\n"
    write_atomic(disk, directory, NAME, (text.encode(),))


def check(disk: Disk, directory: str) -> None:
    """Raise `DamageError` where a node was found to differ."""
    path = join(directory, NAME)
    if disk.exists(path):
        found = " ".join(read_all(disk, path, NOTE_BYTES).decode("utf-8", "replace").split())[:200]
        raise DamageError(path, None, "a node that holds what the others hold", found, ADVICE)
