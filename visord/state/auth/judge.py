"""Judging one message: whether the rights of who sends it reach as far as it needs.

    judge = Judge(table, lease_owner)
    rights = judge.rights("user:ci/k3x9q2mv7a", now)      None: everything, nothing has to be asked
    judge.refusal(rights, "user:ci", message)             why it must not be executed; None: it may

What proves the author is judged as well: a token that was taken back, or has expired by the command's time, gives
nothing, not even what everybody has.

A refusal says what is missing and nothing of what is there: it is the same whether or not there is such a file. A lease
of another user is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visord.state.auth.auth_store import EVERYTHING, AuthStore
from visord.state.auth.effort import Effort
from visord.state.auth.grant import ADMIN
from visord.state.auth.needs import Past, ever, needs
from visord.state.auth.principal import ANONYMOUS, credential_of, is_of, user_of
from visord.state.auth.rights import Rights
from visord.state.refusal import Refusal, lease_not_found

UNPROVEN: Final = Rights(())
"""What somebody may do whose credential proves nothing any more."""


TOO_MUCH: Final = Refusal(
    "overloaded", "judging this takes too long beside all that is judged with it: ask again, or in parts", {}
)


class Judge:
    """See the module. `lease_owner(lease)`: the owner of a lease, None where there is no such lease."""

    def __init__(self, table: AuthStore, lease_owner: Callable[[int], str | None], limits: Limits) -> None:
        self._table = table
        self._lease_owner = lease_owner
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
        self, rights: Rights, owner: str, message: Message, effort: Effort, past: Past = ever
    ) -> Refusal | None:
        """Return why the message must not be executed; None when it may."""
        needed = needs(message, self._limits, past)
        if isinstance(needed, Refusal):
            return needed
        if needed.known and rights is UNPROVEN:
            return denied("another token: the one shown has expired or was taken back")
        if needed.known and user_of(owner) == ANONYMOUS and not rights.any:
            return denied("a token, or another proof of who you are")
        missing = rights.missing(needed.grants, effort)
        if missing is not None:
            return TOO_MUCH if effort.over else denied(str(missing))
        if needed.leases and not rights.covers(ADMIN, EVERYTHING, effort):
            for lease in needed.leases:
                of = self._lease_owner(lease)
                if of is not None and not is_of(of, owner):
                    return lease_not_found(lease)
        return None


def denied(missing: str) -> Refusal:
    """Return the refusal of who lacks something."""
    return Refusal("denied", f"denied: this needs {missing}", {"missing": missing})
