"""The blocking driver: the thread that waits reads the socket, so no thread stands between a call and its bytes.

The first thread that waits becomes the reader: it receives for everybody, and wakes the others as their
answers come. When it has its own answer it hands the role to the next sleeper. One thread alone always
is its own reader: a call is `send`, `recv`, and what decodes between them.

    thread A   submit, send .. recv ......... answers of B and A .. hands over to C, returns
    thread B          submit, send .. sleep ...... woken, returns
    thread C                     submit, send .. sleep ............ woken as reader: recv ..

`_lock` guards the session and everything here; it is never held while something blocks. The reader alone
receives, connects and closes sockets; another thread that wants a socket gone shuts it down, which
ends the reader's `recv`.

Ctrl-C may strike between any two bytecodes, also while the last one is being dealt with. What it interrupts is
given up: if bytes may have been half read or half sent, the connection goes too, and the session
repeats on the next what others wait for. Should the clean-up itself be interrupted, then the traces are
found by the thread that comes next: `_sending` left set means a connection that must not be written to any more,
a reader that is done but still in office is deposed (`_take_office`).
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

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
from visor._drivers.sockets import keep_alive, open_socket, raise_mmap_threshold
from visor.errors import (
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
NAP_SECONDS = 0.5
"""How long a sleeping thread trusts the reader to wake it."""
RECEIVE = 65_536
DONTWAIT = socket.MSG_DONTWAIT
LEAST_WAIT = 0.001


class Waiting(Call):
    """A call whose answer wakes a thread."""

    gate: Any = None

    def complete(self, result: Any, error: BaseException | None) -> None:
        if not self.done:
            self.result = result
            self.error = error
            self.done = True
            if self.gate is not None:
                self.open()

    def open(self) -> None:
        """Wake the thread; under the driver's lock."""
        gate, self.gate = self.gate, None
        if gate is not None:
            gate.release()


class Notice:
    """A thread that waits for something else than an answer."""

    __slots__ = ("deadline", "done", "error", "gate")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.done = False
        self.error: BaseException | None = None
        self.gate: Any = None

    def notify(self) -> None:
        """What it waited for may be true."""
        self.done = True
        self.open()

    def open(self) -> None:
        """Wake the thread; under the driver's lock."""
        gate, self.gate = self.gate, None
        if gate is not None:
            gate.release()


Waiter = Waiting | Notice


class Pauses:
    """Pauses between attempts of something, within a deadline."""

    def __init__(
        self, backoff: Backoff, random: Random, deadline: Deadline, closing: threading.Event
    ) -> None:
        self._backoff = backoff
        self._random = random
        self._deadline = deadline
        self._closing = closing
        self._attempt = 0

    def next(self) -> bool:
        """Wait; return False instead when the deadline would pass meanwhile."""
        pause = self._backoff.pause(self._attempt, self._random)
        self._attempt += 1
        if pause >= self._deadline.left():
            return False
        self._closing.wait(pause)
        return True


