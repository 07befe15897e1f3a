"""Where certificates are made: the leader's part, and how every other member asks for it.

    a door, or this member  --ENROL 7, "join", [...]-->  the leader: its rights, its key  --ENROLLED 7, ok, result-->

    join     [token's id, secret, member id, name, hosts, request]   from a machine with a token; a door passes it
    renew    [request, certificate]                                  a member asks for itself, see `renewal`

To leave it to the leader makes a token good for one machine: the leader alone notes its use in the log, in nobody's
name, so no client and no other member can; and only when that is committed, it signs. It has confirmed before that it
leads, so a token that was taken back is not taken here. Asked again for the same key, as after a lost answer, it makes
the certificate again.

Names come from the token: its name, and its hosts. Where it names none, the machine says its own, and gets them if no
other member has them; that it is called like a member that there is, never.

The secret of a token goes from member to member, so only within TLS.
"""

from __future__ import annotations

import datetime
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from visor.protocol import tokens, verbs
from visor.protocol.frames import Message
from visord import addresses
from visord.authority.issuing import (
    SERIAL_BITS,
    Authority,
    CertificateError,
    MemberNames,
    all_hosts,
    key_digest,
    names_of,
    read_certificate,
    read_request,
    spelled,
)
from visord.members.leader_calls import CallKind, Fields, LeaderCalls
from visord.naming import not_a_name
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import Configuration, ConfigurationError, Member
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.join_table import JoinRow, JoinTable
from visord.state.auth.principal import NOBODY
from visord.state.formats import SECRETS
from visord.state.refusal import NO_LEADER, Refusal, bad_request

logger = logging.getLogger("visord.authority")

Made: TypeAlias = Mapping[str, Any] | Refusal
"""What came of a question: the certificate with what belongs to it, or why there is none."""
Answer: TypeAlias = Callable[[Made], None]

JOIN: Final = "join"
RENEW: Final = "renew"
PATIENCE_SECONDS: Final = 4.0
"""Below the time in which a connection has to say HELLO: the answer has to come before."""
MOST: Final = 16
"""Questions of one member that wait for their answer here."""
RETRIED: Final = frozenset({"not_leader", "no_quorum", "closing"})
OVERLOADED: Final = Refusal("overloaded", f"{MOST} certificates are being made already", {"limit": MOST})
NO_AUTHORITY: Final = Refusal(
    "unsupported",
    "this cluster has no authority of its own (visord init): members bring their certificates",
    {},
)
NO_KEY: Final = Refusal("no_quorum", "the leader does not hold the authority's key yet", {})
NOT_KNOWN: Final = Refusal(
    "denied", "the token to join is unknown, was taken back, or has expired long ago: make another one", {}
)


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def term(self) -> int: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class World(NamedTuple):
    """What comes from outside."""

    now_ms: Callable[[], int]
    time: Callable[[], float]
    random_bits: Callable[[int], int]


class _Use:
    """The note in the log that a token was used, on its way. It writes in nobody's name, which the leader alone can."""

    session: bytes | None = None
    actor = "join"
    principal = NOBODY

    def __init__(self, then: Callable[[Refusal | None], None]) -> None:
        self._then = then

    def complete(self, frames: list[Message], outcomes: Sequence[Any]) -> None:
        self._then(outcomes[0] if isinstance(outcomes[0], Refusal) else None)

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        self._then(refusal)


class Asked(NamedTuple):
    """What a machine asks for that wants to join."""

    token: str
    secret: bytes
    member: str
    name: str
    hosts: list[str]
    request: bytes


