"""Who a client is and what it may do now, by the state that this node has applied.

    authorization.prove(token, certificate, address)    -> Proven("ci", "k3x9q2mv7a"), or a Refusal
    authorization.rights("user:ci/k3x9q2mv7a")          what it may do; None: everything
    authorization.denial(rights, principal, message)    why a message must not be executed; None when it may

Rights stay what they are while `version` does: who asks often keeps them. It rises when the table has changed
(`applied`) and when a token has expired (`tick`); writes are judged where they are applied, by the time of their
command, so that no tick decides over them.

Of a rev that was the latest less than `PRESENT_MS` ago no `history` is needed: pages of one answer, a snapshot that was
just taken, and a watch that goes on after a lost connection name such a rev, and tell nothing that could not be read a
moment ago.

A node that has not caught up since it started may not know a token yet that was made while it was away: it says that it
cannot tell (`no_quorum`), and clients ask again, here or elsewhere.

Whether a token is unknown, was taken back, has expired or is not whole is one answer. How long that takes says nothing
of the secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from visor.protocol import tokens, verbs
from visor.protocol.frames import Message
from visord.authority.office import NO_AUTHORITY
from visord.state import fields
from visord.state.auth.effort import MESSAGE, Effort
from visord.state.auth.principal import ANONYMOUS, certified_by, owner_of, password_of, user_of
from visord.state.auth.rights import Rights
from visord.state.auth.told import answer
from visord.state.formats import SECRETS
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.tls.identity import Certified

PRESENT_MS: Final = 300_000
"""For how long a rev that is not the latest any more counts as present."""


AUTHORITY: Final = "authority"
"""The question for the digest of the cluster's own authority: what tokens to join begin with."""


class Proven(NamedTuple):
    """A user, and what has proven it; "" where nothing had to."""

    user: str
    credential: str


NOBODY: Final = Proven(ANONYMOUS, "")
NOT_PROVEN: Final = Refusal(
    "denied", "the token is unknown, has expired or was taken back, or is not whole: ask for another one", {}
)

WRONG_PASSWORD: Final = Refusal("denied", "there is no such user, or that is not its password", {})

NOT_YET: Final = Refusal(
    "no_quorum", "this node has not caught up since it started, and cannot tell who that is: ask again", {}
)


