"""The real network between members: TCP, each member dials every other and sends on its own connection.

    peers = TcpPeers(loop, member=..., cluster=..., listen="127.0.0.1:8047", security=..., admit=..., answer=...)
    peers.receive = node.receive            # (member id, message), from now on
    peers.changed = node.changed            # (member id, reachable)
    await peers.start()                     # accepts from here on; it was bound when it was made
    peers.set_members({"5f...": "10.0.0.2:8047"})
    peers.send("5f...", packed)             # one msgpack array, as bytes
    answer = await peers.ask("10.0.0.9:8047", packed, timeout=5)     # to an address, before ids are known

`PEERS.md` describes the bytes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from visord import addresses
from visord.ending import ended
from visord.peers.asking import ask
from visord.peers.binding import misbound
from visord.peers.certificates import Certificates
from visord.peers.errors import PeerRefusedError, PeersStartError
from visord.peers.handshake import (
    ASK,
    MEMBER,
    NONCE,
    REMOVED,
    Accepter,
    Admit,
    Dialler,
    Hello,
    Introduction,
    outdated,
)
from visord.peers.incoming import BACKLOG, PeerDoor, Reply
from visord.peers.link import Link
from visord.peers.outgoing import QUEUE_LIMIT, OutgoingConnection, dial
from visord.peers.security import NOTHING, Security
from visord.state.formats import OLDEST
from visord.system_errors import listening_fault, stays
from visord.tls.identity import not_of_member

logger = logging.getLogger("visord.peers")

CHECK_SECONDS: Final = 0.5
RENEW_SECONDS: Final = 60.0
"""Between two looks at the files of certificates."""
CLOSE_SECONDS: Final = 0.5

Answer = Callable[[Hello, "list[Any]", Reply, str], None]
"""`answer(hello, message, reply, host)`: `hello` asks, from `host`; call `reply(packed)` when the answer is known."""


def _nobody(_member: str, _hello: Hello) -> str | None:
    return None


def _no_answer(_hello: Hello, _message: list[Any], _reply: Reply, _host: str) -> None:
    pass


class TcpPeers:
    """See the module; `network.Peers` is what it fulfils. Everything happens on the loop's thread.

    `member`: this node's id. `cluster`: the cluster's id, None while it knows none (set the attribute later). `listen`:
    HOST:PORT or a listening socket. `advertise`: HOST:PORT that others dial, by default what is bound. `admit(member,
    hello)`: the reason why a member is not let in, or None. `rng` makes nonces and jitter: it must be the operating
    system's wherever strangers can connect. `queue_limit`: bytes that may wait for one member. Certificates that
    have changed are noticed after `renew_seconds`.

    Raises `PeersStartError` naming the address when it cannot be bound or would let strangers in.
    """

    receive: Callable[[str, list[Any]], None]
    changed: Callable[[str, bool], None]

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        member: str,
        cluster: str | None,
        listen: str | socket.socket,
        advertise: str | None = None,
        security: Security = NOTHING,
        admit: Admit = _nobody,
        answer: Answer = _no_answer,
        rng: random.Random | None = None,
        queue_limit: int = QUEUE_LIMIT,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._loop = loop
        self.member = member
        self.cluster = cluster
        self._security = security
        self.admit = admit
        self.answer = answer
        self._rng = rng or random.SystemRandom()
        self._queue_limit = queue_limit
        self.receive = lambda member, message: None
        self.changed = lambda member, reachable: None
        self.removed: Callable[[str], bool] = lambda member: False
        """Tells whether a member was removed for ever: it is told so; whose word counts: `members/dismissal`."""
        self.dismissed: Callable[[str], None] = lambda member: None
        """Called with the member that was dialled, and refuses this one as removed."""
        self.name: Callable[[str], str] = lambda member: ""
        """Returns a member's name, for people; "" when it is not known."""
        self.refusing: Callable[[str, str], None] = lambda host, why: None
        """Called with whom this node did not let in, or hung up on, and why."""
        self._socket = bind(listen, security) if isinstance(listen, str) else listen
        self.address = _name(self._socket)
        """What is bound, HOST:PORT."""
        try:
            self.advertised = advertise or _advertised(self.address)
        except PeersStartError:
            self._socket.close()
            raise
        self._door = PeerDoor(loop, self, security)
        self._links: dict[str, Link] = {}
        self._senders: dict[str, Callable[[bytes], bool]] = {}
        """Of the members that are reachable."""
        self._reads: dict[str, int] = {}
        """The format of commands that each member said last it reads."""
        self._least = OLDEST
        """The one that members must read."""
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._renew_seconds = renew_seconds
        self._closed = False

    @property
    def certificates(self) -> Certificates | None:
        """What this node shows members; None without TLS."""
        return self._security.certificates

    def secure(self, security: Security) -> None:
        """Show and ask for something else from now on; before `start` only."""
        self._security = self._door.security = security

    async def start(self) -> None:
        """Begin to accept connections."""
        self._door.serve(self._socket)
        self._check()
        if self._security.certificates is not None:
            self._renew(self._security.certificates)

    # -- what a node needs (network.Peers) ----------------------------------------------------------------------

    def set_members(self, addresses: Mapping[str, str]) -> None:
        """Keep a connection to each of these, and to no others: id -> advertised HOST:PORT, without this node."""
        if self._closed:
            return
        for member, link in list(self._links.items()):
            if addresses.get(member) != link.address:
                del self._links[member]
                self._hang_up(link)
        for member, address in addresses.items():
            if member not in self._links and member != self.member:
                self._links[member] = Link(
                    self._loop, member, address, self._dial, self._rng, self._up, self._down, self._named
                )
        self._reads = {one: form for one, form in self._reads.items() if one in self._links}
        self._door.review(self._why_not)

    def send(self, member: str, data: bytes) -> bool:
        """Send one packed message. False: it was dropped, because the member is away or too much waits."""
        send = self._senders.get(member)
        return send is not None and send(data)

    def queued(self, member: str) -> int:
        """Return the bytes for this member that still wait in this process."""
        link = self._links.get(member)
        return link.connection.waiting if link is not None and link.connection is not None else 0

    def reachable(self, member: str) -> bool:
        """Tell whether what is sent now may arrive."""
        return member in self._senders

    def hang_up(self, member: str) -> None:
        """Close the connection that this member dialled; it may dial again after a while (`probation`)."""
        self._door.hang_up(member)

    def reads(self, member: str) -> int:
        """Return the newest format of commands that a member said last it reads, the oldest when it said nothing."""
        return self._reads.get(member, OLDEST)

    def certified(self, member: str) -> bool:
        """Tell whether what is sent to this member goes within TLS, to who has shown a certificate that names it."""
        link = self._links.get(member)
        if link is None or link.connection is None or self.cluster is None:
            return False
        return link.connection.certified(self.cluster, member)

    def require(self, form: int) -> None:
        """Have no connection any more, either way, to a member that does not read this format of commands."""
        self._least = form
        for member, link in self._links.items():
            if link.connection is not None and self.reads(member) < form:
                link.connection.abort(outdated(member, self.reads(member), form))
        self._door.review(self._why_not)

    def close(self) -> None:
        """Hang up everywhere. Idempotent. What was sent is still written as long as the loop runs."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()
        self._door.close()
        self._socket.close()
        for link in self._links.values():
            self._hang_up(link)
        self._links.clear()
        self._senders.clear()

    # -- what else there is ---------------------------------------------------------------------------------------

    async def ask(self, address: str, data: bytes, timeout: float) -> list[Any]:  # noqa: ASYNC109
        """Send one packed message to the node at `address`; return its answer. Raises what `asking.ask` does."""
        return await ask(
            self._loop,
            address,
            data,
            me=self._identity(),
            security=self._security,
            rng=self._rng,
            timeout=timeout,
        )

    def problem(self, member: str) -> str:
        """Return why a member is not reachable; "" when it is, or is unknown."""
        link = self._links.get(member)
        return "" if link is None else link.problem

    def hello(self, member: str) -> Hello | None:
        """Return what a member said of itself when it dialled; None while its connection to this node is down."""
        return self._door.hello(member)

    @property
    def strangers(self) -> int:
        """Connections to this node that have not shaken hands yet."""
        return self._door.strangers

    async def wait_closed(self) -> None:
        """After `close`: return when nothing of it is left, after `CLOSE_SECONDS` at most; what is then is logged."""
        await ended({*self._ending, *self._door.ending()}, CLOSE_SECONDS)

    # -- for links and the door -------------------------------------------------------------------------------------

    def refuse(self, host: str, why: str) -> None:
        """Something is wrong with a connection from `host`."""
        self.refusing(host, why)

    def arrived(self, member: str) -> None:
        """A member has dialled this node: so it is there to be dialled."""
        hello, link = self._door.hello(member), self._links.get(member)
        if link is not None:
            if hello is not None:
                self._reads[member] = hello.reads
            link.hurry()

    def misbound(self, hello: Hello, certificate: dict[str, Any] | None) -> str | None:
        """Return why this certificate does not speak for the one that says hello; None when it does, or there is no
        TLS."""
        if self._security.certificates is None:
            return None
        wrong = not_of_member(certificate or {}, self.cluster, hello.member)
        if wrong is not None:
            return wrong
        link = self._links.get(hello.member or "")
        others = [self.advertised, *(one.address for one in self._links.values())]
        address = hello.address if link is None else link.address
        if address is None and hello.purpose == MEMBER:
            return "a member must say at which address others dial it"
        return misbound(certificate, address, others, by_host=not self._security.names)

    def accepter(self) -> Accepter:
        return Accepter(
            self._identity(),
            secrets=self._security.secrets,
            nonce=self._rng.randbytes(NONCE),
            admit=self._admit,
        )

    def _admit(self, hello: Hello) -> str | None:
        if self._closed:
            return "the node is stopping"
        if hello.purpose == ASK:
            return None
        member = hello.member or ""
        why = self._why_not(member, hello)
        if why is not None and self.removed(member):
            raise PeerRefusedError(REMOVED, why)
        return why

    def _why_not(self, member: str, hello: Hello) -> str | None:
        if hello.reads < self._least:
            return outdated(member, hello.reads, self._least)
        return self.admit(member, hello)

    def _identity(self) -> Introduction:
        return Introduction(self.member or None, self.cluster, self.advertised)

    async def _dial(self, member: str, address: str) -> OutgoingConnection:
        dialler = Dialler(
            self._identity(),
            expect=member,
            purpose=MEMBER,
            secret=self._security.secret,
            nonce=self._rng.randbytes(NONCE),
            least=self._least,
        )
        try:
            connection = await dial(
                self._loop, address, dialler, self._security, queue_limit=self._queue_limit
            )
        except PeerRefusedError as error:
            # What answered proved who it is, as members do here: with the secret, where there is one.
            proven = error.proven or self._security.secret is None
            if error.code == REMOVED and proven and dialler.accepter is not None:
                self.dismissed(member)
            raise
        if dialler.accepter is not None:
            self._reads[member] = dialler.accepter.reads
        return connection

    def _named(self, member: str) -> str:
        return self.name(member)

    def _up(self, member: str, connection: OutgoingConnection) -> None:
        self._senders[member] = connection.send
        self.changed(member, True)

    def _down(self, member: str, connection: OutgoingConnection) -> None:
        if self._senders.get(member) == connection.send:
            del self._senders[member]
            if not self._closed:
                self.changed(member, False)

    def _hang_up(self, link: Link) -> None:
        if link.connection is not None:
            self._down(link.member, link.connection)
        task = link.close()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _check(self) -> None:
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)
        for link in self._links.values():
            link.check()

    def _renew(self, certificates: Certificates) -> None:
        self._renewal = self._loop.call_later(self._renew_seconds, self._renew, certificates)
        if certificates.tick():
            self.review_certificates()

    def review_certificates(self) -> None:
        """Hang up on all whose certificate is not good any more."""
        self._door.review_certificates()
        for link in self._links.values():
            why = None if link.connection is None else link.connection.wrong_certificate()
            if link.connection is not None and why is not None:
                link.connection.abort(why)


def bind(address: str, security: Security) -> socket.socket:
    """Return a listening socket. Raises `PeersStartError` naming the address."""
    security.check_listen(address)
    host, port = addresses.split(address)
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(where, family=family, backlog=BACKLOG)
    except (OSError, ValueError) as error:
        text = f"cannot listen for members on {address}: {listening_fault(error)}"
        raise PeersStartError(text, passes=not stays(error)) from error


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return addresses.join(host, port)


def _advertised(address: str) -> str:
    host, _ = addresses.split(address)
    if host in ("0.0.0.0", "::"):
        raise PeersStartError(
            f"peers.listen is {address}, which no other member can dial: set peers.advertise to HOST:PORT"
        )
    return address
