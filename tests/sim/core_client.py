"""A simulated client with the real core in it: `visor._core.client.ClientProtocol`, as both drivers run it.

    what users call        here
    call, its future       `CoreCall`: what settles it is put aside, and looked at when the core has returned
    Driver.call            `_submit`: the core's bytes leave at the end of the turn, in one write
    Driver._connect        `_dial`, `_next_address`, `_greeted`: rounds over the addresses, with the core's pauses
    Driver._tick           `_turn`, at the moment that the core names
    Watch                  `feed_subscriber.FeedSubscriber`

What a driver promises its callers is written down as they would believe it: a refusal, and whatever is `Unavailable`,
did not happen; `OutcomeUnknown` may have. The checkers hold the core to that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tests.sim.feed_subscriber import FeedSubscriber
from tests.sim.randoms import log_uniform
from tests.sim.wires import Connection
from tests.sim.workload import TICK_SECONDS, Asked, Workload
from visor._core.address import Address, parse
from visor._core.call import Call
from visor._core.client import READY, ClientProtocol
from visor._core.root import Root
from visor._core.settings import Settings
from visor.errors import OutcomeUnknown, Rejected, Unavailable
from visor.protocol import verbs

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

PING_AFTER: Final = 0.8
DEAD_AFTER: Final = 2.5
CONNECT_SECONDS: Final = 1.0
ROUND_TRIP: Final = (0.0001, 0.003)
"""Until it is known that nobody listens at an address."""
ASKED_AGAIN: Final = "core client: asked again what may have happened"
LEAST_SECONDS: Final = 1e-6
RENAMED: Final = 0.2
"""Part of all attempts at a host that is down that lead to another one."""
CHANGES_ITS_MIND: Final = 0.02
"""Part of all requests that their caller takes back (Ctrl-C, a cancelled task) before their answer."""


class CoreCall(Call):
    """A call of the core whose end is told to the client when the core has returned."""

    def __init__(
        self,
        owner: CoreClient,
        message: list[Any],
        write: bool,
        deadline: float,
        then: Callable[[CoreCall], None],
    ) -> None:
        super().__init__(message, write, deadline, deadline - owner.now)
        self._owner = owner
        self.then = then

    def complete(self, result: Any, error: BaseException | None) -> None:
        if not self.done:
            super().complete(result, error)
            self._owner.settled.append(self)


class CoreClient(Workload):
    """See the module."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        super().__init__(world, number, rng)
        settings = Settings(
            addresses=parse([host.client_address for host in world.hosts]),
            root=Root(),
            timeout=5.0,
            actor=f"c{number}",
            clock=lambda: self.now,
            random=rng,
            session=lambda: rng.randbytes(16),
            ping_after=PING_AFTER,
            dead_after=DEAD_AFTER,
            connect_timeout=CONNECT_SECONDS,
        )
        self._settings = settings
        self.core = ClientProtocol(settings)
        self.settled: list[CoreCall] = []
        self._calls: dict[CoreCall, Asked] = {}
        self._feeds: list[FeedSubscriber] = []
        self._dialling = False
        self._attempt = 0
        self._ways: list[tuple[Address, bool]] = []
        self._flushing = False
        self._alarm = math.inf
        self._after(rng.random() * self.pause, self._think)
        self._after(TICK_SECONDS * rng.random(), self._tick)

    @property
    def subscribers(self) -> list[FeedSubscriber]:
        """The watches."""
        return self._feeds

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return len(self._calls)

    # -- life -----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Ask nothing new; what waits for a rev that may never come waits no more."""
        self.closing = True
        for call in self._calls:
            if not call.write:
                call.deadline = min(call.deadline, self.now + 3.0)
        self._turn()

    def _tick(self) -> None:
        """What a user does from time to time."""
        if self.dead:
            return
        self._after(TICK_SECONDS, self._tick)
        for subscriber in self._feeds:
            subscriber.tick()
        for holder in list(self.holders):
            holder.tick()
        self._turn()

    # -- asking ---------------------------------------------------------------------------------------------

    def _submit(self, asked: Asked) -> None:
        call = CoreCall(self, asked.frame, asked.writes, asked.deadline, self._done)
        self._calls[call] = asked
        self._give(call)
        if self.rng.random() < CHANGES_ITS_MIND:
            self._after(log_uniform(self.rng, 0.0001, 0.1), self._take_back, call)

    def _give(self, call: CoreCall) -> None:
        self.core.submit(call, self.now)
        self._set_alarm(min(call.deadline, self.now + PING_AFTER))
        self.flush_soon()

    def _take_back(self, call: CoreCall) -> None:
        asked = self._calls.pop(call, None)
        if asked is None or self.dead:
            return
        self.world.count("core client: request taken back")
        happened = call.sent or call.uncertain
        self.core.abandon(call)
        self.flush_soon()
        self._did_not_answer(asked, happened=happened)

    def keep(self, lease: int, answer: Callable[[str | None, Any], object]) -> bool:
        """Keep a lease alive, over all connections until its deadline; see `Workload.keep`."""

        def done(call: CoreCall) -> None:
            code = getattr(call.error, "code", None)
            answer(None if call.error is None else code, call.result)

        self._give(CoreCall(self, [verbs.KEEPALIVE, 0, [lease]], False, self.now + 1.0, done))
        return True

    def _watch(self) -> None:
        self._feeds.append(FeedSubscriber(self))

    def _done(self, call: CoreCall) -> None:
        asked = self._calls.pop(call)
        if call.uncertain:
            self.world.count(ASKED_AGAIN)
        error = call.error
        if error is None:
            if not self.took(asked, call.result):
                self._submit(asked)
            return
        self.world.count(f"core client: {type(error).__name__}")
        if isinstance(error, Rejected):
            self.refused(asked, error.code, error.details)
        elif isinstance(error, Unavailable | OutcomeUnknown):
            self._did_not_answer(asked, happened=isinstance(error, OutcomeUnknown))
        else:
            self.world.broken(f"a call of client {self.number} ended in {error!r}", error)

    def _did_not_answer(self, asked: Asked, *, happened: bool) -> None:
        if asked.writes and not happened:
            self.refused(asked, "unavailable", {})
        else:
            self.unknown(asked)

    # -- the core's turns -----------------------------------------------------------------------------------

    def _set_alarm(self, when: float) -> None:
        if when < self._alarm:
            self._alarm = when
            # Later than now in any case: the core's sums may be rounded down to this very moment, again and again.
            self.world.scheduler.at(max(when, self.now + LEAST_SECONDS), self._alarmed, when)

    def _alarmed(self, when: float) -> None:
        if when == self._alarm:
            self._alarm = math.inf
            self._turn()

    def _turn(self) -> None:
        """The core's time has come."""
        if self.dead:
            return
        alarm = self.core.tick(self.now)
        if alarm != math.inf:
            self._set_alarm(alarm)
        self._look_around()

    def _look_around(self) -> None:
        """The core has moved: tell what is settled, give its connection up, or send what it has to say."""
        settled, self.settled = self.settled, []
        for call in settled:
            if not self.dead:
                call.then(call)
        for subscriber in self._feeds:
            subscriber.look()
        if self.core.broken is not None:
            self._dropped()
        else:
            self.flush_soon()

    def flush_soon(self) -> None:
        """At the end of this turn, send what there is to send."""
        if not self._flushing:
            self._flushing = True
            self._after(0.0, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.dead:
            return
        if self.connection is None:
            self._dial()
        elif not self._dialling:
            data = self.core.take()
            if data:
                self.connection.send(data)

    # -- connections ----------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Begin a round over all addresses, after a pause, while somebody waits."""
        if self.dead or self._dialling or self.connection is not None or not self.core.wanted:
            return
        self._dialling = True
        pause = self._settings.backoff.pause(self._attempt - 1, self.rng) if self._attempt else 0.0
        self._after(pause, self._begin_round)

    def _begin_round(self) -> None:
        self._attempt += 1
        self._ways = self.core.candidates()
        self._next_address()

    def _next_address(self) -> None:
        if self.dead:
            return
        if not self._ways:
            self._dialling = False
            if self.core.refused is not None:
                self.world.broken(f"client {self.number} was refused: {self.core.refused!r}", None)
            self._dial()
            return
        address, guess = self._ways.pop(0)
        if guess:
            self.world.count("core client: tried an address that it was told of")
        host = self._leads_to(address)
        connection = None if host is None else self.world.accept(host, self)
        if connection is None:
            self._after(log_uniform(self.rng, *ROUND_TRIP), self._next_address)
            return
        seconds = self.core.greeting_seconds(self.now, math.inf, self._attempt)
        self.connection = connection
        connection.send(self.core.hello(self.now, address, guess=guess))
        self._after(seconds, self._not_greeted, connection)

    def _leads_to(self, address: Address) -> Host | None:
        """Return who is at the address. Where nobody runs, its name has been given to another host now and then.

        All members may be replaced while a client is away: nothing but its names leads it to the others then.
        """
        hosts = self.world.hosts
        host = next((host for host in hosts if host.client_address == str(address)), None)
        running = self.world.running()
        if running and (host is None or host.process is None) and self.rng.random() < RENAMED:
            return self.rng.choice(running)
        return host

    def _not_greeted(self, connection: Connection) -> None:
        if connection is self.connection and self._dialling and not self.dead:
            self.world.count("core client: left a node that does not greet")
            self._dropped()

    def heard(self, connection: Connection, data: bytes) -> None:
        """Bytes of a connection."""
        if connection is not self.connection:
            return
        self.core.receive(data, self.now)
        if self.core.state == READY and self._dialling:
            self._dialling = False
            self._set_alarm(self.now + PING_AFTER)
        if self.core.broken is not None or self.core.delayed:
            self._turn()
        else:
            self._look_around()

    def hung_up(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection is self.connection:
            self._dropped()

    def _dropped(self) -> None:
        """The connection is gone, or must go."""
        core = self.core
        if core.broken is not None:
            self._explain(core.broken)
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None
        if core.useful:
            self._attempt = 0
        core.broken = None
        core.lost()
        if core.fatal is not None:
            self.world.broken(f"client {self.number} is told that no node will do: {core.fatal()!r}", None)
        elif self._dialling:
            self._after(log_uniform(self.rng, *ROUND_TRIP), self._next_address)
        else:
            self._dial()

    def _explain(self, why: str) -> None:
        if "cannot be read" in why or "not a Visor client port" in why:
            self.world.broken(f"client {self.number} cannot read a node: {why}", None)
        self.world.count("core client: gave its connection up")
