"""The promises hold whatever writers, readers, retention and connections do, in any order.

Hypothesis plays a node's loop: it writes through the machine, subscribes with all kinds of selectors and
flags, credits or does not, fills sockets, cuts connections (the readers resume where they were), raises the
floor and lets time pass. Every watch keeps its trace; the promises judge it, and at the end, with all readers
reading, it has to be complete.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.watch.watch_promises import PROMISES, Part, Trace, complete
from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visord.state.refusal import Refusal
from visord.state.trim import trim

pytestmark = pytest.mark.soak

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
SOCKET_BYTES = 4000

PATHS = ["/a", "/a/b", "/a/d/e", "/a-b/c", "/b", "/c/x/1", "/c/x/2", "/c/y/1"]
LEAVES = ["/a/b", "/a/d/e", "/a-b/c", "/b", "/c/x/1", "/c/x/2", "/c/y/1"]
PLACES = ["/", "/a", "/b", "/c", "/c/x", "/c/x/1", "/a/b", "/nowhere"]
GLOBS = ["/**", "/*", "/a**", "/a/*", "/c/*/1", "/a/b", "/?", "/**/1", "/a*/**"]

paths = st.sampled_from(PATHS)
values = st.sampled_from([b"", b"1", b"2", b"x" * 400])
one_selector = st.one_of(
    st.just((verbs.SEL_TREE, "/")),
    st.tuples(st.sampled_from([verbs.SEL_PATH, verbs.SEL_TREE, verbs.SEL_CHILDREN]), st.sampled_from(PLACES)),
    st.tuples(st.just(verbs.SEL_GLOB), st.sampled_from(GLOBS)),
    st.tuples(st.just(verbs.SEL_RANGE), st.sampled_from(PLACES), st.none() | st.sampled_from(PLACES)),
).map(list)
selectors = st.one_of(
    one_selector,
    one_selector,
    st.lists(one_selector, min_size=1, max_size=4).map(lambda some: [verbs.SEL_ANY, some]),
)
kinds = st.sampled_from([*[verbs.ALL_KINDS] * 6, *range(2, 32, 2)])
windows = st.sampled_from([0, 1, 100, 1500, 100_000])
choices = st.integers(0, 1 << 16)
usually = st.sampled_from([True, True, True, False])
readers = st.integers(0, 2)


class Watch:
    """A logical watch as a client keeps it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.next = trace.start
        """Where it would resume."""
        self.has_files = not trace.flags & verbs.W_STATE
        self.over = False
        self.under_way = 0

    @property
    def part(self) -> Part:
        return self.trace.parts[-1]

    def take(self, message: list[Any], size: int) -> None:
        """Note a message that arrived."""
        self.part.messages.append(message)
        if message[0] in (verbs.COMMITS, verbs.STATE):
            self.under_way += size
            self.part.sizes.append(size)
            self.part.under_way.append(self.under_way)
        if message[0] == verbs.COMMITS:
            self.next = message[2][-1][0] + 1
        elif message[0] == verbs.MARK:
            self.next = max(self.next, message[2] + 1)
        elif message[0] == verbs.STATE:
            self.has_files = message[4]
        elif message[0] == verbs.ENDED:
            self.over = True
            if message[4]["rev"] is not None:
                self.next = message[4]["rev"] + 1