class Office:
    """See the module. `authority` None: this cluster has none.

    `table()`: the rights that are applied here. `confirm(reader)`: `reader(True)` when they are as new as any.
    `submit(author, frames, size)`: propose writes. `form()`: the format of commands in force. `clusters`: the
    id of this cluster, then those of the generations before, which had the same authority (`visord recover`).
    """

    def __init__(
        self,
        authority: Authority | None,
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        world: World,
        first_id: int,
        table: Callable[[], AuthStore],
        confirm: Callable[[Callable[[bool], None]], None],
        submit: Callable[[Any, list[Message], int], None],
        form: Callable[[], int],
        clusters: Sequence[str],
    ) -> None:
        self.authority = authority
        self.cluster = clusters[0]
        """Whose members' certificates are made here."""
        self._before = frozenset(clusters[1:])
        self._consensus = consensus
        self._world = world
        self._table = table
        self._confirm = confirm
        self._submit = submit
        self._form = form
        kind = CallKind(
            msg.ENROL,
            msg.ENROLLED,
            self._serve,
            again=lambda fields: not fields[0] and fields[1][0] in RETRIED,
            most=MOST,
            overloaded=tuple(_fields_of(OVERLOADED)),
        )
        self._calls = LeaderCalls(kind, consensus, send, world.time, first_id)
        self.handlers: dict[int, Handler] = self._calls.handlers
        self._waiting = 0

    @property
    def digest(self) -> bytes | None:
        """By what the cluster's authority is known; None where it has none."""
        return None if self.authority is None else self.authority.digest

    # -- asking -----------------------------------------------------------------------------------------------

    def join(self, asked: Asked, reply: Answer) -> None:
        """Have the certificate of a machine made that joins; `reply` may be called within this call.

        Who has no token costs the leader nothing: that is found here, as soon as this node is as new as any.
        """
        if self.authority is None or self._form() < SECRETS:
            reply(NO_AUTHORITY)
            return

        def current(yes: bool) -> None:
            if not yes:
                reply(NO_LEADER)
            elif self._proven(asked) is None:
                reply(NOT_KNOWN)
            else:
                self._ask(JOIN, list(asked), reply)

        self._confirm(current)

    def _proven(self, asked: Asked) -> JoinRow | None:
        """Return the token whose secret this is; None when there is none."""
        token = self._table().joins.find(asked.token)
        kept = bytes(32) if token is None else token.digest
        equal = hmac.compare_digest(kept, tokens.digest(asked.secret))
        return token if equal else None

    def renew(self, request: bytes, certificate: bytes, reply: Answer) -> None:
        """Have the certificate of this member made again, for another key: here where the authority's key is."""
        if self.authority is not None and self.authority.signs:
            reply(self._renewed(self._consensus.member, request, certificate))
            return
        self._ask(RENEW, [request, certificate], reply)

    def _ask(self, what: str, fields: list[Any], reply: Answer) -> None:
        if self.authority is None or self._form() < SECRETS:
            reply(NO_AUTHORITY)
            return
        if self._waiting >= MOST:
            reply(OVERLOADED)
            return
        self._waiting += 1

        def told(answer: Fields | None) -> None:
            self._waiting -= 1
            if answer is None:
                reply(NO_LEADER)
            else:
                reply(answer[1] if answer[0] else Refusal(*answer[1]))

        self._calls.ask([what, fields], told, self._world.time() + PATIENCE_SECONDS)

    def expected(self, member: Member) -> Member:
        """Return a new member as its token lets it in. Raises `ConfigurationError` for one that used none.

        So it takes more than a certificate to become one: who once had the authority's key is not taken in by it.
        """
        if self.authority is None:
            return member
        token = self._table().joins.used_for(member.id)
        if token is None or token.expires <= self._world.now_ms():
            raise ConfigurationError(
                f"no token to join was used for {member.name} ({member.id}) within a day: `visord join` again, in an "
                "empty directory",
                "denied",
            )
        if token.name not in ("", member.name):
            raise ConfigurationError(f"its token is for a member that is called {token.name}", "denied")
        return member._replace(wants_vote=member.wants_vote and not token.learner)

    def tick(self) -> None:
        """From time to time: ask the next leader what the last one did not answer; give up what is late."""
        self._calls.tick()

    # -- answering --------------------------------------------------------------------------------------------

    def _serve(self, member: str, fields: Fields, reply: Callable[[Fields], None]) -> None:
        what, arguments = fields[:2]

        def answer(result: Made) -> None:
            reply(_fields_of(result))

        if self.authority is None:
            answer(NO_AUTHORITY)
        elif not self.authority.signs:
            answer(NO_KEY)
        elif what == JOIN and _is_asked(arguments):
            asked = Asked(*arguments)
            self._confirm(
                lambda yes: self._joins(asked, answer) if yes else answer(NO_KEY._replace(text="no leader"))
            )
        elif what == RENEW and len(arguments) == 2 and all(type(each) is bytes for each in arguments):
            answer(self._renewed(member or self._consensus.member, *arguments))
        else:
            answer(bad_request("what", f"{JOIN} or {RENEW}, with its fields", what))

    def _joins(self, asked: Asked, answer: Answer) -> None:
        found = self._judged(asked)
        if isinstance(found, Refusal):
            answer(found)
            return
        token, names, name, key = found

        def used(refusal: Refusal | None) -> None:
            if refusal is not None:
                answer(refusal)
                return
            logger.info(
                "member %s (%s) gets a certificate, by the token to join %s", name, names.member, token.id
            )
            answer(self._issued(names, asked.request) | {"name": name})

        change = {"id": token.id, "member": names.member, "key": key}
        self._submit(_Use(used), [[verbs.AUTH, 1, 0, "use_join", change]], 256)

    def _judged(self, asked: Asked) -> tuple[JoinRow, MemberNames, str, bytes] | Refusal:
        """Return the token, the names, what the member is called and its key's digest; or why nothing comes of it."""
        token = self._proven(asked)
        if token is None:
            return NOT_KNOWN
        # From here on it is somebody who has the token: it may be told what is wrong.
        try:
            key = key_digest(read_request(asked.request))
            hosts = all_hosts(asked.hosts or token.hosts)
        except CertificateError as error:
            return _no(str(error))
        why = JoinTable.unusable(token, asked.member, key, self._world.now_ms())
        if why:
            return Refusal("denied", f"the token to join cannot be used: {why}", {})
        if token.name and asked.name not in ("", token.name):
            return _no(f"the token is for the member {token.name}, not for {asked.name}")
        name = token.name or asked.name
        members = self._consensus.committed_configuration
        taken = next((one for one in members.members if one.name == name and one.id != asked.member), None)
        if not_a_name(name) is not None or taken is not None:
            return _no(f"the name {name!r:.100} is another member's, or none: say another one with --name")
        if asked.member in members.removed:
            return _no(f"member {asked.member} was removed and never returns: begin with an empty directory")
        wrong = self._wrong_host(hosts, token, asked.member)
        return _no(wrong) if wrong else (token, MemberNames(asked.member, hosts), name, key)

    def _wrong_host(self, hosts: tuple[str, ...], token: JoinRow, member: str) -> str:
        """Return why a certificate must not be made out to one of these hosts; "" when it may."""
        if token.hosts:
            odd = next((host for host in hosts if host not in set(map(spelled, token.hosts))), None)
            return f"the token is for the hosts {', '.join(token.hosts)}, not for {odd}" if odd else ""
        for one in self._consensus.committed_configuration.members:
            its = {spelled(addresses.split(each)[0]) for each in (one.peer, one.client) if each}
            odd = next((host for host in hosts if host in its), None)
            if odd is not None and one.id != member:
                return f"{odd} is a host of the member {one.name}: the token must name it (--host {odd})"
        return ""

    def _issued(self, names: MemberNames, request: bytes) -> dict[str, Any]:
        assert self.authority is not None
        now = datetime.datetime.fromtimestamp(self._world.now_ms() / 1000, datetime.UTC)
        serial = self._world.random_bits(SERIAL_BITS)
        return {
            "certificate": self.authority.issue(
                read_request(request), names, now, serial, cluster=self.cluster
            ),
            "cluster": self.cluster,
            "peers": [one.peer for one in self._consensus.committed_configuration.members],
        }

    def _renewed(self, member: str, request: bytes, certificate: bytes) -> dict[str, Any] | Refusal:
        assert self.authority is not None
        try:
            before = read_certificate(certificate)
            cluster, names = names_of(before)
            read_request(request)
        except CertificateError as error:
            return _no(str(error))
        # A recovered cluster has another id: for itself a member may use its certificate of before.
        known = cluster == self.cluster or (cluster in self._before and member == self._consensus.member)
        if not known or not self.authority.made(before) or names.member != member:
            return _no(
                f"the certificate that is to be renewed is not that of member {member} of this cluster"
            )
        if all(one.id != member for one in self._consensus.committed_configuration.members):
            return _no(f"{member} is no member (any more)")
        return self._issued(names, request)


def _no(text: str) -> Refusal:
    return Refusal("denied", text, {})


def _is_asked(arguments: list[Any]) -> bool:
    kinds = (str, bytes, str, str, list, bytes)
    return (
        len(arguments) == len(kinds)
        and all(type(each) is kind for each, kind in zip(arguments, kinds, strict=True))
        and all(type(host) is str for host in arguments[4])
    )


def _fields_of(result: Made) -> Fields:
    """Return how an answer is told: [ok, result, or code, text and details]."""
    if isinstance(result, Refusal):
        return [False, [result.code, result.text, result.details]]
    return [True, result]
