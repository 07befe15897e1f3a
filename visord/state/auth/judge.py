"""Judging one message: whether the rights of who sends it reach as far as it needs.

    judge = Judge(table, find_lease)
    rights = judge.rights("user:ci/k3x9q2mv7a", now)      None: everything, nothing has to be asked
    judge.refusal(rights, "user:ci", message)             why it must not be executed; None: it may

What proves the author is judged as well: a token that was taken back, or has expired by the command's time, gives
nothing, not even what everybody has.

A refusal says what is missing and nothing of what is there: it is the same whether or not there is such a file. A lease
of another user is not there. One of somebody unproven is everybody's who knows its number, but whoever did not grant it
ends it only where it may delete what is attached to it, and looks at it only where it may read that. A write that
changes, by name, a file that is attached to a lease of another user may attach to it what it writes: a deployer stops
an instance, whose entries still go with its host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visor.protocol.verbs import ACCESS, SEL_PATH
from visord.state.auth.auth_store import EVERYTHING, AuthStore
from visord.state.auth.effort import Effort
from visord.state.auth.grant import ADMIN, WRITE
from visord.state.auth.needs import Needs, Past, ever, needs
from visord.state.auth.principal import ANONYMOUS, credential_of, is_of, user_of
from visord.state.auth.rights import Rights
from visord.state.lease import Lease
from visord.state.refusal import Refusal, lease_not_found

UNPROVEN: Final = Rights(())
"""What somebody may do whose credential proves nothing any more."""


TOO_MUCH: Final = Refusal(
    "overloaded", "judging this takes too long beside all that is judged with it: ask again, or in parts", {}
)


class Judge:
    """See the module. `find_lease(lease)` returns a lease, None where there is no such one."""

    def __init__(self, table: AuthStore, find_lease: Callable[[int], Lease | None], limits: Limits) -> None:
        self._table = table
        self._find_lease = find_lease
        self._limits = limits

    def rights(self, author: str, now: int) -> Rights | None:
        """Return what an author may do at a time in ms; None: everything."""
        user = user_of(author)
        if user is None:
            return None
        credential = credential_of(author)
        if credential and not self._table.proves(credential, user, now):
            return UNPROVEN
        rights = self._table.rights(user)
        return None if rights.everything else rights

    def refusal(
        self,
        rights: Rights,
        owner: str,
        message: Message,
        effort: Effort,
        past: Past = ever,
        *,
        attached: bool = True,
    ) -> Refusal | None:
        """Return why the message must not be executed; None when it may. Not `attached`: what is attached to a lease
        does not count, as in commands of before."""
        needed = needs(message, self._limits, past)
        if isinstance(needed, Refusal):
            return needed
        if rights is UNPROVEN and (needed.known or message[0] == ACCESS):  # nobody asks as who it was
            return denied("another token: the one shown has expired or was taken back")
        if needed.known and user_of(owner) == ANONYMOUS and not rights.any:
            return denied("a token, or another proof of who you are")
        missing = rights.missing(needed.grants, effort)
        if missing is not None:
            return TOO_MUCH if effort.over else denied(str(missing))
        if needed.leases and not rights.covers(ADMIN, EVERYTHING, effort):
            for number in needed.leases:
                lease = self._find_lease(number)
                if lease is None or lease.owner == owner:
                    continue
                if not attached:
                    refused = None if is_of(lease.owner, owner) else lease_not_found(number)
                elif is_of(lease.owner, owner):
                    refused = _unproven(rights, lease, needed.attached, effort)
                else:
                    refused = None if _changes(needed, lease) else lease_not_found(number)
                if refused is not None:
                    return refused
        return None


def _unproven(rights: Rights, lease: Lease, right: str | None, effort: Effort) -> Refusal | None:
    """Return why a lease that nobody has proven to have granted is not for who has these rights."""
    if right is None:
        return None
    effort.left -= rights.price * len(lease.files)
    if effort.over:
        return TOO_MUCH
    # That it is there, and what is attached to it, may not be known either.
    return None if all(rights.may(right, path) for path in lease.files) else lease_not_found(lease.id)


def _changes(needed: Needs, lease: Lease) -> bool:
    """Tell whether a message changes a file by name that is attached to a lease."""
    written = (need.selector for need in needed.grants if need.right == WRITE)
    return any(selector.kind == SEL_PATH and selector.base in lease.files for selector in written)


def denied(missing: str) -> Refusal:
    """Return the refusal of who lacks something."""
    return Refusal("denied", f"denied: this needs {missing}", {"missing": missing})
