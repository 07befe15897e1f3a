"""The asyncio driver: a transport, futures and one timer around the sans-I/O session.

What the tasks of one turn of the loop submit leaves in one write at its end; of many reads `EARLY` at a time, so that
the node answers the first while the others are still being made. There is no task for a request and no timer for a
deadline: one timer is set to the earliest thing that the session has to do. A task exists only while a connection is
being made.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, cast

from visor._core import client
from visor._core.address import Address
from visor._core.backoff import Backoff, Deadline, in_seconds, whole_of
from visor._core.call import Call, no_time
from visor._core.client import ClientProtocol
from visor._core.feed import Feed
from visor._core.log import log
from visor._core.request_names import NAMES, path_of
from visor._core.settings import Settings
from visor._core.state import ClientState
from visor._core.tls_faults import is_of_tls
from visor._drivers.sockets import is_number, keep_alive, raise_mmap_threshold
from visor.errors import (
    CallbackEnded,
    ClientClosed,
    DeadlineExceeded,
    ForkedClient,
    Rejected,
    Unavailable,
    VisorError,
)
from visor.protocol import verbs
from visor.protocol.limits import Limits

CLOSE_SECONDS = 1.0
EARLY = 32
"""Requests that leave before the turn ends, when the last of them is a read. Writes stay together: the node makes one
command of those that come together, with one sync."""


class Waiting(Call):
    """A call whose answer resolves a future."""

    def __init__(
        self, message: list[Any], write: bool, deadline: float, seconds: float, future: asyncio.Future[Any]
    ) -> None:
        self.message = message
        self.write = write
        self.deadline = deadline
        self.seconds = seconds
        self.future = future

    def complete(self, result: Any, error: BaseException | None) -> None:
        self.done = True
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class Notice:
    """Somebody who waits for a feed."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def notify(self) -> None:
        """Wake up."""
        if not self.future.done():
            self.future.set_result(None)


