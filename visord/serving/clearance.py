"""What one client may do now: its rights, looked up again when anybody's may have changed.

    clearance = Clearance(authorization, reporting)
    refusal = clearance.prove(token, certificate, "10.0.0.7")     from here on it is somebody: `principal`
    clearance.now()                                               its rights; None: everything
    clearance.quick()                                             the same, for reads that are judged by nothing else
    clearance.denial(message)                                     why a message must not be executed; None when it may

Nothing is cached longer than the rights of everybody stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.audit import recorded
from visord.serving.authorization import WRONG_PASSWORD, Authorization, Proven
from visord.serving.passwords import Passwords
from visord.serving.reporting import Reporting
from visord.state.auth.auth_store import NOTHING
from visord.state.auth.effort import BATCH, MESSAGE, WATCHES, Effort
from visord.state.auth.judge import UNPROVEN
from visord.state.auth.own import is_of_itself
from visord.state.auth.principal import ANONYMOUS, author_of, owner_of
from visord.state.auth.rights import Rights
from visord.state.refusal import Refusal, bad_request, session_lost
from visord.tls.identity import Certified
from visord.watch.subscription import Verdicts

LOST: Final = session_lost("nothing is known here of such a session")


STRANGERS: Final = "?"
"""The party of all who have proven nothing on a registry where nobody may do anything: as many as there are, one."""


class Clearance:
    """See the module."""

    __slots__ = (
        "_address",
        "_authorization",
        "_if_closed",
        "_judged",
        "_passwords",
        "_reporting",
        "_rights",
        "_said",
        "_version",
        "principal",
        "user",
    )

    def __init__(self, authorization: Authorization, reporting: Reporting, passwords: Passwords) -> None:
        self._authorization = authorization
        self._reporting = reporting
        self._passwords = passwords
        self._address = self._said = ""
        self.user = ANONYMOUS
        self.principal = ANONYMOUS
        """In whose name it asks and writes, as the log names authors; in nobody's only the cluster itself does."""
        self._rights: Rights | None = None
        self._version = -1
        self._if_closed: tuple[int, Rights] = (-1, NOTHING)
        """What it could do if the registry were closed, and the version that is of."""
        self._judged: Rights | None = None
        """By which its watches were judged."""

    def prove(self, token: str | None, certificate: Certified | None, owner: str) -> Refusal | None:
        """Take somebody for whom its token proves it to be, or else its certificate, or for `owner`, as what everybody
        is; or return why not."""
        proven = self._authorization.prove(token, certificate, owner)
        self._address = owner
        if isinstance(proven, Refusal):
            self._reporting.turned_away(proven, owner)
            return proven
        self._become(proven)
        return None

    def _become(self, proven: Proven) -> None:
        self.user = proven.user
        self.principal = self._address or ANONYMOUS if proven.user == ANONYMOUS else author_of(*proven)
        self._version = -1
        self._judged = self.now()
        self._reporting.came(self.principal, self._address)

    def says(self, actor: str) -> None:
        """Note what the client says of itself."""
        self._said = actor

    @property
    def signature(self) -> str:
        """Who is named in history: what has been proven, then what the client says of itself."""
        if self.user == ANONYMOUS:
            return self._said
        return f"{self.user}/{self._said}" if self._said else self.user

    def password(self, asked: list[Any], reply: Callable[[Any], object]) -> None:
        """Do PASSWORD: `["digest", password]`, or `["prove", user, password]`, by which it is somebody from then on."""
        if len(asked) == 2 and asked[0] == "digest":
            self._passwords.digest(asked[1], self._address, reply)
        elif len(asked) != 3 or asked[0] != "prove":
            reply(bad_request("question", "digest and a password, or prove, a user and a password", None))
        elif self.user != ANONYMOUS:
            reply(self._proven_already())
        else:
            self._prove_by_password(asked[1], asked[2], reply)

    def _proven_already(self) -> Refusal:
        return bad_request("user", f"nobody who is proven already: this connection is {self.user}'s", None)

    def _prove_by_password(self, user: Any, password: Any, reply: Callable[[Any], object]) -> None:
        digest = self._authorization.password(user)
        if isinstance(digest, Refusal):
            reply(digest)
            return

        def told(result: Any) -> None:
            proven = (
                self._authorization.by_password(user, digest) if result is True else result or WRONG_PASSWORD
            )
            if isinstance(proven, Refusal):
                self._reporting.turned_away(proven, self._address)
                reply(proven)
            elif self.user != ANONYMOUS:  # since it asked: its watches are judged as that user's
                reply(self._proven_already())
            else:
                self._become(proven)
                reply({"user": user})

        self._passwords.prove(digest, password, self._address, told)

    def now(self) -> Rights | None:
        """Return what it may do now; None: everything."""
        if self._version != self._authorization.version:
            self._version = self._authorization.version
            self._rights = self._authorization.rights(self.principal)
        return self._rights

    @property
    def unknown(self) -> bool:
        """Whether it has proven nothing, and everybody may do nothing: then it is told nothing of the registry."""
        return self.user == ANONYMOUS and self.nobody

    @property
    def party(self) -> str:
        """With whom it shares the loop's time: its user, or all others of whom nothing is known; "": its address."""
        if self.user != ANONYMOUS:
            return owner_of(self.principal)
        return STRANGERS if self.unknown else ""

    def quick(self) -> Rights | None:
        """Return by what a read may be answered at once; rights to nothing where each is to be looked at."""
        authorization = self._authorization
        if authorization.rehearses and authorization.rehearsing:
            return NOTHING
        return self._rights if self._version == authorization.version else self.now()

    def denial(self, message: Message) -> Refusal | None:
        """Return why a message must not be executed now; None when it may. Writes are judged where they are applied."""
        rights = self.now()
        if rights is None:
            if self._authorization.rehearsing:
                self._rehearse(message, Effort(MESSAGE))
            return None
        denial = self._authorization.denial(rights, self.principal, message)
        if denial is not None:
            self.report(message, denial)
        return denial

    @property
    def nobody(self) -> bool:
        """Whether it has no grant at all."""
        rights = self.now()
        return rights is not None and not rights.any

    def allowed(
        self, writes: Iterable[Message], session: bytes | None, refuse: Callable[[int, Refusal], None]
    ) -> list[Message]:
        """Refuse, of the writes of nobody, what is denied, and return the rest: no stranger fills the log of all
        members with what is judged there. A retry goes on where there is its session, which nobody guesses: it is told
        what became of a write that was done while it was allowed."""
        allowed = []
        remembered = self._authorization.remembers(session)
        proven = self.now() is not UNPROVEN
        for write in writes:
            if write[0] == verbs.RETRY:
                denial = None if remembered else LOST
            elif proven and is_of_itself(self.principal, write):
                denial = None  # its password is enough, without any grant
            else:
                denial = self.denial(write)
            if denial is None:
                allowed.append(write)
            else:
                refuse(write[1], denial)
        return allowed

    def rehearse(self, writes: Iterable[Message]) -> None:
        """Writes are judged where they are applied: while rehearsing, tell here which would be denied, as far as
        judging them together may go there."""
        if self._authorization.rehearsing:
            effort = Effort(BATCH)
            for write in writes:
                if effort.over:
                    return
                self._rehearse(write, effort)

    def _rehearse(self, message: Message, effort: Effort) -> None:
        version, rights = self._if_closed
        if version != self._authorization.version:
            rights = self._authorization.rights_if_closed(self.principal)
            self._if_closed = self._authorization.version, rights
        denial = self._authorization.denial(rights, self.principal, message, effort)
        if denial is not None:
            self._reporting.denied(message, denial, self.principal, self._address, recorded.WOULD_DENY)

    def report(self, message: Message, denial: Refusal) -> None:
        """It has asked for what it may not: tell the audit."""
        self._reporting.denied(message, denial, self.principal, self._address)

    def judge_again(self) -> Verdicts | None:
        """Return what tells of a selector why a watch of it must not go on; None: all may, as before."""
        before, self._judged = self._judged, self.now()
        rights = self._judged
        if rights is None or rights is before:
            return None
        effort = Effort(WATCHES)
        return lambda selector: self._authorization.denial(
            rights, self.principal, [verbs.WATCH, 1, selector], effort
        )

    def answer(self, message: Message) -> object:
        """Return the `result` of OK for ACCESS, or a Refusal."""
        return self._authorization.answer(self.principal, message)
