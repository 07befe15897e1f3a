"""Changes of who belongs to the cluster, asked of any member while everything else goes wrong."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any, Final

from tests.cluster.processes import Cluster, Member
from tests.node_process import NotReady
from tests.wire import Closed, Refused
from visor.protocol import verbs

REMOVED: Final = 78
"""Exit code of a member that was removed."""
GIVE_UP_SECONDS: Final = 90.0
LEAVE_SECONDS: Final = 3.0


class ChangeError(Exception):
    """A change of the members did not succeed, although it could be repeated for long."""


def ask(cluster: Cluster, rng: random.Random, action: str, *arguments: Any) -> dict[str, Any]:
    """Ask a member that can be asked for an action. Raises Refused, Closed, OSError."""
    able = [one for one in cluster.members.values() if one.running() and not one.stopped]
    if not able:
        raise ConnectionRefusedError("nobody runs")
    with rng.choice(able).wire(15.0) as wire:
        answer: dict[str, Any] = wire.call(verbs.ADMIN, action, list(arguments))
        return answer


def transfer(cluster: Cluster, rng: random.Random, target: str | None) -> str:
    """Ask for leadership to be handed on; return how that ended."""
    try:
        ask(cluster, rng, "transfer", target)
    except Refused as refused:
        return refused.code
    except (OSError, Closed):
        return "not asked"
    return "done"


def remove(cluster: Cluster, rng: random.Random, member: str) -> None:
    """Have a member (its id) removed, however often that must be asked for. Raises `ChangeError`."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    why: object = None
    while time.monotonic() < deadline:
        try:
            ask(cluster, rng, "remove", member)
            return
        except (Refused, OSError, Closed) as error:
            why = error
            time.sleep(0.2)
    raise ChangeError(f"{member} could not be removed: {why}")


def await_vote(member: Member, seconds: float) -> bool:
    """Return whether a member that joins serves within a time."""
    with contextlib.suppress(NotReady):
        member.await_ready(seconds)
        return True
    return False


def votes(cluster: Cluster, member: Member) -> bool:
    """Return whether a leader counts a member, as who it is now, among the voters."""
    status = cluster.leader_status()
    with contextlib.suppress(ChangeError, OSError):
        found = identity(member)
        return status is not None and any(
            row["id"] == found and row["role"] == "voter" for row in status["members"]
        )
    return False


def leave(cluster: Cluster, rng: random.Random, member: Member) -> str | None:
    """Have a running member removed; return what is wrong with how it ended.

    One that is cut off never hears that it was removed: it is killed.
    """
    found = identity(member)
    member.expected_down = True
    remove(cluster, rng, found)
    deadline = time.monotonic() + LEAVE_SECONDS
    while member.running() and time.monotonic() < deadline:
        time.sleep(0.05)
    if member.running():
        member.kill()
        return None
    code = member.wait()
    return (
        None
        if code == REMOVED
        else f"{member.name} was removed and ended with {code}: {member.errors()[-1000:]}"
    )


def identity(member: Member) -> str:
    """Return the id of a member, from its data directory: also of one that does not answer."""
    from visord.storage.directory import read_identity
    from visord.storage.disk import OsDisk

    found = read_identity(OsDisk(), str(member.data))
    if found is None:
        raise ChangeError(f"{member.name} has no identity yet")
    return found.member
