"""A node with its sockets, timers and signals: wiring only."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from visor._version import __version__
from visor.protocol.limits import DEFAULT, Limits
from visord import addresses, descriptors, shutdown
from visord.admission import CLOSING
from visord.audit import recorded
from visord.audit.auditor import Auditor
from visord.audit.book import ChainBounds
from visord.authority.new_root import NewRoot
from visord.console import Console
from visord.ending import end
from visord.environment import Environment
from visord.exits import StartRefusedError, refused
from visord.logs import Whose, about
from visord.members.joining import (
    JoinRefusedError,
    NoClusterError,
    Reach,
    Start,
    cluster_to_join,
    compare,
    is_its_own,
    join,
    tell_unused,
)
from visord.node import Node
from visord.peers.errors import PeersStartError
from visord.peers.handshake import Hello, outdated
from visord.peers.incoming import Reply
from visord.peers.keeping import Keeping
from visord.peers.messages import JOIN, JOINED, pack
from visord.peers.security import Security
from visord.peers.tcp import TcpPeers
from visord.progress import Tell, untold
from visord.serving import unix_socket
from visord.serving.backend import Backend
from visord.serving.door import Door
from visord.serving.listener import Connection
from visord.serving.lookout import Lookout
from visord.serving.notify import Notifier
from visord.serving.places import Places
from visord.serving.secure_transport import ListenerFactory
from visord.serving.status import summary, why_not_ready
from visord.serving.web import CONNECTIONS, Pages, WebConnection
from visord.settings import ListenSettings, Settings
from visord.state.refusal import Refusal
from visord.storage import collector
from visord.storage.directory import read_identity
from visord.storage.disk import OsDisk
from visord.system_errors import cannot_listen, listening_fault, stays
from visord.tls.credentials import Credentials, TlsFiles
from visord.tls.material import TlsFileError
from visord.tls.upkeep import Upkeep

logger = logging.getLogger("visord")

HANG_UP_SECONDS = 0.5
"""How long peers may take to read their last answers."""
READY_SECONDS = 60.0
"""How long the first sync of a starting node may take."""
NEWS_SECONDS = 10.0
"""A member that is not ready says why so often."""
LOOK_SECONDS = 0.5
"""From one look whether a new token of root can be written to the next."""
BACKLOG = 1024


class Server:
    """One node and its listening sockets. Use `start`, then `stop`; both on the running loop."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        start: Start | None = None,
        tell_console: Callable[[str], None] = lambda url: None,
        tell_loading: Tell = untold,
    ) -> None:
        self._settings = settings
        self._tell_loading = tell_loading
        self.tell_console = tell_console
        """Called with the URL of the console when it listens."""
        self._start = start
        """What the operator said of the cluster; None: this node is alone and opens no port for members."""
        self._peers: TcpPeers | None = None
        self._joining: asyncio.Task[None] | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._data_dir = data_dir
        self._door: Door | None = None
        self._factory = ListenerFactory(None, lambda: 0.0)
        """What stands between the sockets of clients and HTTP and what serves them; see `start`."""
        self._servers: list[asyncio.AbstractServer] = []
        self.console: Console | None = None
        """The registry over HTTP, beside the node; None without `listen.console`."""
        self._unix: tuple[int, int] | None = None
        """Which file is the Unix socket's."""
        self._stopped = asyncio.Event()
        self.node: Node | None = None
        self.address = ""
        self.http_address = ""
        """Of health and metrics, when `listen.http` is set."""
        self.failure: BaseException | None = None
        """Why the server stopped by itself: the disk failed, or the log holds an unknown format."""

    async def start(self) -> None:
        """Bind, open the data, begin to serve. Raises `StartRefusedError`, or storage's `DamageError` for bad data."""
        self._factory = ListenerFactory(_credentials(self._settings.listen), asyncio.get_running_loop().time)
        listening = self._bind(self._settings.listen.client)
        try:
            if self._start is None:
                self.node = self._make_node()
                await self._listen_http(self.node)
                self.node.start()
                await self._wait_until_ready(self.node)
                await self._listen(self.node, listening)
            else:
                await self._start_member(self._start, listening)
        except BaseException:
            listening.close()
            for server in self._servers:
                server.close()
            await self._end_beside()
            if self.node is not None:
                self.node.close()
            await self._end_peers()
            raise

    def _make_node(self, addresses: tuple[str, str] = ("", ""), cluster: str | None = None) -> Node:
        environment = Environment.real(asyncio.get_running_loop())
        environment.loading = self._tell_loading
        if self._peers is not None:
            environment.peers = self._introduce
        node = Node(self._settings, self._data_dir, environment, self.limits(), self.fail, addresses, cluster)
        if self._start is not None and self._settings.audit.on:
            node.audit = self._keep_audit(node)
        return node

    def _keep_audit(self, node: Node) -> Auditor:
        """Return what keeps the audit of a member. A node that is alone, for development and tests, has none."""
        audit, world = self._settings.audit, node.environment
        directory = str(audit.directory or self._data_dir / "audit")
        bounds = ChainBounds(audit.file_bytes, audit.files, self._settings.storage.reserve_bytes)
        auditor = Auditor(world, world.loop.time, directory, node.name, bounds)
        auditor.record(recorded.STARTED, reason=f"visord {__version__}, member {node.me.id}")
        if self._peers is not None:
            self._peers.refusing = lambda host, why: auditor.record(
                recorded.PEER_REFUSED, address=host, reason=why
            )
        return auditor

    def _introduce(self, member: str, cluster: str) -> TcpPeers:
        assert self._peers is not None
        self._peers.member, self._peers.cluster = member, cluster
        return self._peers

    async def _start_member(self, start: Start, listening: socket.socket) -> None:
        """Serve as a member: clients may come at once, and the node is ready when it has caught up."""
        fresh = self._is_new()
        keeping = self._keeping(start, fresh=fresh)
        peers = self._peers = self._make_peers(keeping.security)
        reach = Reach(peers.advertised, peers.ask)
        try:
            cluster = await cluster_to_join(
                start, OsDisk(), str(self._data_dir), reach, lambda: peers.secure(keeping.search())
            )
        except NoClusterError as error:
            raise refused(error) from error
        client = self._settings.listen.advertise or self._found_at()
        node = self.node = self._make_node((peers.advertised, client), cluster)
        self._secure(keeping, node, peers)
        peers.admit = lambda member, hello: node.gate.admit(member, hello.address)
        peers.removed, peers.dismissed, peers.name = node.gate.removed, node.gate.dismissed, node.names.of
        peers.answer = lambda *asked: _answer(node, *asked)
        await peers.start()
        await self._listen_http(node)
        node.start()
        await self._listen(node, listening)
        if not fresh:
            tell_unused(start, node)
        if start.join and node.proof.joining:
            self._joining = asyncio.ensure_future(join(start, node, reach))
            self._joining.add_done_callback(self._joined)
        elif not fresh:
            self._comparing = asyncio.ensure_future(compare(start, node, reach))
        await self._wait_until_caught_up(node)

    def _found_at(self) -> str:
        """Return where clients find this member when nobody has said it; "" when that cannot be known."""
        if addresses.split(self.address)[0] not in ("0.0.0.0", "::"):
            return self.address
        logger.warning("set listen.advertise to HOST:PORT: clients cannot be told of %s", self.address)
        return ""

    def _joined(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(refused(error) if isinstance(error, JoinRefusedError) else error)

    async def _end_beside(self) -> None:
        """End what goes on beside the node."""
        await end(task for task in (self._joining, self._comparing) if task is not None)

    async def _end_peers(self) -> None:
        """End the connections to other members; the node has said to them what it had to say."""
        if self._peers is not None:
            self._peers.close()
            await self._peers.wait_closed()

    def _is_new(self) -> bool:
        """Tell whether the data directory belongs to no cluster yet."""
        path = str(self._data_dir)
        return not OsDisk().exists(path) or read_identity(OsDisk(), path) is None

    def _keeping(self, start: Start, *, fresh: bool) -> Keeping:
        data_dir = self._data_dir
        try:
            return Keeping(
                self._settings.peers,
                data_dir,
                os.environ,
                fresh=fresh,
                founds=start.bootstrap,
                joins=start.join,
            )
        except PeersStartError as error:
            raise refused(error) from error

    def _secure(self, keeping: Keeping, node: Node, peers: TcpPeers) -> None:
        """Keep the cluster's secret, now that there is a directory for it."""
        alone = [one.id for one in node.engine.configuration.members] == [node.me.id]
        try:
            peers.secure(keeping.opened(peers.advertised, alone=alone))
        except PeersStartError as error:
            raise refused(error) from error
        node.exposure = keeping.exposure
        node.reachable = not addresses.is_loopback(addresses.split(self.address)[0])

    def _make_peers(self, security: Security) -> TcpPeers:
        settings = self._settings.peers
        try:
            return TcpPeers(
                asyncio.get_running_loop(),
                member="",
                cluster=None,
                listen=settings.listen,
                advertise=settings.advertise,
                security=security,
            )
        except PeersStartError as error:
            raise refused(error) from error

    async def _wait_until_caught_up(self, node: Node) -> None:
        """Return when the node has once been current, or is to stop. No limit: a majority may come late."""
        stopped = asyncio.ensure_future(self.wait())
        ready = asyncio.ensure_future(node.readiness.wait())
        try:
            while not stopped.done() and not ready.done():
                await asyncio.wait(
                    {stopped, ready}, timeout=NEWS_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not stopped.done() and not ready.done():
                    logger.warning("not ready yet: %s", why_not_ready(node))
        finally:
            await end((stopped, ready))
        if self.failure is not None:
            raise self.failure

    async def _wait_until_ready(self, node: Node) -> None:
        """Return when the node serves, or is to stop before it does."""
        stopped = asyncio.ensure_future(self.wait())
        ready = asyncio.ensure_future(node.readiness.wait())
        try:
            await asyncio.wait({stopped, ready}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            late = not (stopped.done() or ready.done())
        finally:
            await end((stopped, ready))
        if self.failure is not None:
            raise self.failure
        if late:
            full = node.log.full
            why = "its first entry" if full is None else full.wanted
            text = f"the node is not ready: it waited {READY_SECONDS:g} s for {why}"
            raise StartRefusedError(text, passes=True)

    def _bind(self, address: str) -> socket.socket:
        listening = self._bind_clients(address)
        self.address = _name(listening)
        return listening

    def _bind_clients(self, address: str) -> socket.socket:
        listen = self._settings.listen
        host, _ = addresses.split(address)
        if listen.tls_cert is not None:
            asked = listen.tls_client_cert
            logger.info("TLS on %s; certificates of clients: %s", listen.client, asked)
        elif not addresses.is_loopback(host):
            if not listen.insecure:
                raise StartRefusedError(
                    f"listen.client is {listen.client}: anybody on that network could read and write "
                    "everything; set listen.tls_cert and tls_key, listen on loopback, or set listen.insecure to "
                    "accept that",
                    passes=False,
                )
            logger.warning("insecure: %s is open to its network, nothing is encrypted", listen.client)
        return _listen_on(address)

    async def _listen_http(self, node: Node) -> None:
        """Open the optional port for health and metrics; it answers before the node is ready."""
        if self._settings.listen.http is None:
            return
        self._check_http(self._settings.listen.http)
        loop = asyncio.get_running_loop()
        pages = Pages(node, lambda: 0 if self._door is None else len(self._door), loop.time)
        listening = _listen_on(self._settings.listen.http)
        self.http_address = _name(listening)
        places = Places[WebConnection](CONNECTIONS, CONNECTIONS)
        make = self._factory.around(lambda: WebConnection(pages, places))
        self._servers.append(await loop.create_server(make, sock=listening))
        scheme = "http" if self._factory.credentials is None else "https"
        logger.info("health and metrics on %s://%s", scheme, self.http_address)

    def _check_http(self, address: str) -> None:
        listen = self._settings.listen
        if addresses.is_loopback(addresses.split(address)[0]) or listen.tls_client_cert == "required":
            return
        if not listen.http_insecure:
            raise StartRefusedError(
                f"listen.http is {address}: anybody on that network could read names, addresses and figures of this "
                "cluster; listen on loopback, demand certificates (listen.tls_client_cert), or set "
                "listen.http_insecure to accept that",
                passes=False,
            )
        logger.warning("http_insecure: health and metrics on %s are open to its network", address)

    async def _listen(self, node: Node, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listen = self._settings.listen
        node.upkeeps = self._upkeeps()
        node.on_addresses = self._tell_addresses
        node.on_divergence = self._send_away
        room = self._plan_descriptors()
        backend = Backend(node)
        door = self._door = Door(
            backend,
            self.limits(),
            lambda: node.environment.background.submit(collector.give_back, lambda result, error: None),
            total=room.connections,
            each=min(listen.connections_per_address, room.connections),
            idle=listen.idle_seconds,
            factory=self._factory,
        )
        door.start(loop)
        self._look_for_new_root(loop, self._new_root(node))
        backend.authorization.rehearses = self._settings.auth.mode == "log"
        backend.authorization.unix_users = listen.users_by_uid()
        if self._peers is not None and self._peers.certificates is not None:
            self._peers.certificates.is_revoked = backend.authorization.is_revoked
            backend.on_rights.append(self._peers.review_certificates)
        path = self._settings.listen.unix
        if path is not None:
            self._servers.append(
                await loop.create_unix_server(door.make_unix, sock=self._bind_unix(path), backlog=BACKLOG)
            )
        if listen.console is not None:
            await self._listen_console(door, listen)
        make = self._factory.around(door.make_tcp)
        server = await loop.create_server(make, sock=listening, backlog=room.backlog)
        self._servers.append(server)

    async def _listen_console(self, door: Door, listen: ListenSettings) -> None:
        """Listen for the gateway beside this node, which `_serve` starts."""
        address = listen.console or ""
        if listen.tls_cert is None and not addresses.is_loopback(addresses.split(address)[0]):
            raise StartRefusedError(
                f"listen.console is {address}: tokens would be said there in the clear; set listen.tls_cert and "
                "tls_key, or listen on loopback, behind something that speaks TLS",
                passes=False,
            )
        console = self.console = Console(listen, self.tell_console)
        bound = unix_socket.bind(console.path, 0o600)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_unix_server(door.make_console, sock=bound, backlog=BACKLOG))

    def _new_root(self, node: Node) -> NewRoot:
        environment, engine = node.environment, node.engine
        return NewRoot(
            environment.disk,
            node.directory.path,
            engine,
            lambda: node.machine.auth,
            lambda: node.formats.in_force,
            environment.loop.time,
            lambda: node.readiness.reached,
            lambda answer: node.membership.act("transfer", [node.me.id], answer),
            node.proposer.submit,
        )

    def _look_for_new_root(self, loop: asyncio.AbstractEventLoop, new_root: NewRoot) -> None:
        """Write root's new token, where `visord recover --new-root` has left one, as soon as that can be done."""
        if new_root.waits and not self._stopped.is_set():
            new_root.tick()
            loop.call_later(LOOK_SECONDS, self._look_for_new_root, loop, new_root)

    def _upkeeps(self) -> tuple[Upkeep, ...]:
        """Return what certificates are in use: those of clients, and of members."""
        mine = self._factory.credentials
        peers = None if self._peers is None else self._peers.certificates
        return tuple(one.upkeep for one in (mine, peers) if one is not None)

    def _plan_descriptors(self) -> descriptors.ClientShare:
        """Return how many connections the limit of open files has room for. Raises `StartRefusedError`."""
        limit, wanted = descriptors.raise_limit(), self._settings.listen.connections
        try:
            room = descriptors.plan(limit, wanted)
        except ValueError as error:
            raise StartRefusedError(str(error), passes=False) from error
        if room.connections < wanted:
            logger.warning(
                "only %d of %d connections (listen.connections) fit under the limit of %d open files; raise it "
                "(ulimit -n, LimitNOFILE) for more",
                room.connections,
                wanted,
                limit,
            )
        return room

    def _connections(self) -> list[Connection]:
        return [] if self._door is None else list(self._door)

    def _bind_unix(self, path: Path) -> socket.socket:
        try:
            bound = unix_socket.bind(path, int(self._settings.listen.unix_mode, 8))
        except unix_socket.UnixSocketError as error:
            raise StartRefusedError(str(error), passes=error.passes) from error
        self._unix = unix_socket.inode_of(path)
        return bound

    def _tell_addresses(self, addresses: list[str]) -> None:
        for connection in self._connections():
            connection.conversation.tell_addresses(addresses)

    def _send_away(self, why: Refusal) -> None:
        for connection in self._connections():
            connection.conversation.leave(why.code, why.text)

    def whose(self) -> dict[str, Any]:
        """Return what lines of the log say of the node, as far as there is one."""
        return {"node": self._settings.node.name} if self.node is None else self.node.whose()

    def limits(self) -> Limits:
        """The limits that clients are told."""
        listen = self._settings.listen
        return dataclasses.replace(
            DEFAULT,
            in_flight=listen.in_flight,
            watches=listen.watches,
            glob_cost=listen.glob_cost,
            glob_cost_connection=listen.glob_cost_connection,
            connections=listen.connections,
        )

    def fail(self, error: BaseException) -> None:
        """The node cannot go on; serving ends, `failure` says why."""
        self.failure = error
        logger.critical("stopping: %s", error)
        self.shutdown()

    def shutdown(self) -> None:
        """Ask `wait` to return. Safe to call from a signal handler of the loop."""
        self._stopped.set()

    async def wait(self) -> None:
        """Wait until `shutdown` is called or the node fails."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """Stop accepting, answer what was accepted, checkpoint, close. Idempotent."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._door is not None:
            self._door.close()
        await self._end_beside()
        node, self.node = self.node, None
        if node is None:
            return
        await shutdown.stop(node, self._say_goodbye, self._hang_up, failed=lambda: self.failure is not None)
        await self._end_peers()
        path = self._settings.listen.unix
        if path is not None:
            unix_socket.remove(path, self._unix)

    def _say_goodbye(self) -> None:
        for connection in self._connections():
            connection.conversation.leave(CLOSING.code, CLOSING.text)

    async def _hang_up(self) -> None:
        """Give the peers a moment to take the last answers, then cut."""
        gone = [asyncio.ensure_future(connection.gone()) for connection in self._connections()]
        if gone:
            _, late = await asyncio.wait(gone, timeout=HANG_UP_SECONDS)
            await end(late)
        for connection in self._connections():
            connection.abort()


def _answer(node: Node, hello: Hello, message: list[Any], reply: Reply, host: str) -> None:
    """Answer a question of a node that is no member."""
    least = node.formats.in_force
    if is_its_own(hello, message) and message[0] == JOIN and hello.reads < least:
        reply(pack([JOINED, False, ["bad_request", outdated(hello.member, hello.reads, least), {}]]))
    elif is_its_own(hello, message):
        node.strangers.answer(message, reply, host)
    else:
        text = "a node asks for itself only, at the address that it says in its handshake"
        reply(pack([JOINED, False, ["bad_request", text, {}]]))


def _credentials(listen: ListenSettings) -> Credentials | None:
    """Return what clients are shown and asked for; None without TLS. Raises `StartRefusedError` naming the file."""
    if listen.tls_cert is None or listen.tls_key is None:
        return None
    asked = listen.tls_client_ca, listen.tls_client_cert, listen.tls_revoked
    try:
        return Credentials(TlsFiles(listen.tls_cert, listen.tls_key, *asked), time.time)
    except TlsFileError as error:
        raise StartRefusedError(str(error), passes=False) from error


def _listen_on(address: str) -> socket.socket:
    host, port = addresses.split(address)
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(where, family=family, backlog=BACKLOG)
    except (OSError, ValueError) as error:
        text = cannot_listen(address, listening_fault(error))
        raise StartRefusedError(text, passes=not stays(error)) from error


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return addresses.join(host, port)


async def _started(server: Server) -> bool:
    """Start, however long that takes; false when the server was told to stop before it was done."""
    starting = asyncio.ensure_future(server.start())
    stopped = asyncio.ensure_future(server.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await end((stopped,))
    if starting.done():
        await starting
        return True
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return False


async def serve(
    settings: Settings,
    data_dir: Path,
    ready: Callable[[str], None],
    start: Start | None = None,
    whose: Whose | None = None,
    tell_console: Callable[[str], None] = lambda url: None,
    tell_loading: Tell = untold,
) -> None:
    """Run a server until SIGTERM or SIGINT; `ready(address)` is called when it accepts clients.

    `tell_console(url)` is, when the console does that is kept running beside it (`listen.console`).
    `tell_loading(done, of)` hears how far the loading of the checkpoint is, in bytes.

    SIGUSR1 makes a checkpoint now. `whose` learns what lines of the log say of the node. Raises what made it fail.
    """
    server = Server(settings, data_dir, start, tell_console, tell_loading)
    if whose is not None:
        whose.use(server.whose)
    loop = asyncio.get_running_loop()
    name, pid = settings.node.name, os.getpid()
    logger.info(
        "visord %s starts as %s, data in %s",
        __version__,
        name,
        data_dir,
        extra=about(version=__version__, pid=pid),
    )
    lookout = Lookout(loop, lambda: server.node)
    lookout.start()
    try:
        await _serve(server, loop, ready)
    finally:
        lookout.close()


async def _serve(server: Server, loop: asyncio.AbstractEventLoop, ready: Callable[[str], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.shutdown)
    # Left alone, it would kill a node that still starts.
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    if not await _started(server):
        if server.failure is not None:  # it failed before it was ready
            raise server.failure
        return
    node = server.node
    assert node is not None
    loop.add_signal_handler(signal.SIGUSR1, node.maintenance.asked)
    logger.info("ready on %s, pid %d", server.address, os.getpid(), extra=about(address=server.address))
    ready(server.address)
    notifier = Notifier(os.environ, loop, lambda: summary(node))
    notifier.ready()
    if server.console is not None:
        server.console.start()
    await server.wait()
    notifier.stopping()
    if server.console is not None:
        server.console.leave()
    await server.stop()
    if server.console is not None:
        await server.console.close()
    if server.failure is not None:
        raise server.failure