class Authorization:
    """See the module. `now()`: ms since 1970. `current()`: this node has caught up since it started.

    `authority()`: the digest of the cluster's own authority; None where it has none.
    """

    def __init__(
        self,
        machine: Machine,
        now: Callable[[], int],
        current: Callable[[], bool] = lambda: True,
        authority: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._machine = machine
        self._now = now
        self._current = current
        self.unix_users: Mapping[int, str] = {}
        """Who the users of this machine's system are, by their number, when they come by the Unix socket."""
        self.rehearses = False
        """Tell what would be denied if the registry were closed, while it is open."""
        self._authority = authority
        self.version = 0
        """Rises whenever anybody's rights may be others than they were."""
        self._table = machine.auth
        self._seen = machine.auth.version
        self._next = machine.auth.next_expiry(now())

    def applied(self) -> bool:
        """Something was applied, or another state was taken over: tell whether rights may have changed."""
        table = self._machine.auth
        if table is self._table and table.version == self._seen:
            return False
        self._changed()
        return True

    def tick(self) -> bool:
        """From time to time: tell whether a token has expired since."""
        if self._next is None or self._now() < self._next:
            return False
        self._changed()
        return True

    def _changed(self) -> None:
        self._table = self._machine.auth
        self._seen = self._table.version
        self._next = self._table.next_expiry(self._now())
        self.version += 1

    def prove(
        self, text: str | None, certificate: Certified | None = None, address: str = ""
    ) -> Proven | Refusal:
        """Return who a client is: by its token, else by its certificate, else as a user of this machine's system (by
        the Unix socket that it comes from, `address`), else nobody.

        A certificate of a user that the registry does not know proves nothing: its holder is as everybody is.
        """
        if text is None:
            return self._certified(certificate) or self._local(address) or NOBODY
        shown = tokens.read(text)
        if shown is None:
            return NOT_PROVEN
        unproven = NOT_PROVEN if self._current() else NOT_YET
        table = self._machine.auth
        known = table.tokens.get(shown.id)
        kept = bytes(32) if known is None else known.digest
        equal = hmac.compare_digest(kept, tokens.digest(shown.secret))
        if known is None or not equal or not table.proves(shown.id, known.user, self._now()):
            return unproven
        return Proven(known.user, shown.id)

    def _certified(self, certificate: Certified | None) -> Proven | None:
        user = None if certificate is None else certificate.user
        if certificate is None or user is None or user not in self._machine.auth.users or user == ANONYMOUS:
            return None
        return Proven(user, certified_by(certificate.fingerprint))

    def _local(self, address: str) -> Proven | None:
        """Return who a user of this machine is, as its kernel tells: `unix:1000`."""
        kind, colon, number = address.partition(":")
        if kind != "unix" or not colon or not number.isdecimal():
            return None
        user = self.unix_users.get(int(number))
        return None if user is None or user not in self._machine.auth.users else Proven(user, "")

    def password(self, user: Any) -> str | Refusal | None:
        """Return the digest that a user's password has to fit; None: there is none. Or why that is not known now."""
        if not self._current():
            return NOT_YET
        if self._machine.format < SECRETS:
            return Refusal(
                "unsupported", "a member of the cluster runs a version that knows no passwords", {}
            )
        known = self._machine.auth.users.get(user) if type(user) is str else None
        return None if known is None else known.password

    def by_password(self, user: str, digest: str | None) -> Proven | Refusal:
        """Return who has just said the password of this digest: it may have been changed since it was asked for."""
        known = self._machine.auth.users.get(user)
        if digest is None or known is None or known.password != digest:
            return WRONG_PASSWORD
        return Proven(user, password_of(digest))

    def is_revoked(self, fingerprint: str) -> bool:
        """Tell whether a certificate was taken back, by its SHA-256 in small hexadecimal digits."""
        return fingerprint in self._machine.auth.revoked

    def rights(self, principal: str) -> Rights | None:
        """Return what a principal may do now; None: everything."""
        return self._machine.judge.rights(principal, self._now())

    @property
    def rehearsing(self) -> bool:
        """Whether what would be denied is told now."""
        return self.rehearses and self._machine.auth.open

    def rights_if_closed(self, principal: str) -> Rights:
        """Return what a principal could do if the registry were closed."""
        return self._machine.auth.rights_if_closed(user_of(principal) or ANONYMOUS)

    def remembers(self, session: bytes | None) -> bool:
        """Tell whether there is such a session here."""
        return session is not None and self._machine.sessions.get(session) is not None

    def denial(
        self, rights: Rights, principal: str, message: Message, effort: Effort | None = None
    ) -> Refusal | None:
        """Return why a message must not be executed; None when it may."""
        judge = self._machine.judge
        return judge.refusal(rights, owner_of(principal), message, effort or Effort(MESSAGE), self._past)

    def answer(self, principal: str, message: Message) -> Any:
        """Return the `result` of OK for ACCESS, `[20, id, question, arguments, mode]`, or a Refusal."""
        wrong = fields.length(message, 3, 5)
        arguments = message[3] if len(message) > 3 else {}
        mode = message[4] if len(message) > 4 else verbs.LINEARIZABLE
        wrong = wrong or fields.integer("mode", mode, 0, 1)
        if wrong is not None:
            return wrong
        machine = self._machine
        if message[2] == AUTHORITY:
            digest = self._authority()
            return NO_AUTHORITY if digest is None else [machine.store.rev, digest]
        told = answer(machine.auth, principal, message[2], arguments, machine.store.limits)
        return told if isinstance(told, Refusal) else [machine.store.rev, told]

    def _past(self, rev: Any) -> bool:
        """Tell whether a rev is history: another one was the latest for `PRESENT_MS` and longer."""
        store = self._machine.store
        if rev is None or (type(rev) is int and rev >= store.rev):
            return False
        then = store.rev_at(self._now() - PRESENT_MS)
        if isinstance(then, Refusal):  # all that is kept is younger
            return False
        return type(rev) is not int or rev < then