class WatchRules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.readers = [Reader(high=SOCKET_BYTES) for _ in range(3)]
        self.watches: list[dict[int, Watch]] = [{}, {}, {}]
        self.taken = [0, 0, 0]
        self.traces: list[Watch] = []
        self.ids = 0

    @initialize(windows=st.lists(windows, min_size=3, max_size=3), flags=st.integers(0, 7))
    def begin_some(self, windows: list[int], flags: int) -> None:
        for reader, window in enumerate(windows):
            self.subscribe(reader, [verbs.SEL_TREE, "/"], flags, verbs.ALL_KINDS, window, None)

    # -- writers --------------------------------------------------------------------------------------

    def applied(self, pump: bool) -> None:
        """A batch was applied: as a rule the node pumps before anything else happens."""
        if pump:
            self.world.hub.pump(64)

    @rule(writes=st.lists(st.tuples(paths, values), min_size=1, max_size=20), pump=usually)
    def write(self, writes: list[tuple[str, bytes]], pump: bool) -> None:
        """Several commits in one batch."""
        self.world.apply(*[[verbs.SET, path, value, 0, 0, 0, "why"] for path, value in writes])
        self.applied(pump)

    @rule(writes=st.lists(st.tuples(paths, values), min_size=1, max_size=10), pump=usually)
    def write_singly(self, writes: list[tuple[str, bytes]], pump: bool) -> None:
        """Several batches of one commit."""
        for path, value in writes:
            self.world.apply([verbs.SET, path, value])
            self.applied(pump)

    @rule(path=st.sampled_from(PLACES), pump=usually)
    def delete(self, path: str, pump: bool) -> None:
        self.world.apply([verbs.DELETE, path, True])
        self.applied(pump)

    @rule(
        commits=st.lists(
            st.dictionaries(st.sampled_from(LEAVES), st.none() | values, min_size=2), min_size=1, max_size=5
        ),
        expired=st.booleans(),
        pump=usually,
    )
    def commit(self, commits: list[dict[str, bytes | None]], expired: bool, pump: bool) -> None:
        """Commits of several changes."""
        for writes in commits:
            self.world.commit(writes, expired=expired)
        self.applied(pump)

    @rule(share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), pump=usually)
    def compact(self, share: float, pump: bool) -> None:
        store = self.world.store
        self.world.compact(store.floor + int(share * (store.rev - store.floor)))
        self.applied(pump)

    @rule(budget=st.sampled_from([1, 3, 1000]))
    def trim(self, budget: int) -> None:
        """Retention gives back memory, in slices, at any moment."""
        trim(self.world.store, budget)

    # -- readers --------------------------------------------------------------------------------------

    @rule(
        reader=readers,
        selector=selectors,
        flags=st.integers(0, 7),
        kinds=kinds,
        window=windows,
        where=st.sampled_from([None, None, 0.0, 0.3, 0.9, 1.0, 5]),
    )
    def subscribe(
        self, reader: int, selector: list[Any], flags: int, kinds: int, window: int, where: float | None
    ) -> None:
        """Start at the next commit, somewhere in history, or ahead of it."""
        store = self.world.store
        span = store.rev - store.floor
        start = None
        if where is not None:
            start = store.floor + 1 + int(where * span if where <= 1 else span + where)
        watch = Watch(Trace(selector, flags, kinds, store.rev + 1 if start is None else start))
        self.begin(reader, watch, start, flags, window)
        assert watch.trace.parts
        self.traces.append(watch)

    def begin(self, reader: int, watch: Watch, start: int | None, flags: int, window: int) -> None:
        trace = watch.trace
        self.ids += 1
        answer = self.world.ask(
            self.readers[reader],
            trace.selector,
            start,
            flags=flags,
            kinds=trace.kinds,
            window=window,
            watch=self.ids,
        )
        if isinstance(answer, Refusal):
            assert answer.code == "compacted"
            assert start is not None
            assert start <= self.world.store.floor
            watch.over = True
            return
        assert answer == (trace.start if start is None else start)
        trace.parts.append(Part(answer, flags, window or 1 << 20))
        watch.under_way = 0
        self.watches[reader][self.ids] = watch

    @rule(reader=readers, window=windows)
    def reconnect(self, reader: int, window: int) -> None:
        """The connection breaks; what has arrived counts, and every watch resumes on a new one."""
        self.collect()
        self.world.hub.drop(self.readers[reader])
        self.readers[reader] = Reader(high=SOCKET_BYTES)
        self.taken[reader] = 0
        before, self.watches[reader] = self.watches[reader], {}
        for watch in before.values():
            if watch.over:
                continue
            if watch.has_files:
                self.begin(reader, watch, watch.next, watch.trace.flags & ~verbs.W_STATE, window)
            else:
                self.begin(reader, watch, watch.trace.start, watch.trace.flags, window)

    def pick(self, reader: int, choice: int) -> int | None:
        """Return the id of some watch of the reader."""
        mine = self.watches[reader]
        return sorted(mine)[choice % len(mine)] if mine else None

    @rule(reader=readers, choice=choices)
    def unwatch(self, reader: int, choice: int) -> None:
        self.collect()
        watch_id = self.pick(reader, choice)
        if watch_id is not None:
            watch = self.watches[reader].pop(watch_id)
            delivered = self.world.hub.unsubscribe(self.readers[reader], watch_id)
            if not watch.over and delivered is not None:
                assert delivered >= watch.next - 1
            watch.over = True

    @rule(reader=readers, choice=choices, share=st.sampled_from([0.3, 1.0]), pump=usually)
    def credit(self, reader: int, choice: int, share: float, pump: bool) -> None:
        self.collect()
        watch_id = self.pick(reader, choice)
        if watch_id is not None:
            self.give(reader, watch_id, int(self.watches[reader][watch_id].under_way * share))
            self.applied(pump)

    def give(self, reader: int, watch_id: int, size: int) -> None:
        if size > 0:
            self.watches[reader][watch_id].under_way -= size
            self.world.hub.credit(self.readers[reader], watch_id, size)

    @rule(pump=usually)
    def drain_all(self, pump: bool) -> None:
        for reader in range(3):
            self.drain(reader)
        self.applied(pump)

    def drain(self, reader: int) -> None:
        """The socket takes everything that waits."""
        self.readers[reader].unread = 0
        self.readers[reader].blocked = False
        self.world.hub.resume(self.readers[reader])

    @rule(reader=readers, choice=choices)
    def progress(self, reader: int, choice: int) -> None:
        watch_id = self.pick(reader, choice)
        if watch_id is not None:
            self.world.hub.progress(self.readers[reader], watch_id)

    # -- the node -------------------------------------------------------------------------------------

    @rule(budget=st.sampled_from([1, 10, 4096]), times=st.integers(1, 3))
    def pump(self, budget: int, times: int) -> None:
        for _ in range(times):
            self.world.hub.pump(budget)

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # -- judgement ------------------------------------------------------------------------------------

    @invariant()
    def collect(self) -> None:
        """Hand what has arrived to the watches."""
        for number, reader in enumerate(self.readers):
            taken, self.taken[number] = self.taken[number], len(reader.messages)
            for message, size in zip(reader.messages[taken:], reader.sizes[taken:], strict=True):
                watch = self.watches[number].get(message[1])
                assert watch is not None, "a message for a watch that its reader has ended"
                watch.take(message, size)

    @invariant()
    def none_is_lost(self) -> None:
        stats = self.world.hub.stats()
        alive = sum(not watch.over for mine in self.watches for watch in mine.values())
        assert stats["watches"] == alive
        assert min(stats.values()) >= 0

    def teardown(self) -> None:
        self.read_everything()
        self.ask_for_marks()
        history = self.world.history
        for watch in self.traces:
            for promise in PROMISES:
                promise(watch.trace, history)
            if not watch.over:
                complete(watch.trace, history, self.world.store.rev)

    def read_everything(self) -> None:
        """Credit and drain until nothing comes any more."""
        for _ in range(1000):
            self.collect()
            before = sum(self.taken)
            for number in range(3):
                self.drain(number)
                for watch_id, watch in self.watches[number].items():
                    self.give(number, watch_id, watch.under_way)
            self.world.pump()
            self.collect()
            if sum(self.taken) == before:
                return
        raise AssertionError("the readers never get everything")

    def ask_for_marks(self) -> None:
        rev = self.world.store.rev
        for number, reader in enumerate(self.readers):
            for watch_id, watch in self.watches[number].items():
                reader.blocked, reader.unread = False, 0
                self.world.hub.progress(reader, watch_id)
                if not watch.over and watch.part.start <= rev + 1:
                    assert reader.messages[-1] == [verbs.MARK, watch_id, rev]
        self.collect()


WatchRules.TestCase.settings = settings(max_examples=int(150 * SOAK), stateful_step_count=60)
TestWatchRules = WatchRules.TestCase
