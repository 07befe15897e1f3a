"""Nodes that fall silent: no session is lost behind one of them while another one answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import visor
import visor.blocking._keeper
from tests.client.fake_server import FakeServer
from tests.client.proxy import Proxy
from tests.client.virtual import Silence, VirtualLoop, World
from tests.patience import PATIENCE, eventually
from visor import LeaseState, errors
from visor._core.reach import LEAST_SECONDS, greeting_seconds
from visor._core.recipes.lease import LEAST_ATTEMPT, attempt_seconds
from visor.protocol import verbs
from visor.testing import Server

SILENCES = [silence for silence in Silence if silence is not Silence.NONE]
TTLS = st.sampled_from([1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 25.0, 29.0, 30.0, 60.0]) | st.floats(1.0, 120.0)


async def live(
    ttl: float, silence: Silence, nodes: int, moment: float, elsewhere: bool, busy: bool, seed: int
) -> None:
    """Hold a session for some times to live, while one node falls silent at `moment` (in times to live).

    That is the node that the client is connected to, or (`elsewhere`) another one, when the connection breaks.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    world = World(loop, nodes, late=ttl / 2)
    client = world.client(seed)
    states: list[LeaseState] = []
    session = await client.session(ttl)
    session.on_change(states.append)
    wait = asyncio.create_task(client.get("/never", at=1 << 40, timeout=20 * ttl)) if busy else None
    await asyncio.sleep(moment * ttl)
    assert client.address is not None
    mine = world.nodes[client.address]
    silent = next(node for node in world.nodes.values() if node is not mine) if elsewhere else mine
    silent.fall_silent(silence)
    if elsewhere:
        mine.reset()
    for _ in range(24):
        await asyncio.sleep(ttl / 4)
        assert not session.over, f"lost after {states}"
        assert world.alive(session.id)
    assert LeaseState.LOST not in states
    if wait is not None:
        wait.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await wait
    await client.close()


@given(
    ttl=TTLS,
    silence=st.sampled_from(SILENCES),
    nodes=st.integers(2, 4),
    moment=st.floats(0.0, 1.5),
    elsewhere=st.booleans(),
    busy=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
@example(10.0, Silence.STOPPED, 2, 0.0, False, False, 0)
@example(1.0, Silence.CUT_OFF, 2, 0.33, True, True, 1)
def test_a_session_outlives_one_silent_node(
    ttl: float, silence: Silence, nodes: int, moment: float, elsewhere: bool, busy: bool, seed: int
) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live(ttl, silence, nodes, moment, elsewhere, busy, seed))


def test_a_session_behind_silent_nodes_alone_is_lost_in_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(loop, 2)
        client = world.client()
        session = await client.session(10.0)
        for node in world.nodes.values():
            node.fall_silent(Silence.STOPPED)
        began = loop.now
        assert await session.wait_over(100.0)
        assert loop.now - began <= 10.0
        assert session.lost
        await client.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_calls_that_are_given_up_one_after_the_other_do_not_hide_a_silence() -> None:
    """Each of them is shorter than the silence after which a node is left: together they are longer."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(loop, 2)
        client = world.client()
        await client.connect()
        assert client.address is not None
        silent = client.address
        world.nodes[silent].fall_silent(Silence.STOPPED)
        began = loop.now
        while client.address == silent:
            with contextlib.suppress(errors.DeadlineExceeded):
                await client.ping(timeout=3.0)
            assert loop.now - began <= 20.0
            await asyncio.sleep(100.0)  # nobody listens, so this is no silence
            began += 100.0
        assert loop.now - began >= 9.0
        await client.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@given(ttl=TTLS, surely=st.floats(0.001, 120.0))
def test_an_attempt_leaves_time_for_another(ttl: float, surely: float) -> None:
    seconds = attempt_seconds(ttl, surely)
    assert seconds <= max(LEAST_ATTEMPT, surely / 2)
    assert seconds <= max(LEAST_ATTEMPT, ttl / 3)
    assert attempt_seconds(ttl, ttl * 2 / 3) == pytest.approx(ttl / 3)


@given(left=st.floats(0.0, 100.0), addresses=st.integers(2, 9), attempt=st.integers(0, 60))
def test_an_address_never_takes_all_of_the_time_and_a_far_one_gets_it_in_the_end(
    left: float, addresses: int, attempt: int
) -> None:
    seconds = greeting_seconds(left, 3.0, addresses, attempt)
    assert min(LEAST_SECONDS, 3.0) <= seconds <= 3.0
    if attempt <= 1:
        assert seconds <= max(LEAST_SECONDS, left / 2)
    if attempt > 10:
        assert seconds == 3.0
    assert greeting_seconds(left, 3.0, 1, attempt) == 3.0, "there is nobody to leave time for"


class TestThreads:
    def test_what_waits_behind_a_forsaken_node_is_answered_by_another(self) -> None:
        with FakeServer() as one, FakeServer() as two:
            client = visor.dial([one.address, two.address], discover=False)
            mine, other = (one, two) if client.address == one.address else (two, one)
            mine.on(verbs.GET, lambda connection, message: None)
            found: list[object] = []
            thread = threading.Thread(
                target=lambda: found.append(client.get_value("/a", "nothing", timeout=PATIENCE))
            )
            thread.start()
            mine.wait(lambda: bool(mine.saw(verbs.GET)))
            client._driver.forsake(3600.0, again=True)
            assert client.address == mine.address, "it has not been asked for long enough"
            client._driver.forsake(0.0, again=False)
            thread.join(PATIENCE)
            assert found == ["nothing"]
            assert client.address == other.address
            client.close()

    def test_the_keeper_changes_a_silent_node(
        self, visor_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As under asyncio, with attempts so short that a test can wait for them."""
        monkeypatch.setattr(visor.blocking._keeper, "attempt_seconds", lambda ttl, surely: 0.3)
        with Proxy(visor_server.address) as proxy:
            client = visor.dial([proxy.address, visor_server.address], discover=False)
            while client.address != proxy.address:  # which one comes first is its own choice
                client.close()
                client = visor.dial([proxy.address, visor_server.address], discover=False)
            with client, client.session(60) as session:
                proxy.flowing.clear()
                with session._lock:
                    session._timer.due = 0.0
                client._keeper(60.0).discard(session)
                client._keeper(60.0).add(session)
                eventually(lambda: client.address == visor_server.address)
                eventually(lambda: session._timer.kept > 0)
                assert not session.lost
                proxy.flowing.set()