class Connection(asyncio.Protocol):
    """One socket. After `gone` it tells the driver nothing more."""

    def __init__(self, driver: Driver, loop: asyncio.AbstractEventLoop) -> None:
        self._driver = driver
        self.transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance: uvloop's transports have asyncio's methods, not its base class.
        self.transport = cast(asyncio.Transport, transport)
        keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        if not self.gone:
            self._driver.arrived(data, self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        if not self.gone:
            lost = _said(exc) if exc is not None else "the node closed the connection"
            self._driver.dropped(lost if self.greeted.done() or is_of_tls(exc) else client.CLOSED)

    def abort(self) -> None:
        """Close at once, dropping what was not sent."""
        self.gone = True
        if self.transport is not None:
            self.transport.abort()


class Pauses:
    """Pauses between attempts of something, within a deadline."""

    def __init__(self, backoff: Backoff, random: Random, deadline: Deadline) -> None:
        self._backoff = backoff
        self._random = random
        self._deadline = deadline
        self._attempt = 0

    async def next(self) -> bool:
        """Wait; return False instead when the deadline would pass meanwhile."""
        pause = self._backoff.pause(self._attempt, self._random)
        self._attempt += 1
        if pause >= self._deadline.left():
            return False
        await asyncio.sleep(pause)
        return True


class Driver:
    """One client's connection under asyncio; bound to the loop in which it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._timeout = settings.timeout
        self._ping_after = settings.ping_after
        self._session = ClientProtocol(settings)
        self._fault: Callable[[], VisorError] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._write: Callable[[bytes], None] | None = None
        self._flushing = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = math.inf
        self._connector: asyncio.Task[None] | None = None
        self._attempt = 0
        self._connections = 0
        self._up: set[asyncio.Future[None]] = set()
        self._subscriptions: set[Any] = set()
        self._dropped: deque[Feed] = deque()
        """Feeds whose watch was collected."""
        self._failure: BaseException | None = None
        self.address: str | None = None
        self._told = ClientState.SUSPENDED
        self.on_state: Callable[[ClientState], object] | None = None
        """Called with the state when it has changed; must not wait."""
        self.hurry: Callable[[], float] = lambda: math.inf
        """Says for how many seconds what must be kept alive lives for sure."""
        self._pid = os.getpid()
        _drivers.add(self)
        raise_mmap_threshold()

    # -- what the client uses -------------------------------------------------------------------------
    @property
    def learned(self) -> tuple[Address, ...]:
        """Where the members of the cluster listen, as its nodes told."""
        return self._session.learned

    @property
    def limits(self) -> Limits:
        """What the node takes, as it said; before it did, the defaults."""
        return self._session.limits

    @property
    def rev(self) -> int:
        """The highest rev that was seen."""
        return self._session.rev

    @property
    def hears(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._fault is None and self.address is not None

    @property
    def cluster(self) -> str | None:
        """The cluster's id, once known."""
        return self._session.cluster

    @property
    def state(self) -> ClientState:
        """How it stands now."""
        if self._fault is not None:
            return ClientState.LOST
        return ClientState.SUSPENDED if self.address is None else ClientState.CONNECTED

    def _tell_state(self) -> None:
        """Tell the listeners if the state has changed."""
        state = self.state
        if state is not self._told:
            self._told = state
            if self.on_state is not None:
                self.on_state(state)

    def describe(self) -> str:
        """Return the addresses, for a repr."""
        return ",".join(str(address) for address in self._settings.addresses)

    def deadline(self, timeout: float | None) -> Deadline:
        """Return the deadline that is `timeout` (default: the client's) from now."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        return Deadline(self._clock, self._clock() + seconds, whole_of(timeout, seconds))

    def pauses(self, timeout: float | None, backoff: Backoff | None = None) -> Pauses:
        """Return the pauses between attempts within `timeout`; `backoff`: others than those between connections."""
        settings = self._settings
        return Pauses(backoff or settings.backoff, settings.random, self.deadline(timeout))

    async def call(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        """Do one request and return its result."""
        if self._fault is not None:
            raise self._fault()
        loop = self._loop
        if loop is not asyncio.get_running_loop():
            loop = self._bind()
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        whole = seconds if timeout is None else whole_of(timeout, seconds)
        if not seconds:
            raise no_time(whole)
        now = self._clock()
        call = Waiting(message, write, now + seconds, whole, loop.create_future())
        self._session.submit(call, now)
        if not write and self._session.unsent >= EARLY and self._write is not None:
            self._write(self._session.take())
        alarm = now + (seconds if seconds < self._ping_after else self._ping_after)
        if alarm < self._alarm:
            self._set_alarm(alarm, now)
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._session.abandon(call)
            self._flush_soon()
            raise

    async def observed_call(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        """Do one request and tell the hook."""
        hook = self._settings.on_request
        assert hook is not None
        began = self._clock()
        failure: BaseException | None = None
        try:
            return await self.call(message, write, timeout)
        except BaseException as error:
            failure = error
            raise
        finally:
            verb, path = NAMES.get(message[0], str(message[0])), path_of(message)
            inside = None if path is None else self._settings.root.relative(path)
            _run_hook(hook, verb, inside, self._clock() - began, failure)

    async def connect(self, timeout: float | None) -> None:
        """Wait until there is a connection; DeadlineExceeded or the node's refusal otherwise."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        if self._fault is not None:
            raise self._fault()
        loop = self._bind()
        if self._session.state == client.READY:
            return
        up: asyncio.Future[None] = loop.create_future()
        self._up.add(up)
        self._start_connecting()
        try:
            async with asyncio.timeout(seconds):
                await up
        except TimeoutError:
            if up.done() and not up.cancelled():
                up.exception()
            raise _unreachable(self.describe(), whole_of(timeout, seconds), self._failure) from self._failure
        finally:
            self._up.discard(up)

    def forsake(self, seconds: float, *, again: bool) -> None:
        """Give up a connection that is `seconds` old and did not answer in time; see `ClientProtocol.forsake`."""
        session = self._session
        if self._fault is None and session.forsake(self._clock(), seconds, again=again):
            assert session.broken is not None
            self.dropped(session.broken)

    async def close(self) -> None:
        """End everything; see `Client.close`."""
        connector = self._connector
        connection = self._end()
        for subscription in list(self._subscriptions):
            await subscription.close()
        if connector is not None and self._loop is asyncio.get_running_loop():
            await self.join(connector)  # it was called off, and takes a turn to end
        if connection is not None and self._loop is asyncio.get_running_loop():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.closed

    def _end(self) -> Connection | None:
        if self._pid != os.getpid():
            return None  # the parent's
        self._fault = ClientClosed
        connection, self._connection, self._write = self._connection, None, None
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._alarm = None, math.inf
        if self._connector is not None:
            self._connector.cancel()
            self._connector = None
        if connection is not None:
            connection.abort()
        self._fail(ClientClosed)
        self._session.lost()
        self.address = None
        self._tell_state()
        return connection

    def _fail(self, make: Callable[[], VisorError]) -> None:
        self._session.fail(make)
        for up in self._up:
            if not up.done():
                up.set_exception(make())

    async def reopen(self, timeout: float | None) -> None:
        """Start anew with another session."""
        if self._pid == os.getpid():
            await self.close()
        self._session = ClientProtocol(self._settings)
        self._pid = os.getpid()
        self._loop = self._connection = self._write = self._timer = self._connector = None
        self._alarm = math.inf
        self._attempt = self._connections = 0
        self._flushing = self._paused = False
        self._up = set()
        self._subscriptions = set()
        self._fault = None
        await self.connect(timeout)

    # -- watches --------------------------------------------------------------------------------------
    async def subscribe(self, feed: Feed, timeout: float | None) -> None:
        """Establish the feed, with its state when it was asked for."""
        if self._fault is not None:
            raise self._fault()
        self._bind()
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        whole = whole_of(timeout, seconds)
        if not seconds:
            raise no_time(whole)
        now = self._clock()
        self._session.subscribe(feed, now + seconds, whole, now)
        self._set_alarm(now + min(seconds, self._ping_after), now)
        self._flush_soon()
        state = bool(feed.flags & verbs.W_STATE)
        try:
            await self._until(
                feed,
                lambda: feed.state_rev is not None if state else feed.established,
                now + seconds,
                whole,
            )
        except BaseException:
            self._session.unwatch(feed)
            self._flush_soon()
            raise

    async def next(self, feed: Feed, timeout: float | None) -> list[Any] | None:
        """Return the feed's next commit; None when it was closed; None as `timeout` is for ever."""
        seconds = None if timeout is None else in_seconds(timeout)
        deadline = math.inf if seconds is None else self._clock() + seconds
        whole = 0.0 if seconds is None else whole_of(timeout, seconds)
        # Again when it was a mark, or another task took it.
        while (item := feed.take()) is None and (not feed.ended or feed.error is not None):
            await self._until(feed, lambda: bool(feed.queue), deadline, whole, idle=True)
        if self._session.credit(feed):
            self._flush_soon()
        return item

    async def progress(self, feed: Feed, timeout: float | None) -> int:
        """Ask for a mark, wait for it, and return the rev up to which everything has arrived."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        marks = feed.marks
        self._session.progress(feed)
        self._flush_soon()
        await self._until(
            feed, lambda: feed.marks > marks, self._clock() + seconds, whole_of(timeout, seconds)
        )
        return feed.arrived

    async def unwatch(self, feed: Feed) -> None:
        """End the feed."""
        if not feed.closed:
            self._session.unwatch(feed)
            if self._fault is None:
                self._flush_soon()

    def drop(self, feed: Feed) -> None:
        """End the feed, which nobody has any more; from wherever the collector finds that out."""
        self._dropped.append(feed)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection with it
                self._loop.call_soon_threadsafe(self._end_dropped)

    def _end_dropped(self) -> None:
        while self._dropped:
            feed = self._dropped.popleft()
            if not feed.closed:
                self._session.unwatch(feed)
        if self._fault is None:
            self._flush_soon()

    async def _until(
        self, feed: Feed, true: Callable[[], bool], deadline: float, seconds: float, *, idle: bool = False
    ) -> None:
        """Wait until it is true; return as well when the feed was closed; raise why it ended.

        `deadline` is by the clock, `seconds` how the user named it. `idle`: nobody owes an answer.
        """
        assert self._loop is not None
        while not true() and not feed.ended:
            notice = Notice(self._loop.create_future())
            feed.waiters.append(notice)
            try:
                if deadline == math.inf:
                    await notice.future
                else:
                    async with asyncio.timeout(max(0.0, deadline - self._clock())):
                        await notice.future
            except TimeoutError:
                if not true() and not feed.ended:
                    raise self._session.too_late(feed, seconds, idle=idle) from None
            finally:
                feed.waiters.remove(notice)
        if feed.error is not None and not true():
            raise feed.error

    # -- subscriptions --------------------------------------------------------------------------------
    def spawn(self, subscription: Any, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run a subscription beside everything else."""
        self._subscriptions.add(subscription)
        task = asyncio.get_running_loop().create_task(run(), name="visor subscription")
        task.add_done_callback(lambda _: self._subscriptions.discard(subscription))
        return task

    async def join(self, task: asyncio.Task[None]) -> None:
        """Wait for a subscription to end, but not for oneself, and not for ever."""
        if task is not asyncio.current_task():
            await asyncio.wait((task,), timeout=CLOSE_SECONDS)

    async def outcome(self, result: object) -> object:
        """Return what a callback returned, awaited when it is a coroutine."""
        if asyncio.iscoroutine(result):
            return await result
        return result

    def is_cancelled(self) -> bool:
        """Whether the task that asks is being cancelled."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def pass_on(self, error: BaseException | None) -> None:
        """Let what a callback asked for happen, once it was reported: the loop ends the program."""
        if isinstance(error, CallbackEnded) and isinstance(error.__cause__, SystemExit | KeyboardInterrupt):
            raise error.__cause__

    # -- loop and timer -------------------------------------------------------------------------------
    def _bind(self) -> asyncio.AbstractEventLoop:
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        elif self._loop is not running:
            raise RuntimeError(
                "this client belongs to another event loop: an asyncio client serves the loop in which it "
                "was dialled; dial one in each loop"
            )
        return running

    def _set_alarm(self, when: float, now: float) -> None:
        # A timer that rings too early costs a look; only one that would ring too late is set anew.
        if when >= self._alarm or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._alarm = when
        self._timer = self._loop.call_later(max(0.0, when - now), self._tick)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # it may not be the timer that called
        self._timer, self._alarm = None, math.inf
        if self._fault is not None:
            return
        now = self._clock()
        alarm = self._session.tick(now)
        if alarm != math.inf:
            self._set_alarm(alarm, now)
        self._after()

    def _flush_soon(self) -> None:
        if not self._flushing and self._loop is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._write is not None:
            data = self._session.take()
            if data:
                self._write(data)
        elif self._fault is None and self._session.wanted:
            self._start_connecting()

    def _after(self) -> None:
        """The session has moved: give up its connection, or send what it has to say."""
        session = self._session
        if session.broken is not None:
            self.dropped(session.broken)
        elif self._write is not None:
            data = session.take()
            if data:
                self._write(data)
        elif session.wanted:
            self._start_connecting()

    # -- connections ----------------------------------------------------------------------------------
    def arrived(self, data: bytes, connection: Connection) -> None:
        """Bytes of the connection."""
        session = self._session
        now = self._clock()
        session.receive(data, now)
        if session.state == client.READY and not connection.greeted.done():
            connection.greeted.set_result(None)
        if session.broken is not None or session.delayed:
            self._tick()
        elif session.urgent:
            self._flush_soon()

    def dropped(self, why: str) -> None:
        """The connection is gone, or must go."""
        session, connection = self._session, self._connection
        self._connection, self._write, self.address = None, None, None
        if session.useful:
            # Only what has answered something counts as served: else a node that greets and hangs up would be
            # dialled again without a pause.
            self._attempt = 0
        session.broken = None
        session.lost()
        if connection is not None:
            log.info("connection lost: %s", why)
            connection.abort()
            if not connection.greeted.done():
                connection.greeted.set_exception(ConnectionError(why))
        if session.fatal is not None:
            self._give_up(session.fatal)
            return
        self._tell_state()
        self._failure = ConnectionError(why)
        if self._fault is None and (session.wanted or self._up):
            self._start_connecting()

    def _give_up(self, fault: Callable[[], VisorError]) -> None:
        """No connection will do any more."""
        self._fault = fault
        self._fail(fault)
        self._tell_state()

    def _start_connecting(self) -> None:
        if self._connector is None and self._connection is None and self._loop is not None:
            self._connector = self._loop.create_task(self._connect(), name="visor connect")

    async def _connect(self) -> None:
        """Try the addresses, the own ones first, until one greets or nobody waits any more."""
        session = self._session
        try:
            while session.wanted or self._up:
                if self._attempt:
                    settings = self._settings
                    await asyncio.sleep(settings.backoff.pause(self._attempt - 1, settings.random))
                self._attempt += 1
                for address, guess in session.candidates():
                    if await self._try(address, guess):
                        return
                    if session.fatal is not None:
                        self._give_up(session.fatal)
                        return
                if session.refused is not None:
                    self._rejected(session.refused)
                elif not self._settings.persistent:
                    self._refuse_waiting(Unavailable(f"no connection to {self.describe()}: {self._failure}"))
        finally:
            self._connector = None
            # What began to wait after the loop's last look would wait for ever.
            if self._fault is None and self._connection is None and (session.wanted or self._up):
                self._start_connecting()

    def _rejected(self, error: Rejected) -> None:
        self._session.reject(error)
        self._refuse_waiting(error)

    def _refuse_waiting(self, error: VisorError) -> None:
        for up in self._up:
            if not up.done():
                up.set_exception(error)

    async def _try(self, address: Address, guess: bool) -> bool:
        """Connect and greet; say whether there is a connection now."""
        loop = asyncio.get_running_loop()
        connection = Connection(self, loop)
        session = self._session
        seconds = session.greeting_seconds(self._clock(), self.hurry(), self._attempt)
        try:
            async with asyncio.timeout(seconds):
                await self._open(loop, connection, address, seconds)
                assert connection.transport is not None
                self._connection = connection
                connection.transport.write(session.hello(self._clock(), address, guess=guess))
                await connection.greeted
            if self._connection is not connection:
                raise ConnectionError("the node closed the connection after its greeting")
        except BaseException as error:
            connection.abort()
            self._connection = None
            session.lost()
            if not isinstance(error, Exception):
                raise  # called off, by `close`
            if not isinstance(error, OSError):
                log.exception("connecting to %s failed in an unforeseen way", address)
            connected = connection.transport is not None
            self._failure = (
                ConnectionError(_said(error))
                if is_of_tls(error)
                else error
                if str(error)
                else TimeoutError(client.SILENT if connected else f"no answer from {address}")
            )
            log.info("%s: %s", address, self._failure)
            return False
        self._established(connection, address)
        return True

    async def _open(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, address: Address, seconds: float
    ) -> None:
        """Connect; a name is resolved here, at every attempt, and its addresses share the time that is left."""
        if address.unix is not None:
            await loop.create_unix_connection(lambda: connection, address.unix)
            return
        hosts = [(address.host, address.port)]
        if not is_number(address.host):
            try:
                found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            except UnicodeError as error:  # a label that no name can have
                raise OSError(f"{address.host!r} cannot be resolved: {error}") from None
            hosts = list(dict.fromkeys((str(where[0]), int(where[1])) for *_, where in found))
        until = self._clock() + seconds
        for number, (host, port) in enumerate(hosts, 1):
            share = max(0.0, until - self._clock()) / (len(hosts) - number + 1)
            try:
                async with asyncio.timeout(share):
                    await loop.create_connection(lambda: connection, host, port, **self._secured(address))
                return
            except OSError:
                if number == len(hosts):
                    raise

    def _secured(self, address: Address) -> dict[str, Any]:
        """Return what `create_connection` needs for TLS; OSError for files that can no longer be used."""
        tls = self._settings.tls
        if tls is None:
            return {}
        from visor._drivers.tls_files import context_of, name_of  # for those who speak it

        try:
            return {"ssl": context_of(tls), "server_hostname": name_of(tls, address)}
        except ValueError as error:
            raise OSError(str(error)) from error

    def _established(self, connection: Connection, address: Address) -> None:
        assert connection.transport is not None
        self._write = connection.transport.write
        self.address = str(address)
        self._failure = None
        self._connections += 1
        for up in self._up:
            if not up.done():
                up.set_result(None)
        log.info("connected to %s", address)
        self._tell_state()
        if self._connections > 1 and self._settings.on_reconnect is not None:
            _run_hook(self._settings.on_reconnect, self.address)
        self._after()
        self._set_alarm(self._clock() + self._ping_after, self._clock())

    # -- fork -----------------------------------------------------------------------------------------
    def forked(self) -> None:
        """This is the child: the connection and the loop belong to the parent and stay untouched."""
        opened_in, used_in = self._pid, os.getpid()

        def fault() -> VisorError:
            return ForkedClient(opened_in=opened_in, used_in=used_in)

        self._fault = fault
        for feed in self._session.feeds:
            feed.error, feed.ended = fault(), True
            feed.queue.clear()
        self._write = None


def _unreachable(addresses: str, seconds: float, failure: BaseException | None) -> DeadlineExceeded:
    why = f": {failure}" if failure is not None and str(failure) else ""
    return DeadlineExceeded(f"no connection to {addresses} within {seconds:g} s{why}", seconds=seconds)


def _said(error: BaseException) -> str:
    if not is_of_tls(error):
        return str(error)
    from visor._drivers.tls_files import problem

    return problem(error)


def _run_hook(hook: Callable[..., None], *args: object) -> None:
    try:
        hook(*args)
    except Exception:
        log.exception("a hook raised")


_drivers: weakref.WeakSet[Driver] = weakref.WeakSet()


def _forked() -> None:
    for driver in list(_drivers):
        driver.forked()


os.register_at_fork(after_in_child=_forked)
