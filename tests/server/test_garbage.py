"""A connection that is gone leaves nothing behind, without help of the collector.

The server keeps the collector away from its history, so whatever hangs in a cycle long enough stays for good.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from tests.patience import PATIENCE
from tests.wire import Wire, new_session
from visor.protocol import verbs
from visord import embed
from visord.serving.conversation import Conversation
from visord.serving.listener import Connection


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living() -> set[int]:
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, Conversation | Connection)}


def use(wire: Wire) -> None:
    """Everything that could hold on to the session."""
    wire.set("/a", b"1")
    wire.get("/a")
    wire.call(verbs.WATCH, [verbs.SEL_TREE, "/"])
    wire.call(verbs.STATUS)
    wire.ask(verbs.SET, "/a", b"2")


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("ending", ["closed", "violation", "no hello", "watching"])
def test_closed_connections_are_freed_at_once(ending: str) -> None:
    before = living()  # a test that failed keeps what it had
    with embed.start() as server:
        for _ in range(20):
            with Wire(
                server.address, session=new_session(), hello=None if ending == "no hello" else {}
            ) as wire:
                if ending in ("closed", "watching"):
                    use(wire)
                if ending == "violation":
                    wire.send_bytes(b"\xc1")
                    wire.end()
        with Wire(server.address) as last:  # connections are accepted in order: all of them have been by then
            last.call(verbs.PING)
        deadline = time.monotonic() + PATIENCE
        while living() - before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not living() - before


@pytest.mark.usefixtures("_no_collector")
def test_what_waits_for_the_future_is_forgotten_before_long() -> None:
    """Heaps are tidied lazily: a few that are gone stay known, not all."""
    before = living()
    with embed.start() as server:
        for _ in range(300):
            with Wire(server.address) as wire:
                wire.call(verbs.WATCH, [verbs.SEL_TREE, "/"], 10_000)
                wire.ask(verbs.GET, "/a", 10_000)
                wire.call(verbs.PING)
        assert len(living() - before) < 150
