"""The promises hold whatever writers, readers, retention and connections do, in any order.

Hypothesis plays a node's loop: it writes through the machine, subscribes with all kinds of selectors and
flags, credits or does not, fills sockets, cuts connections (the readers resume where they were), raises the
floor and lets time pass. Every watch keeps its trace; the promises judge it, and at the end, with all readers
reading, it has to be complete.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from watch_promises import PROMISES, Part, Trace, complete
from watch_world import Reader, World

from visor.protocol import verbs
from visord.state.refusal import Refusal

SOAK = float(os.environ.get("VISOR_SOAK", "1"))

PATHS = ["/a", "/a/b", "/a/b/c", "/a/d", "/a/d/e", "/a-b", "/a-b/c", "/b", "/c/x/1", "/c/x/2", "/c/y/1", "/d"]
LEAVES = ["/a/b/c", "/a/d/e", "/a-b/c", "/b", "/c/x/1", "/c/x/2", "/c/y/1", "/d"]
PLACES = [*PATHS, "/", "/c", "/c/x", "/nowhere"]
GLOBS = ["/**", "/*", "/a**", "/a/*", "/c/*/1", "/c/**", "/a/b", "/?", "/**/1", "/a*/**"]

paths = st.sampled_from(PATHS)
values = st.one_of(st.binary(max_size=8), st.just(b"x" * 400))
selectors = st.one_of(
    st.tuples(st.sampled_from([verbs.SEL_PATH, verbs.SEL_TREE, verbs.SEL_CHILDREN]), st.sampled_from(PLACES)),
    st.tuples(st.just(verbs.SEL_GLOB), st.sampled_from(GLOBS)),
    st.tuples(st.just(verbs.SEL_RANGE), st.sampled_from(PLACES), st.sampled_from(PLACES)),
).map(list)
kinds = st.one_of(st.just(verbs.ALL_KINDS), st.integers(1, 15).map(lambda bits: bits << 1))
windows = st.sampled_from([0, 1, 100, 1500, 100_000])
choices = st.integers(0, 1 << 16)


class Watch:
    """A logical watch as a client keeps it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.next = trace.start
        """Where it would resume."""
        self.has_files = not trace.flags & verbs.W_STATE
        self.over = False
        self.under_way = 0
        self.uncredited = 0

    @property
    def part(self) -> Part:
        return self.trace.parts[-1]

    def take(self, message: list[Any], size: int) -> None:
        """Note a message that arrived."""
        self.part.messages.append(message)
        if message[0] in (verbs.COMMITS, verbs.STATE):
            self.under_way += size
            self.uncredited += size
            self.part.sizes.append(size)
            self.part.unacknowledged.append(self.under_way)
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
        self.readers = [Reader(high=4000) for _ in range(3)]
        self.watches: list[dict[int, Watch]] = [{}, {}, {}]
        self.taken = [0, 0, 0]
        self.traces: list[Watch] = []
        self.ids = 0

    # -- writers --------------------------------------------------------------------------------------

    @rule(path=paths, value=values, note=st.sampled_from([None, "why"]))
    def write(self, path: str, value: bytes, note: str | None) -> None:
        self.world.apply([verbs.SET, path, value, verbs.G_NONE, 0, 0, note])

    @rule(writes=st.lists(st.tuples(paths, values), min_size=2, max_size=8))
    def write_many(self, writes: list[tuple[str, bytes]]) -> None:
        self.world.apply(*[[verbs.SET, path, value] for path, value in writes])

    @rule(path=st.sampled_from(PLACES), recursive=st.booleans())
    def delete(self, path: str, recursive: bool) -> None:
        self.world.apply([verbs.DELETE, path, recursive])

    @rule(
        writes=st.dictionaries(st.sampled_from(LEAVES), st.none() | values, min_size=2), expired=st.booleans()
    )
    def commit(self, writes: dict[str, bytes | None], expired: bool) -> None:
        self.world.commit(writes, expired=expired)

    @rule(choice=choices)
    def compact(self, choice: int) -> None:
        store = self.world.store
        self.world.compact(store.floor + choice % (store.rev - store.floor + 1))

    # -- readers --------------------------------------------------------------------------------------

    @rule(
        reader=st.integers(0, 2),
        selector=selectors,
        flags=st.integers(0, 7),
        kinds=kinds,
        window=windows,
        choice=st.none() | choices,
    )
    def subscribe(
        self, reader: int, selector: list[Any], flags: int, kinds: int, window: int, choice: int | None
    ) -> None:
        store = self.world.store
        start = None if choice is None else store.floor + 1 + choice % (store.rev - store.floor + 5)
        first = store.rev + 1 if start is None else start
        watch = Watch(Trace(selector, flags, kinds, first))
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
        limit = window or 1 << 20
        trace.parts.append(Part(answer, flags, limit))
        watch.under_way = watch.uncredited = 0
        self.watches[reader][self.ids] = watch

    @rule(reader=st.integers(0, 2), window=windows)
    def reconnect(self, reader: int, window: int) -> None:
        """The connection breaks; what has arrived counts, and every watch resumes on a new one."""
        self.collect()
        self.world.hub.drop(self.readers[reader])
        self.readers[reader] = Reader(high=4000)
        self.taken[reader] = 0
        before, self.watches[reader] = self.watches[reader], {}
        for watch in before.values():
            if watch.over:
                continue
            if watch.has_files:
                self.begin(reader, watch, watch.next, watch.trace.flags & ~verbs.W_STATE, window)
            else:
                self.begin(reader, watch, watch.trace.start, watch.trace.flags, window)

    @rule(reader=st.integers(0, 2), choice=choices)
    def unwatch(self, reader: int, choice: int) -> None:
        self.collect()
        mine = self.watches[reader]
        if mine:
            watch_id = sorted(mine)[choice % len(mine)]
            watch = mine.pop(watch_id)
            delivered = self.world.hub.unsubscribe(self.readers[reader], watch_id)
            if not watch.over and delivered is not None:
                assert delivered >= watch.next - 1
            watch.over = True

    @rule(reader=st.integers(0, 2), choice=choices, share=st.sampled_from([0.3, 1.0]))
    def credit(self, reader: int, choice: int, share: float) -> None:
        self.collect()
        mine = self.watches[reader]
        if mine:
            watch_id = sorted(mine)[choice % len(mine)]
            self.give(reader, watch_id, max(1, int(mine[watch_id].uncredited * share)))

    def give(self, reader: int, watch_id: int, size: int) -> None:
        watch = self.watches[reader][watch_id]
        if 0 < size <= watch.uncredited:
            watch.uncredited -= size
            watch.under_way -= size
            self.world.hub.credit(self.readers[reader], watch_id, size)

    @rule(reader=st.integers(0, 2))
    def drain(self, reader: int) -> None:
        """The socket takes everything that waits."""
        self.readers[reader].unread = 0
        self.readers[reader].blocked = False
        self.world.hub.resume(self.readers[reader])

    @rule(reader=st.integers(0, 2), choice=choices)
    def progress(self, reader: int, choice: int) -> None:
        mine = self.watches[reader]
        if mine:
            self.world.hub.progress(self.readers[reader], sorted(mine)[choice % len(mine)])

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
            fresh = zip(
                reader.messages[self.taken[number] :], reader.sizes[self.taken[number] :], strict=True
            )
            self.taken[number] = len(reader.messages)
            for message, size in fresh:
                watch = self.watches[number].get(message[1])
                assert watch is not None, "a message for a watch that its reader has ended"
                watch.take(message, size)

    @invariant()
    def each_is_in_one_place(self) -> None:
        stats = self.world.hub.stats()
        alive = sum(not watch.over for mine in self.watches for watch in mine.values())
        assert stats["watches"] == alive
        assert min(stats.values()) >= 0

    def teardown(self) -> None:
        for _ in range(200):
            self.collect()
            before = sum(self.taken)
            for number in range(3):
                self.drain(number)
                for watch_id, watch in self.watches[number].items():
                    self.give(number, watch_id, watch.uncredited)
            self.world.pump()
            self.collect()
            if sum(self.taken) == before and not any(
                watch.uncredited for mine in self.watches for watch in mine.values()
            ):
                break
        else:
            raise AssertionError("the readers never get everything")
        self.ask_for_marks()
        history = self.world.history
        for watch in self.traces:
            for promise in PROMISES:
                promise(watch.trace, history)
            if not watch.over:
                complete(watch.trace, history, self.world.store.rev)

    def ask_for_marks(self) -> None:
        rev = self.world.store.rev
        for number, reader in enumerate(self.readers):
            alive = [watch_id for watch_id, watch in self.watches[number].items() if not watch.over]
            for watch_id in alive:
                reader.blocked, reader.unread = False, 0
                self.world.hub.progress(reader, watch_id)
                if self.watches[number][watch_id].part.start <= rev + 1:
                    assert reader.messages[-1] == [verbs.MARK, watch_id, rev]
        self.collect()


WatchRules.TestCase.settings = settings(max_examples=int(60 * SOAK), stateful_step_count=60)
TestWatchRules = WatchRules.TestCase