class Driver:
    """One client's connection for threads; any number of them may use it at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._timeout = settings.timeout
        self._quantum = settings.ping_after
        self._told = ClientState.SUSPENDED
        self.on_state: Callable[[ClientState], object] | None = None
        """Called with the state when it has changed, under the lock; must not wait."""
        self.hurry: Callable[[], float] = lambda: math.inf
        """Says for how many seconds what must be kept alive lives for sure."""
        self._start()
        _drivers.add(self)
        raise_mmap_threshold()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._session = ClientProtocol(self._settings)
        self._fault: Callable[[], VisorError] | None = None
        self._sock: socket.socket | None = None
        self._out = b""
        """What the socket would not take yet."""
        self._sending = False
        """Bytes are under way to the socket, or wait in `_out`."""
        self._connecting_until = 0.0
        """When the attempt to connect that is under way is over at the latest."""
        self._patience = 0.0
        """How long `recv` waits now (SO_RCVTIMEO), in seconds."""
        self._doomed: list[socket.socket] = []
        """Sockets that were shut down and that the reader closes."""
        self._reader: Waiter | None = None
        self._sleepers: list[Waiter] = []
        self._up: list[Notice] = []
        self._closing = threading.Event()
        self._attempt = 0
        self._connections = 0
        self._subscriptions: set[Any] = set()
        self._dropped: deque[Feed] = deque()
        """Feeds whose watch was collected."""
        self._failure: BaseException | None = None
        self.address: str | None = None

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
        """Tell the listeners if the state has changed; under the lock."""
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
        return Pauses(backoff or settings.backoff, settings.random, self.deadline(timeout), self._closing)

    def call(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        """Do one request and return its result."""
        call: Waiting | None = None
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        whole = seconds if timeout is None else whole_of(timeout, seconds)
        if not seconds:
            raise no_time(whole)
        try:
            with self._lock:
                session, sock = self._session, self._sock
                data = None
                if sock is not None and not self._sending:
                    data = session.begin(message, write)
                if sock is None or data is None:
                    call, now = self._queue(message, write, seconds, whole)
                else:
                    self._sending = True
                    try:
                        taken = sock.send(data, DONTWAIT)
                    except OSError as error:
                        taken = self._not_sent(error, data)
                    # From here on the server works as well.
                    now = self._clock()
                    call = Waiting(message, write, now + seconds, whole)
                    session.register(call, now)
                    if taken == len(data):
                        self._sending = False
                    else:
                        self._out = data[taken:]
                    if session.broken is not None:
                        self._drop(session.broken)
                reader = self._reader
                if reading := reader is None or (reader.done and self._take_office()):
                    self._reader = call
                else:
                    self._line_up(call)
            if reading:
                self._read(call, now)
            else:
                self._sleep(call)
        except BaseException:
            self._give_up(call)
            raise
        if call.error is not None:
            raise call.error
        return call.result

    def _queue(self, message: list[Any], write: bool, seconds: float, whole: float) -> tuple[Waiting, float]:
        """Submit a request that cannot go out at once; under the lock."""
        if self._fault is not None:
            raise self._fault()
        now = self._clock()
        call = Waiting(message, write, now + seconds, whole)
        self._session.submit(call, now)
        self._push()
        return call, now

    def observed_call(self, message: list[Any], write: bool, timeout: float | None) -> Any:
        """Do one request and tell the hook."""
        hook = self._settings.on_request
        assert hook is not None
        began = self._clock()
        failure: BaseException | None = None
        try:
            return self.call(message, write, timeout)
        except BaseException as error:
            failure = error
            raise
        finally:
            verb, path = NAMES.get(message[0], str(message[0])), path_of(message)
            inside = None if path is None else self._settings.root.relative(path)
            _run_hook(hook, verb, inside, self._clock() - began, failure)

    def connect(self, timeout: float | None) -> None:
        """Wait until there is a connection; DeadlineExceeded or the node's refusal otherwise."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        notice = Notice(self._clock() + seconds)
        with self._lock:
            if self._fault is not None:
                raise self._fault()
            if self._session.state == client.READY:
                return
            self._up.append(notice)
        try:
            self._wait(notice)
        finally:
            with self._lock:
                self._up.remove(notice)
        if notice.error is not None:
            raise notice.error
        if self._fault is not None:
            raise self._fault()
        if self._session.state != client.READY and self._clock() >= notice.deadline:
            raise _unreachable(self.describe(), whole_of(timeout, seconds), self._failure) from self._failure

    def forsake(self, seconds: float, *, again: bool) -> None:
        """Give up a connection that is `seconds` old and did not answer in time; see `ClientProtocol.forsake`."""
        with self._lock:
            session = self._session
            if self._sock is not None and session.forsake(self._clock(), seconds, again=again):
                assert session.broken is not None
                self._drop(session.broken)
                if self._reader is None:
                    self._bury()

    def close(self) -> None:
        """End everything; see `Client.close`."""
        if self._pid != os.getpid():
            return  # the parent's
        with self._lock:
            self._end(ClientClosed)
        for subscription in list(self._subscriptions):
            subscription.close()

    def _end(self, fault: Callable[[], VisorError]) -> None:
        """Fail everything and let the socket go; under the lock."""
        self._fault = fault
        self._closing.set()
        self._session.fail(fault)
        for notice in self._up:
            notice.notify()
        self._drop("closed")
        if self._reader is None:
            self._bury()

    def reopen(self, timeout: float | None) -> None:
        """Start anew with another session."""
        self.close()
        self._start()
        self.connect(timeout)

    # -- watches --------------------------------------------------------------------------------------
    def subscribe(self, feed: Feed, timeout: float | None) -> None:
        """Establish the feed, with its state when it was asked for."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        whole = whole_of(timeout, seconds)
        if not seconds:
            raise no_time(whole)
        now = self._clock()
        with self._lock:
            if self._fault is not None:
                raise self._fault()
            self._end_dropped()
            self._session.subscribe(feed, now + seconds, whole, now)
            self._push()
        state = bool(feed.flags & verbs.W_STATE)
        try:
            self._until(
                feed,
                lambda: feed.state_rev is not None if state else feed.established,
                now + seconds,
                whole,
            )
        except BaseException:
            self.unwatch(feed)
            raise

    def next(self, feed: Feed, timeout: float | None) -> list[Any] | None:
        """Return the feed's next commit; None when it was closed; None as `timeout` is for ever."""
        seconds = None if timeout is None else in_seconds(timeout)
        deadline = math.inf if seconds is None else self._clock() + seconds
        whole = 0.0 if seconds is None else whole_of(timeout, seconds)
        while True:
            with self._lock:
                item = feed.take()
                if self._sock is not None and self._session.credit(feed):
                    self._push()
                if item is not None or (feed.ended and feed.error is None):
                    return item
            self._until(feed, lambda: bool(feed.queue), deadline, whole, idle=True)

    def progress(self, feed: Feed, timeout: float | None) -> int:
        """Ask for a mark, wait for it, and return the rev up to which everything has arrived."""
        seconds = self._timeout if timeout is None else in_seconds(timeout)
        with self._lock:
            marks = feed.marks
            self._session.progress(feed)
            self._push()
        self._until(feed, lambda: feed.marks > marks, self._clock() + seconds, whole_of(timeout, seconds))
        return feed.arrived

    def unwatch(self, feed: Feed) -> None:
        """End the feed."""
        with self._lock:
            if not feed.closed:
                self._session.unwatch(feed)
                self._push()

    def drop(self, feed: Feed) -> None:
        """End the feed, which nobody has any more; from wherever the collector finds that out, the lock held or not."""
        self._dropped.append(feed)

    def _end_dropped(self) -> None:
        """End what was dropped; under the lock."""
        while self._dropped:
            feed = self._dropped.popleft()
            if not feed.closed:
                self._session.unwatch(feed)

    def _push(self) -> None:
        """Send what the session has to say; under the lock."""
        if self._sock is not None:
            self._send(self._session.take())
            if self._session.broken is not None:
                self._drop(self._session.broken)

    def _until(
        self, feed: Feed, true: Callable[[], bool], deadline: float, seconds: float, *, idle: bool = False
    ) -> None:
        """Wait until it is true; return as well when the feed was closed; raise why it ended.

        `deadline` is by the clock, `seconds` how the user named it. `idle`: nobody owes an answer.
        """
        waited = False
        while True:
            notice = Notice(deadline)
            with self._lock:
                if true() or (feed.ended and feed.error is None):
                    return
                if feed.error is not None:
                    raise feed.error
                if self._fault is not None:
                    raise self._fault()
                if waited and self._clock() >= deadline:
                    raise self._session.too_late(feed, seconds, idle=idle)
                feed.waiters.append(notice)
            try:
                self._wait(notice)
            finally:
                with self._lock:
                    feed.waiters.remove(notice)
            waited = True

    # -- subscriptions --------------------------------------------------------------------------------
    def spawn(self, subscription: Any, run: Callable[[], None]) -> threading.Thread:
        """Run a subscription beside everything else."""

        def body() -> None:
            try:
                run()
            finally:
                self._subscriptions.discard(subscription)

        self._subscriptions.add(subscription)
        thread = threading.Thread(target=body, name="visor subscription", daemon=True)
        thread.start()
        return thread

    def join(self, thread: threading.Thread) -> None:
        """Wait for a subscription to end, but not for oneself, and not for ever."""
        if thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)

    def outcome(self, result: object) -> object:
        """Return what a callback returned."""
        return result

    def is_cancelled(self) -> bool:
        """Whether the thread that asks is being ended: a thread cannot be."""
        return False

    def pass_on(self, error: BaseException | None) -> None:
        """Let what a callback asked for happen, once it was reported: its thread has ended, nothing else can."""

    # -- waiting --------------------------------------------------------------------------------------
    def _wait(self, notice: Notice) -> None:
        """Wait until the notice is done or its deadline has passed."""
        try:
            with self._lock:
                if notice.done or self._fault is not None:
                    return
                if reading := self._reader is None or self._take_office():
                    self._reader = notice
                else:
                    self._line_up(notice)
            if reading:
                self._read(notice, self._clock())
            else:
                self._sleep(notice)
        except BaseException:
            self._give_up(notice)
            raise

    def _line_up(self, waiter: Waiter) -> None:
        """Make the waiter one that another thread wakes; under the lock."""
        waiter.gate = gate = threading.Lock()
        gate.acquire()
        self._sleepers.append(waiter)

    def _sleep(self, waiter: Waiter) -> None:
        """Wait to be woken, with an answer or as the next reader."""
        gate = waiter.gate
        while gate is not None:
            # Short naps: a hand-over that an interrupt cut short has woken nobody.
            self._nap(gate, waiter.deadline)
            with self._lock:
                if waiter.done or self._reader is waiter:
                    break
                if self._reader is None or self._take_office():
                    self._reader = waiter
                    break
                if self._clock() >= waiter.deadline:
                    self._pass_time(waiter)
                gate = waiter.gate
        with self._lock:
            if waiter in self._sleepers:
                self._sleepers.remove(waiter)
            reading = self._reader is waiter
        if reading:
            self._read(waiter, self._clock())

    def _nap(self, gate: Any, deadline: float) -> None:
        if self._out:
            self._empty_out(deadline)
        gate.acquire(timeout=max(0.0, min(NAP_SECONDS, deadline - self._clock())))

    def _take_office(self) -> bool:
        """Say whether the reader left without handing over, and clean up behind it; under the lock.

        A reader that is done leaves in the same breath, except out of an attempt to connect.
        """
        reader = self._reader
        if reader is None or not reader.done or self._clock() < self._connecting_until:
            return False
        self._drop("a call was interrupted")
        self._bury()
        return True

    def _pass_time(self, waiter: Waiter) -> None:
        """Do what is due now; under the lock."""
        now = self._clock()
        self._session.tick(now)
        if now >= waiter.deadline and not waiter.done:
            if isinstance(waiter, Waiting):
                self._session.expire(waiter)
            waiter.done = True
        self._after()

    def _give_up(self, waiter: Waiter | None) -> None:
        """The thread was interrupted, perhaps before it had anything to wait for: nobody wants this answer."""
        with self._lock:
            reading = waiter is not None and self._reader is waiter
            if waiter in self._sleepers:
                self._sleepers.remove(waiter)
            if isinstance(waiter, Waiting):
                self._session.abandon(waiter)
            if waiter is not None:
                waiter.done = True
            if reading or (self._sending and not self._out):
                # Bytes may have been taken off the socket and lost, or half a message sent.
                self._drop("a call was interrupted")
                self._attempt = 0  # which says nothing against the node
            if reading:
                self._hand_over()

    def _hand_over(self) -> None:
        """The reader leaves: the sleeper who waits longest is the next; under the lock."""
        if self._doomed:
            self._bury()
        self._reader = None
        for sleeper in self._sleepers:
            if not sleeper.done:
                # In office before it wakes: no other thread may take the role in between.
                self._reader = sleeper
                sleeper.open()
                return

    # -- the reader -----------------------------------------------------------------------------------
    def _read(self, waiter: Waiter, now: float) -> None:
        """Receive for everybody until the waiter is done, then hand the role over."""
        while not waiter.done:
            sock = self._sock
            if sock is None:
                self._connect(waiter)
                now = self._clock()
                continue
            if self._out:
                self._empty_out(waiter.deadline)
            session = self._session
            left = waiter.deadline - now
            if left < self._patience or self._patience != self._quantum or session.delayed:
                self._set_patience(sock, waiter)
                if waiter.done or self._sock is not sock:
                    continue  # what was due completed it, or gave the connection up
            try:
                data = sock.recv(RECEIVE)
            except BlockingIOError:
                data = None
            except OSError as error:
                data = b""  # as good as closed
                self._failure = error
            with self._lock:
                if data:
                    # For one call alone `now` will do: when the next one begins, silence counts from there.
                    alone = len(session.pending) < 2 and not session.feeds
                    session.receive(data, now if alone else self._clock())
                    if self._dropped:
                        self._end_dropped()
                    if session.urgent:
                        self._after()
                elif data is None:
                    self._pass_time(waiter)
                elif self._sock is sock:  # or another thread shut it down, and has said why
                    self._drop("the node closed the connection")
                if waiter.done:
                    if self._sleepers:
                        self._hand_over()
                    else:
                        self._reader = None
                    return
            now = self._clock()
        with self._lock:
            if self._reader is waiter:
                self._hand_over()

    def _set_patience(self, sock: socket.socket, waiter: Waiter) -> None:
        """Let `recv` wait until the next thing is due, at most until silence is to be broken."""
        now = self._clock()
        due = min((when for when, _ in self._session.delayed), default=math.inf)
        if due <= now:
            with self._lock:
                self._pass_time(waiter)
            return
        patience = max(LEAST_WAIT, min(self._quantum, waiter.deadline - now, due - now))
        if patience != self._patience:
            self._patience = patience
            whole = int(patience)
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, int((patience - whole) * 1e6))
            )

    def _after(self) -> None:
        """The session has moved: give up its connection, or send what it has to say; under the lock."""
        session = self._session
        if session.delayed:
            session.tick(self._clock())
        if session.broken is not None:
            self._drop(session.broken)
        elif session.urgent:
            self._push()

    # -- sending --------------------------------------------------------------------------------------
    def _send(self, data: bytes) -> None:
        """Send without blocking; what the socket does not take waits in `_out`; under the lock."""
        if self._sending and not self._out:
            # An interrupt fell between `send` and the note of what it took: nobody knows how much has left.
            self._session.broken = "a message was interrupted half way"
            return
        if self._out:
            data, self._out = self._out + data, b""
        if not data or self._sock is None:
            return
        self._sending = True
        try:
            taken = self._sock.send(data, DONTWAIT)
        except OSError as error:
            taken = self._not_sent(error, data)
        self._out = data[taken:]
        self._sending = bool(self._out)

    def _not_sent(self, error: OSError, data: bytes) -> int:
        """Return how many bytes the socket took: none for now, or all in vain when the connection is gone."""
        if isinstance(error, BlockingIOError):
            return 0
        self._failure = error
        self._session.broken = str(error) or type(error).__name__
        return len(data)

    def _empty_out(self, deadline: float) -> None:
        """Wait until the socket has taken `_out`; the reader receives meanwhile, so that nobody is stuck."""
        while self._out and self._clock() < deadline:
            with self._lock:
                sock = self._sock
                if sock is None:
                    return
                self._send(b"")
                if self._session.broken is not None:
                    self._drop(self._session.broken)
                if not self._out:
                    return
                mine = self._reader is not None and self._reader.gate is None
            poll = select.poll()
            poll.register(sock, select.POLLOUT | (select.POLLIN if mine else 0))
            events = poll.poll(
                max(1, min(1000, int((min(deadline, self._clock() + 1) - self._clock()) * 1000)))
            )
            if any(event & select.POLLIN for _, event in events):
                return

    # -- connections ----------------------------------------------------------------------------------
    def _drop(self, why: str) -> None:
        """Give the connection up; under the lock."""
        session, sock = self._session, self._sock
        self._sock, self._out, self._sending, self.address = None, b"", False, None
        if session.useful:
            # Only what has answered something counts as served: else a node that greets and hangs up would be
            # dialled again without a pause.
            self._attempt = 0
            session.useful = False
        session.broken = None
        session.lost()
        if sock is not None:
            log.info("connection lost: %s", why)
            _shut_down(sock)
            # Not closed here: the reader may be in `recv`, and would read from whatever has its number next.
            self._doomed.append(sock)
        if session.fatal is not None and self._fault is None:
            self._end(session.fatal)
        self._tell_state()

    def _bury(self) -> None:
        """Close the sockets that were given up; under the lock, when nobody receives from them."""
        while self._doomed:
            self._doomed.pop().close()

    def _connect(self, waiter: Waiter) -> None:
        """Try the addresses, the own ones first, once, after a pause if this is not the first time."""
        with self._lock:
            self._bury()
            pause = (
                self._settings.backoff.pause(self._attempt - 1, self._settings.random) if self._attempt else 0
            )
            self._attempt += 1
        if pause:
            self._closing.wait(max(0.0, min(pause, waiter.deadline - self._clock())))
        for address, guess in self._session.candidates():
            if waiter.done or self._try(address, waiter, guess):
                return
        with self._lock:
            refused = self._session.refused
            if refused is not None:
                self._rejected(refused)
            elif not self._settings.persistent:
                self._refuse_waiting(Unavailable(f"no connection to {self.describe()}: {self._failure}"))
            self._pass_time(waiter)

    def _rejected(self, error: Rejected) -> None:
        self._session.refused = None
        self._session.reject(error)
        self._refuse_waiting(error)

    def _refuse_waiting(self, error: VisorError) -> None:
        for notice in self._up:
            notice.error = error
            notice.notify()

    def _try(self, address: Address, waiter: Waiter, guess: bool) -> bool:
        """Connect and greet; say whether there is a connection now, or none is wanted any more."""
        surely = self.hurry()
        with self._lock:
            now = self._clock()
            until = min(waiter.deadline, now + self._session.greeting_seconds(now, surely, self._attempt))
        # Until then a reader whose own deadline has passed is still connecting, and not to be deposed.
        self._connecting_until = until + NAP_SECONDS
        sock: socket.socket | None = None
        try:
            sock = open_socket(address, lambda: until - self._clock(), self._settings.tls)
            keep_alive(sock)
            self._greet(sock, until, waiter, address, guess)
        except OSError as error:
            if self._failure is None or self._clock() < waiter.deadline:
                # The last attempt is cut short by the deadline: those before it say more.
                self._failure = error if str(error) else TimeoutError(f"no answer from {address}")
            log.info("%s: %s", address, self._failure)
            with self._lock:
                if self._reader is waiter:
                    self._session.lost()
            if sock is not None:
                sock.close()
            return self._fault is not None
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        finally:
            self._connecting_until = 0.0
        return self._established(sock, address, waiter)

    def _greet(
        self, sock: socket.socket, until: float, waiter: Waiter, address: Address, guess: bool
    ) -> None:
        """Say HELLO and wait for the welcome; OSError when it does not come."""
        session = self._session
        with self._lock:
            self._check_office(waiter)
            hello = session.hello(self._clock(), address, guess=guess)
        sock.settimeout(max(LEAST_WAIT, until - self._clock()))
        sock.sendall(hello)
        while session.state == client.GREETING:
            sock.settimeout(max(LEAST_WAIT, until - self._clock()))
            try:
                data = sock.recv(RECEIVE)
            except TimeoutError:
                raise TimeoutError(client.SILENT) from None
            except ConnectionResetError:
                data = b""
            if not data:
                raise ConnectionError(client.CLOSED)
            with self._lock:
                self._check_office(waiter)
                session.receive(data, self._clock())
                if session.broken is not None:
                    self._refused(session.broken)

    def _check_office(self, waiter: Waiter) -> None:
        if self._fault is not None or self._reader is not waiter:
            raise ConnectionError("nobody wants this connection any more")

    def _refused(self, why: str) -> None:
        session = self._session
        session.broken = None
        if session.fatal is not None:
            self._end(session.fatal)
        raise ConnectionError(why)

    def _established(self, sock: socket.socket, address: Address, waiter: Waiter) -> bool:
        sock.settimeout(None)
        with self._lock:
            if self._fault is not None or self._reader is not waiter:
                self._session.lost()
                sock.close()
                return True
            self._sock = sock
            self._patience = 0.0  # of a new socket none is set yet
            self._failure = None
            self.address = str(address)
            self._connections += 1
            again = self._connections > 1
            self._push()
            self._tell_state()
            for notice in self._up:
                notice.notify()
        log.info("connected to %s", address)
        if again and self._settings.on_reconnect is not None:
            _run_hook(self._settings.on_reconnect, str(address))
        return True

    # -- fork -----------------------------------------------------------------------------------------
    def forked(self) -> None:
        """This is the child: let go of the parent's socket without a word to the server."""
        opened_in, used_in = self._pid, os.getpid()
        sock, doomed = self._sock, self._doomed
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        self._sock, self._doomed, self._out = None, [], b""

        def fault() -> VisorError:
            return ForkedClient(opened_in=opened_in, used_in=used_in)

        self._fault = fault
        for feed in self._session.feeds:
            feed.error, feed.ended = fault(), True
            feed.queue.clear()
        for inherited in (sock, *doomed):
            if inherited is not None:
                inherited.close()


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer may have been faster
        sock.shutdown(socket.SHUT_RDWR)


def _unreachable(addresses: str, seconds: float, failure: BaseException | None) -> DeadlineExceeded:
    why = f": {failure}" if failure is not None and str(failure) else ""
    return DeadlineExceeded(f"no connection to {addresses} within {seconds:g} s{why}", seconds=seconds)


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
