"""The commands of leases: grant, revoke, expire.

    [36, id, acked, ttl, wanted = 0]      GRANT    -> [rev, lease, ttl]       takes no rev
    [37, id, acked, lease, note = nil]    REVOKE   -> rev                     deletes its files in one rev
    [38, id, acked, lease, term]          EXPIRE   -> rev                     the same, told as expired

EXPIRE comes from the leader alone. Where nothing is attached, no rev is taken.
"""

from __future__ import annotations

from typing import Any, Final

from visord.state import fields
from visord.state.lease import Lease
from visord.state.refusal import Refusal
from visord.state.sessions import Outcome
from visord.state.store import Store

_GRANT_DEFAULTS: Final[list[Any]] = [0]
_REVOKE_DEFAULTS: Final[list[Any]] = [None]


def grant(store: Store, owner: str, session: bytes | None, frame: list[Any]) -> Outcome:
    """Make a lease of a session, or of an owner's clients without one."""
    wrong = fields.length(frame, 4, 5)
    if wrong is not None:
        return wrong
    _, _, _, ttl, wanted = frame + _GRANT_DEFAULTS[len(frame) - 4 :]
    if not store.bounds.by_owner:
        owner, session = "", None  # as a checkpoint of that time has it
    lease = store.leases.grant(ttl, wanted, owner, session, by_owner=store.bounds.by_owner)
    return lease if isinstance(lease, Refusal) else [store.rev, lease.id, lease.ttl]


def revoke(store: Store, time: int, actor: str, frame: list[Any]) -> Outcome:
    """End a lease because its holder, or an operator, says so."""
    wrong = fields.length(frame, 4, 5)
    if wrong is not None:
        return wrong
    _, _, _, number, note = frame + _REVOKE_DEFAULTS[len(frame) - 4 :]
    lease = fields.note(note, store.limits) or store.leases.find(number)
    return lease if isinstance(lease, Refusal) else _end(store, time, actor, note, lease, expired=False)


def expire(store: Store, time: int, actor: str, frame: list[Any]) -> Outcome:
    """End a lease that nobody kept alive; the machine has compared the term."""
    lease = store.leases.find(frame[3])
    if isinstance(lease, Refusal):
        return lease
    return _end(store, time, actor, f"lease {lease.id} expired", lease, expired=True)


def _end(store: Store, time: int, actor: str, note: str | None, lease: Lease, *, expired: bool) -> int:
    rev = store.rev
    if lease.files:
        rev = store.commit(time, actor, note, [(path, None, 0) for path in lease.files], expired=expired)
    store.leases.end(lease)
    return rev
